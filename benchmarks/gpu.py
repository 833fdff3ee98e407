"""What training costs on a GPU: an epoch of small images, waiting for data at 224×224, small trials side by side.

    uv run python benchmarks/gpu.py [--device cuda] [--small]

It needs torch, torchvision and timm alone. `--small` is a trial of the script itself, on a few images.

epoch          medray's fit on 13,932 images of 28×28 with resnet18, plain and with three transforms, against a
               bare loop over batches that lie on the device
waiting        the share of an epoch at 224×224 in which the device waits: against the same steps on one batch
side by side   16 small trials by 1, 2, 4, 8 and 16 processes that share the GPU, as trials with a part of one do
"""

import argparse
import dataclasses
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from statistics import median

import numpy as np
import torch
from torch.nn import functional as F

from medray.config import TrainConfig
from medray.data.dataset import LabelledImages
from medray.training.loop import fit
from medray.training.models import build_network

CLASSES = 11
TRANSFORMS = (
    {"HorizontalFlip": {"p": 0.5}},
    {"Affine": {"rotate": [-15, 15], "translate_percent": [-0.1, 0.1], "scale": [0.9, 1.1], "p": 0.8}},
    {"RandomBrightnessContrast": {"brightness_limit": 0.2, "contrast_limit": 0.2, "p": 0.5}},
)


def images_of(count: int, side: int, channels: int) -> tuple[LabelledImages, LabelledImages]:
    """Return `count` training images of noise, and an eighth as many for validation."""
    rng, val = np.random.default_rng(0), max(2 * CLASSES, count // 8)
    images = rng.integers(0, 256, (count + val, side, side, channels), dtype=np.uint8)
    labels, names = np.arange(count + val) % CLASSES, tuple(map(str, range(CLASSES)))
    positions = np.arange(count), np.arange(count, count + val)
    train, held_out = (LabelledImages(images, labels, own, names) for own in positions)
    return train, held_out


def epochs_of(config: TrainConfig, images: tuple[LabelledImages, LabelledImages], device: str) -> list[float]:
    """Return the seconds of each epoch of a training but the first, which warms up."""
    return [result.seconds for result in fit(config, *images, device=device)][1:]


def bare_epochs(config: TrainConfig, train: LabelledImages, device: str) -> Iterator[float]:
    """Yield the seconds of epochs of a plain loop: the images lie on the device, no transforms, no validation."""
    network = build_network(config, train.shape, CLASSES).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.start(torch.full((train.shape[2],), 0.5), torch.full((train.shape[2],), 0.25), torch.ones(CLASSES))
    network.to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    pixels = torch.from_numpy(train.images[train.positions]).to(device)
    labels = torch.from_numpy(train.own_labels).to(device)
    for _ in range(config.epochs):
        started, network = time.perf_counter(), network.train()
        for indices in torch.randperm(len(train), device=device).split(config.batch_size):
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=device != "cpu"):
                inputs = pixels[indices].permute(0, 3, 1, 2).float() / 255
                loss = F.cross_entropy(network(inputs).float(), labels[indices])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        finish(device)
        yield time.perf_counter() - started


def finish(device: str) -> None:
    """Wait for the device."""
    if device != "cpu":
        torch.cuda.synchronize()


def measure_epoch(device: str, count: int) -> None:
    """Print the time of an epoch of small images."""
    images = images_of(count, 28, 1)
    config = TrainConfig(backbone="resnet18", batch_size=512, epochs=6, optimizer="adamw")
    bare = median(list(bare_epochs(config, images[0], device))[1:])
    print(f"epoch: {count:,} images of 28×28, resnet18, batches of 512; the bare loop takes {bare:.3f} s")
    for name, pipeline in (("no transforms", ()), ("three transforms", TRANSFORMS)):
        seconds = median(epochs_of(dataclasses.replace(config, pipeline=pipeline), images, device))
        print(f"  {name:17} {seconds:.3f} s an epoch, validation included: {bare / seconds:.2f} of the bare loop")


def measure_waiting(device: str, count: int) -> None:
    """Print the share of an epoch at 224×224 in which the device waits for images."""
    train, val = images_of(count, 224, 3)
    config = TrainConfig(backbone="resnet50", batch_size=64, epochs=4, optimizer="adamw")
    few = dataclasses.replace(val, positions=val.positions[: 2 * CLASSES])
    bare = median(list(bare_epochs(config, train, device))[1:])
    for name, pipeline in (("no transforms", ()), ("three transforms", TRANSFORMS)):
        seconds = median(epochs_of(dataclasses.replace(config, pipeline=pipeline), (train, few), device))
        waiting = max(0.0, 1 - bare / seconds)
        print(f"waiting: {count:,} images of 224×224, resnet50, {name}: {seconds:.2f} s, of which {waiting:.0%}")


def one_trial(seed: int, device: str, count: int) -> float:
    """Train one small network; return the seconds."""
    torch.set_num_threads(1)
    started = time.perf_counter()
    list(
        fit(
            TrainConfig(backbone="resnet20_small", batch_size=128, epochs=4, seed=seed),
            *images_of(count, 28, 1),
            device=device,
        )
    )
    return time.perf_counter() - started


def measure_side_by_side(device: str, count: int, most: int) -> None:
    """Print the rate of small trials by the number of processes."""
    rates: dict[int, float] = {}
    for processes in [number for number in (1, 2, 4, 8, 16) if number <= most]:
        with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
            list(pool.map(one_trial, range(processes), [device] * processes, [200] * processes))  # warm
            started, trials = time.perf_counter(), max(processes, most // 2)
            list(pool.map(one_trial, range(trials), [device] * trials, [count] * trials))
            rates[processes] = trials / (time.perf_counter() - started)
        ratio = rates[processes] / rates[1]
        print(f"side by side: {processes:2} processes {rates[processes]:.2f} trials/s, {ratio:.1f} × one's")


def main() -> None:
    """Measure all three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--small", action="store_true", help="A few images, to try the script.")
    given = parser.parse_args()
    name = torch.cuda.get_device_name() if given.device != "cpu" else f"{torch.get_num_threads()} CPU threads"
    print(f"on {name}, torch {torch.__version__}")
    measure_epoch(given.device, 600 if given.small else 13_932)
    measure_waiting(given.device, 64 if given.small else 4_000)
    measure_side_by_side(given.device, 200 if given.small else 4_000, 2 if given.small else 16)


if __name__ == "__main__":
    main()

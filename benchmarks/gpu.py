"""What training costs on a GPU: an epoch of small images, waiting for data at 224×224, small trials side by side.

    uv run python benchmarks/gpu.py [--device cuda] [--small]

It needs torch, torchvision and timm alone. `--small` is a trial of the script itself, on a few images.

epoch          medray's fit on 13,932 images of 28×28 with resnet18, plain and with three transforms, its steps
               recorded or launched one by one, against a bare loop over batches that lie on the device
waiting        the share of an epoch at 224×224 in which the device does nothing: with images that lie on the
               device or in the processor's memory, plain and with three transforms
side by side   small trials by 1, 4 and 16 processes that share the GPU, as trials with a part of one do; and the
               same by way of NVIDIA's MPS, where it can be started
"""

import argparse
import dataclasses
import math
import multiprocessing
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from statistics import median

import numpy as np
import torch
from torch.nn import functional as F

from medray.config import TrainConfig
from medray.data.dataset import LabelledImages
from medray.training import images as training_images
from medray.training import recorded
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


@contextmanager
def setting(module: object, name: str, value: float) -> Iterator[None]:
    """Give a module's constant another value while the context lasts."""
    kept = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, kept)


def measure_epoch(device: str, count: int) -> None:
    """Print the time of an epoch of small images."""
    images = images_of(count, 28, 1)
    config = TrainConfig(backbone="resnet18", batch_size=512, epochs=6, optimizer="adamw")
    bare = median(list(bare_epochs(config, images[0], device))[1:])
    print(f"epoch: {count:,} images of 28×28, resnet18, batches of 512; the bare loop takes {bare:.3f} s")
    for name, pipeline in (("no transforms", ()), ("three transforms", TRANSFORMS)):
        changed = dataclasses.replace(config, pipeline=pipeline)
        for steps, worth in (("recorded", math.inf), ("launched", 0.0)):
            with setting(recorded, "WORTH", worth):
                seconds = median(epochs_of(changed, images, device))
            print(f"  {name:16} {steps} {seconds:.3f} s an epoch with validation: {bare / seconds:.2f} × its rate")


def measure_waiting(device: str, count: int) -> None:
    """Print the share of an epoch at 224×224 in which the device does nothing."""
    train, val = images_of(count, 224, 3)
    config = TrainConfig(backbone="resnet50", batch_size=64, epochs=4, optimizer="adamw")
    few = dataclasses.replace(val, positions=val.positions[: 2 * CLASSES])
    kinds = (
        ("on the device, no transforms", (), 0.5), ("in memory, no transforms", (), 0.0),
        ("on the device, three transforms", TRANSFORMS, 0.5), ("in memory, three transforms", TRANSFORMS, 0.0),
    )  # fmt: skip
    print(f"waiting: {count:,} images of 224×224, resnet50, batches of 64")
    for name, pipeline, share in kinds:
        with setting(training_images, "LARGEST_SHARE", share):
            changed = dataclasses.replace(config, pipeline=pipeline)
            epoch = median(epochs_of(changed, (train, few), device))
            busy = busy_seconds(changed, train, few, device)
        print(f"  {name:32} {epoch:.2f} s an epoch, the device works {busy:.2f} s, waits {1 - busy / epoch:.0%}")


def busy_seconds(config: TrainConfig, train: LabelledImages, val: LabelledImages, device: str) -> float:
    """Return the seconds that the device's kernels and copies take in the second epoch of a training."""
    epochs = fit(config, train, val, device=device)
    next(epochs)
    with torch.profiler.profile() as profiler:
        next(epochs)
    events = [  # neither who launched them nor what frames them, such as an optimizer's step
        event
        for event in profiler.key_averages()
        if event.device_type.name == "CUDA" and not event.is_user_annotation
    ]
    return float(sum(event.self_device_time_total for event in events)) / 1e6


def one_trial(seed: int, device: str, count: int, worth: float) -> None:
    """Train one small network, with steps recorded where they take less than `worth` launches."""
    torch.set_num_threads(1)
    config = TrainConfig(backbone="resnet20_small", batch_size=128, epochs=4, seed=seed)
    with setting(recorded, "WORTH", worth):
        list(fit(config, *images_of(count, 28, 1), device=device))


def trials_per_second(processes: int, device: str, count: int, worth: float) -> float:
    """Return the rate of small trials by processes that share the device."""
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(one_trial, range(processes), *([x] * processes for x in (device, 200, worth))))  # warm
        trials = max(processes, 4)
        started = time.perf_counter()
        list(pool.map(one_trial, range(trials), *([x] * trials for x in (device, count, worth))))
        return trials / (time.perf_counter() - started)


@contextmanager
def shared_by_mps() -> Iterator[bool]:
    """Let processes that start meanwhile share the GPU by NVIDIA's MPS; yields whether it could be started."""
    with tempfile.TemporaryDirectory() as folder:
        names = {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}
        os.environ.update(names)
        try:
            started = subprocess.run(["nvidia-cuda-mps-control", "-d"], check=False).returncode == 0
        except FileNotFoundError:
            started = False
        try:
            yield started
        finally:
            if started:
                subprocess.run(["nvidia-cuda-mps-control"], input=b"quit\n", check=False)
            for name in names:
                del os.environ[name]


def measure_side_by_side(device: str, count: int, numbers: tuple[int, ...]) -> None:
    """Print the rate of small trials by the number of processes, by turns and by MPS."""
    launched = trials_per_second(1, device, count, 0.0)
    print(f"side by side: one process, steps launched one by one: {launched:.2f} trials/s")

    def show(way: str, number: int) -> None:
        rate = trials_per_second(number, device, count, recorded.WORTH)
        print(f"  {way:9} {number:2} processes {rate:.2f} trials/s: {rate / launched:.1f} × that")

    for number in numbers:
        show("by turns", number)
    with shared_by_mps() as started:
        for number in numbers[1:] if started else ():
            show("by MPS", number)
        if not started:
            print("  NVIDIA's MPS could not be started")


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
    measure_side_by_side(given.device, 200 if given.small else 4_000, (1, 2) if given.small else (1, 4, 16))


if __name__ == "__main__":
    main()

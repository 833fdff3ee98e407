"""How fast `fit` trains, next to a bare PyTorch loop with the same network, images and batches.

Both train on one thread of the processor and by turns, an epoch each; an epoch includes the validation. The bare
loop is what one would write: draw an order, index the array, forward, loss, backward, step; then a forward of the
validation images, and accuracy. With transforms it calls albumentations image by image. It lacks what `fit` does
besides: statistics of BatchNorm computed anew, all metrics, the weights of the best epoch. The processor's time
counts, which other programs change less than the clock's. Prints images a second, and fit's rate divided by the
bare loop's, as medians of the epochs after the first.

    uv run python benchmarks/fit_rate.py [--runs 5] [--images 2000] [--batch 64]
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from medray._types import Array
from medray.config import TrainConfig
from medray.data.dataset import LabelledImages
from medray.training.augment import build_transform
from medray.training.loop import fit
from medray.training.models import build_network, channel_statistics

SIDE, CLASSES = 28, 4
NETWORKS = ("lenet5", "resnet8_small")
THREE: list[dict[str, Any]] = [
    {"Rotate": {"limit": 30, "p": 0.5}},
    {"CoarseDropout": {"p": 0.5}},
    {"Perspective": {"scale": [0.05, 0.15], "p": 0.5}},
]


def noise(count: int) -> LabelledImages:
    """Return labelled images of noise."""
    images = np.random.default_rng(0).integers(0, 256, size=(count, SIDE, SIDE, 1), dtype=np.uint8)
    labels = np.arange(count) % CLASSES
    return LabelledImages(images, labels, np.arange(count), tuple("abcd"))


def bare_loop(config: TrainConfig, train: LabelledImages, val: LabelledImages) -> Iterator[float]:
    """Train as a script would; yield each epoch's accuracy of validation."""
    torch.manual_seed(config.seed)
    network = build_network(config, train.shape, CLASSES)
    network.start(*channel_statistics(train.images, train.positions), torch.full((CLASSES,), 1 / CLASSES))
    network = network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
    transforms = [build_transform(step) for step in config.pipeline]
    rng = np.random.default_rng(config.seed)

    def transformed(image: Array) -> Array:
        for transform in transforms:
            image = transform(image=image)["image"].reshape(train.shape)
        return image

    def inputs(images: Array) -> torch.Tensor:
        return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255

    while True:
        network.train()
        order = rng.permutation(len(train))
        for start in range(0, len(order), config.batch_size):
            rows = order[start : start + config.batch_size]
            images = train.images[rows]
            if transforms:
                images = np.stack([transformed(image) for image in images])
            loss = nn.functional.cross_entropy(network(inputs(images)), torch.from_numpy(train.labels[rows]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        network.eval()
        with torch.inference_mode():
            logits = torch.cat([network(inputs(val.images[i : i + 256])) for i in range(0, len(val), 256)])
        yield float((logits.argmax(dim=1).numpy() == val.labels).mean())


def seconds(step: Callable[[], object]) -> float:
    """Return the processor's time that a call takes."""
    start = time.process_time()
    step()
    return time.process_time() - start


def main() -> None:
    """Measure each network, without and with three transforms."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=64)
    given = parser.parse_args()
    torch.set_num_threads(1)
    train, val = noise(given.images), noise(given.images // 8)
    print(f"{'':16}{'transforms':>12}{'fit, /s':>10}{'bare, /s':>10}{'fit / bare':>12}")
    for backbone in NETWORKS:
        for pipeline in ([], THREE):
            config = TrainConfig.from_dict(
                {
                    "backbone": backbone, "batch_size": given.batch, "optimizer": "adam", "learning_rate": 0.001,
                    "dropout": 0.0, "epochs": given.runs + 1, "pipeline": pipeline, "seed": 0,
                }
            )  # fmt: skip
            ways: dict[str, Iterator[object]] = {
                "fit": fit(config, train, val), "bare": bare_loop(config, train, val),
            }  # fmt: skip
            taken: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(given.runs + 1):
                for name, way in ways.items():
                    taken[name].append(seconds(lambda way=way: next(way)))  # type: ignore[misc]
            rate = {name: given.images / statistics.median(values[1:]) for name, values in taken.items()}
            print(
                f"{backbone:16}{len(pipeline):12}{rate['fit']:10.0f}{rate['bare']:10.0f}"
                f"{rate['fit'] / rate['bare']:12.2f}"
            )
    print(f"load averages {', '.join(f'{load:.1f}' for load in os.getloadavg())}")


if __name__ == "__main__":
    main()

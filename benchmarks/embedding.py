"""How long does a frozen backbone look at an image, and what do folding and the size of a batch bring?

Features of all images as a search computes them before its first trial, on all cores: as it is, without folding
normalisations into convolutions, and with batches of other sizes. The ways take turns; prints the median time of
each from its first batch on, by image.

    python benchmarks/embedding.py breastmnist.npz --weights weights [--sides 128 224] [--repeats 5]
"""

import argparse
import os
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

from medray.config import TrainConfig
from medray.data.dataset import ImageDataset
from medray.data.load_data import load_data
from medray.training.embed import embed
from medray.training.frozen import features

WAYS = {"folded": {}, "not folded": {"folded": lambda trunk, _: trunk}} | {
    f"not folded, batches of {factor} × the pixels": {
        "folded": lambda trunk, _: trunk,
        "CPU_PIXELS": factor * features.CPU_PIXELS,
    }
    for factor in (2, 4)
}


def seconds_by_image(config: TrainConfig, dataset: ImageDataset) -> float:
    """Compute the features of both slices with an empty cache; return the seconds by training image."""
    marks: list[tuple[float, int]] = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MEDRAY_CACHE"] = folder
        embed(
            config, dataset.split("train"), dataset.split("val"),
            progress=lambda _, done, __: marks.append((time.monotonic(), done)),
        )  # fmt: skip
    last = max(range(len(marks)), key=lambda i: marks[i][1])
    return (marks[last][0] - marks[0][0]) / (marks[last][1] - marks[0][1])


def main() -> None:
    """Measure, and print a table of each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="an .npz of MedMNIST's form")
    parser.add_argument("--weights", type=Path, required=True, help="folder of BACKBONE.safetensors")
    parser.add_argument("--backbone", default="tf_efficientnet_lite0")
    parser.add_argument("--pooling", default="mirrored", help="`mirrored` sees each image twice")
    parser.add_argument("--sides", type=int, nargs="+", default=[128, 224])
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    os.environ["MEDRAY_WEIGHTS"] = str(given.weights)
    dataset = load_data(str(given.data))
    for side in given.sides:
        config = TrainConfig(
            backbone=given.backbone, pretrained=True, image_size=side, pooling=given.pooling, trainable_blocks=0,
            optimizer="lbfgs", epochs=1,
        )  # fmt: skip
        taken: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(given.repeats):
            for way, values in WAYS.items():
                with ExitStack() as stack:
                    for name, value in values.items():
                        stack.enter_context(patch.object(features, name, value))
                    taken[way].append(seconds_by_image(config, dataset))
        print(f"\n| {side} pixels | ms an image | times as fast |\n| --- | --- | --- |")
        medians = {way: statistics.median(seconds) for way, seconds in taken.items()}
        for way, median in medians.items():
            print(f"| {way} | {1000 * median:.1f} | {max(medians.values()) / median:.1f} |", flush=True)


if __name__ == "__main__":
    main()

"""How much sooner is a head trained on a frozen backbone whose features are computed once?

A dense head on a pre-trained backbone, by medray's own fit, three ways: without room in the cache, where the
whole network sees the images in each epoch; with an empty cache, which the first epoch fills; and with a full one,
as all later trials and folds have it. Prints the median of each, in processor time of one thread, which what else
runs on the machine hardly changes; and the largest difference of the validation probabilities of the best epochs.

    python benchmarks/frozen_features.py breastmnist.npz --weights weights [--side 128] [--epochs 30]
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from medray._types import Array
from medray.config import TrainConfig
from medray.data.load_data import load_data
from medray.training.loop import fit

WAYS = WITHOUT, EMPTY, FULL = ("without", "empty cache", "full cache")


def main() -> None:
    """Train, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="an .npz of MedMNIST's form")
    parser.add_argument("--weights", type=Path, required=True, help="folder of BACKBONE.safetensors")
    parser.add_argument("--backbone", default="tf_efficientnet_lite0")
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):  # or features are computed on all cores
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])
    os.environ["MEDRAY_WEIGHTS"] = str(given.weights)
    dataset = load_data(str(given.data))
    config = TrainConfig(
        backbone=given.backbone, pretrained=True, image_size=given.side, trainable_blocks=0, epochs=given.epochs,
        optimizer="adamw", batch_size=64,
    )  # fmt: skip

    def train(cache: Path, gib: str) -> tuple[float, Array]:
        """Return the seconds of a training with a cache of such a size, and its validation probabilities."""
        os.environ["MEDRAY_CACHE"], os.environ["MEDRAY_CACHE_GIB"] = str(cache), gib
        started = time.process_time()
        *_, last = fit(config, dataset.split("train"), dataset.split("val"))
        return time.process_time() - started, last.best_outputs.probabilities

    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    difference = 0.0
    for repeat in range(given.repeats):
        with tempfile.TemporaryDirectory() as folder:
            outputs = []
            for way in WAYS:
                taken, probabilities = train(Path(folder), "1e-9" if way == WITHOUT else "1")
                seconds[way].append(taken)
                outputs.append(probabilities)
                print(f"repeat {repeat}, {way}: {taken:.1f} s", flush=True)
            difference = max(difference, *(float(np.abs(outputs[0] - other).max()) for other in outputs[1:]))
    medians = {way: statistics.median(taken) for way, taken in seconds.items()}
    print(f"\n| {given.epochs} epochs at {given.side} pixels | seconds | times as fast |\n| --- | --- | --- |")
    for way, median in medians.items():
        print(f"| {way} | {median:.1f} | {medians[WITHOUT] / median:.1f} |")
    print(f"\nlargest difference of a validation probability: {difference:.1g}")


if __name__ == "__main__":
    main()

"""Does the cross-validation find wrong labels? The organs phantom with one label in twenty flipped on purpose.

Cross-validates one network on five folds and reads crossval/label_issues.csv: of the first rows, as many as labels
were flipped, how many are flipped ones; and how many of all flipped ones are listed.

    uv run python benchmarks/flipped_labels.py [--share 0.05] [--epochs 15]
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from crossval_overhead import one_trial_run

from medray.config import TrainConfig
from medray.data.load_data import load_data


def flipped_phantom(path: Path, share: float) -> set[int]:
    """Write the phantom with flipped labels as an .npz; returns the positions that were flipped."""
    phantom = load_data("phantom:organs")
    rng = np.random.default_rng(0)
    pool = np.concatenate([phantom.splits["train"], phantom.splits["val"]])
    chosen = rng.choice(pool, size=round(share * len(pool)), replace=False)
    labels = phantom.labels.copy()
    labels[chosen] = (labels[chosen] + rng.integers(1, len(phantom.class_names), size=len(chosen))) % len(
        phantom.class_names
    )
    arrays: dict[str, Any] = {}
    for split, positions in phantom.splits.items():
        arrays |= {f"{split}_images": phantom.images[positions], f"{split}_labels": labels[positions]}
    np.savez(path, class_names=np.array(phantom.class_names), **arrays)
    order = np.concatenate([phantom.splits[split] for split in ("train", "val", "test")])
    return set(np.flatnonzero(np.isin(order, chosen)).tolist())


def main() -> None:
    """Flip, cross-validate, and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--epochs", type=int, default=15)
    given = parser.parse_args()
    data = Path(tempfile.mkdtemp(prefix="medray-bench-")) / "flipped.npz"
    flipped = flipped_phantom(data, given.share)
    config = TrainConfig(backbone="lenet5_wide_bn", batch_size=64, epochs=given.epochs, monitor="auc", dropout=0.2)
    run = one_trial_run(data, config)
    words = [sys.executable, "-m", "medray.crossval", run.location, "--trial", "0", "--folds", "5"]
    subprocess.run(words, check=True)
    listed = pd.read_csv(run.crossval.path("label_issues.csv")).position.tolist()
    head = listed[: len(flipped)]
    print(f"{len(flipped)} labels flipped, {len(listed)} listed")
    print(f"of the first {len(head)} rows {sum(p in flipped for p in head)} are flipped ones")
    print(f"of the {len(flipped)} flipped ones {sum(p in flipped for p in listed)} are listed")


if __name__ == "__main__":
    main()

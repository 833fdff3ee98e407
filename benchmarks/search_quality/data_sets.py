"""The five data sets, written once as arrays by medray's own loading: all contestants read the same splits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

SPLITS = ("train", "val", "test")
AUC = "auc"  # what all contestants optimise


@dataclass(frozen=True)
class BenchmarkSet:
    """A data set: its source below the folder of data, how it is prepared, and the figures to compare with.

    `preparation` is that of a search space. `turns`: a mirrored or turned image is as good as any, and not only
    one that is mirrored left to right. `published` and `target` are AUC and accuracy on test, `folds_target`
    those of all images held out by folds; None where there is none. `folds_objective` is what medray optimises for
    those, None for what `medray init` chooses.
    """

    name: str
    source: str
    title: str
    preparation: Mapping[str, Any] = field(default_factory=dict)
    turns: bool = False
    published: tuple[float | None, float | None] = (None, None)
    target: tuple[float | None, float | None] = (None, None)
    folds_target: tuple[float | None, float | None] = (None, None)
    folds_objective: str | None = AUC


SETS = {
    data_set.name: data_set
    for data_set in (
        BenchmarkSet(
            "breastmnist", "{data}/breastmnist.npz", "BreastMNIST, 28×28",
            published=(0.919, 0.863), target=(0.93, 0.90),
        ),
        BenchmarkSet(
            "pneumoniamnist", "{data}/pneumoniamnist.npz", "PneumoniaMNIST, 28×28",
            published=(0.991, 0.946), target=(0.98, 0.92),
        ),
        BenchmarkSet(
            "retinamnist", "{data}/retinamnist.npz", "RetinaMNIST, 28×28",
            turns=True, published=(0.75, 0.53), target=(0.754, 0.56),
        ),
        BenchmarkSet(
            "busi", "folder:{data}/busi/images", "BUSI, malignant or not, 128×128",
            {
                "images": {"image_size": 128},
                "labels": {"merge": {"not_malignant": ["benign", "normal"]}},
                "splits": {"val": 0.15, "test": 0.15},
            },
            folds_target=(0.93, None),
        ),
        BenchmarkSet(
            "bloodcells", "csv:{data}/bloodcells/labels.csv", "Blood cells, 150×150",
            {
                "images": {"image_size": 150, "channels": 3, "missing": "drop"},
                "labels": {"blank": "drop", "multiple": "drop", "min_count": 5},
                "splits": {"val": 0.15, "test": 0.15},
            },
            turns=True, folds_target=(None, 0.93), folds_objective=None,
        ),
    )
}  # fmt: skip


def write_arrays(data_set: BenchmarkSet, data: Path, folder: Path) -> Path:
    """Return the set as `folder`/NAME.npz in MedMNIST's form, written if it is not there.

    Images are uint8 (N, H, W) or (N, H, W, 3) and labels (N,) of each split; copies are in one split where medray
    draws the splits. There is no calibration split: medray takes its own from train.
    """
    from medray.data.load_data import load_data
    from medray.space.preparation import Preparation

    path = folder / f"{data_set.name}.npz"
    if path.is_file():
        return path
    preparation = Preparation.from_dict(data_set.preparation)
    dataset = load_data(data_set.source.format(data=data.absolute()), preparation=preparation)
    images = dataset.images[..., 0] if dataset.shape[2] == 1 else dataset.images
    arrays: dict[str, Any] = {"class_names": np.array(dataset.class_names)}
    for split in SPLITS:
        positions = dataset.splits[split]
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = images[positions], dataset.labels[positions]
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished.npz")
    np.savez(unfinished, **arrays)
    unfinished.rename(path)
    return path

"""What is searched for and what it may cost: the sections objective, budget and resources."""

import math

from medray.data.listing.listing import TRAIN, VAL
from medray.init.document import Line
from medray.init.proposal import Study

UNEVEN = 2.0  # times as many images in the largest class as in the smallest
LARGE_IMAGE = 64  # pixels of a side; beyond it a trial fills more of a GPU

#: Below so many training images: trials, epochs of a trial, and epochs before ASHA may stop it.
BUDGETS = ((200, 20, 60, 15), (2_000, 30, 40, 10), (20_000, 30, 30, 8), (math.inf, 20, 20, 5))


def imbalance(study: Study) -> float:
    """How many times larger the largest class of the training split is than the smallest that is there."""
    counts = [own for own in study.counts(TRAIN).values() if own]
    return float(max(counts) / min(counts))


def objective_lines(study: Study) -> list[Line]:
    """The metric that trials are ranked by: auc of two classes, else f1_macro of uneven ones, else accuracy."""
    counts, absent = study.counts(TRAIN), study.absent(TRAIN, VAL)
    large, small = max(counts, key=lambda own: counts[own]), min(counts, key=lambda own: counts[own])
    most, least = f"{large} ({counts[large]:,} in train)", f"{small} ({counts[small]:,})"
    if absent:
        told = f"each class counts the same; auc can't be measured, as {', '.join(absent)}"
        return [Line("metric", "f1_macro", told)]
    if len(counts) == 2:
        return [
            Line(
                "metric", "auc", f"two classes, {most} and {least}: how well they are told apart at any threshold"
            )
        ]
    ratio = imbalance(study)
    if ratio == 1:
        return [Line("metric", "accuracy", f"the classes are equally large, {counts[large]:,} in train each")]
    if ratio >= UNEVEN:
        told = f"each class counts the same, though {most} is {ratio:.1f} times as large as {least}"
        return [Line("metric", "f1_macro", told)]
    return [Line("metric", "accuracy", f"the classes are about equally large, from {least} to {most}")]


def budget_lines(study: Study) -> list[Line]:
    """Trials and epochs by the number of training images."""
    _, trials, epochs, grace = next(own for own in BUDGETS if study.train < own[0])
    return [
        Line("trials", trials, "the baseline among them; more find more, `--resume --trials` goes on later"),
        Line("max_epochs", epochs, f"of a trial; an epoch is {study.train:,} training images"),
        Line("grace_epochs", grace, "ASHA stops no trial before this epoch"),
        Line("reduction_factor", 2, "after it, at each doubling, those below the median"),
        Line("patience", grace, "a trial ends after so many epochs without a better objective"),
    ]


def resource_lines(study: Study) -> list[Line]:
    """A core, and a part of a GPU by the images' size."""
    height, width, _ = study.shape
    part, trials = (0.5, "two") if max(height, width) > LARGE_IMAGE else (0.25, "four")
    told = f"{trials} trials share a GPU at {height}×{width}; taken only where there is one"
    return [Line("cpu", 1), Line("gpu", part, told)]

"""Set an ensemble's operating points and conformal sets, by its answers to images kept for them."""

from collections.abc import Sequence

from medray.decisions.conformal import ConformalSets, calibrate, calibrate_label
from medray.decisions.thresholds import OperatingPoint, Rule, set_point
from medray.ensemble.calibrate_ensemble import CalibratedSelection
from medray.stats.label_sets import has_both


def set_points(
    rules: Sequence[Rule], positive: str | None, answers: CalibratedSelection, names: Sequence[str]
) -> tuple[list[OperatingPoint], list[str]]:
    """Return the operating points, and of several labels those that have none: no image of theirs tells one.

    Where images may have several labels and none is named, each label gets its own.

    Raises:
        ConfigError: no class is named, or another one than there are.
        DataError: all or none of the images are of the class that is named.
    """
    task = answers.selection.task
    every = task.label_sets and positive is None
    points, skipped = [], []
    for name in names if every else [positive]:
        if every and not has_both(answers.labels[:, names.index(str(name))]):
            skipped += [str(name)] if rules else []
            continue
        points += [
            set_point(
                rule, answers.probabilities, answers.labels, names, name, answers.set_on, answers.groups,
                cut=task.cuts,
            )
            for rule in rules
        ]  # fmt: skip
    return points, skipped


def calibrate_sets(
    coverages: Sequence[float], answers: CalibratedSelection, names: Sequence[str]
) -> list[ConformalSets]:
    """Return the conformal sets of each coverage; of several labels those of each label that some image tells."""
    task, set_on, groups = answers.selection.task, answers.set_on, answers.groups
    table, labels = answers.probabilities, answers.labels
    if not task.label_sets:
        method = task.set_method(len(names))
        return [
            calibrate(table, labels, coverage, method, set_on=set_on, groups=groups)
            for coverage in dict.fromkeys(coverages)
        ]
    of_labels = [
        calibrate_label(event, table, labels, coverage, set_on=set_on, groups=groups)
        for coverage in dict.fromkeys(coverages)
        for event in task.events(names)
    ]
    return [sets for sets in of_labels if sets is not None]

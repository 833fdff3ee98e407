"""The figures on other images beside those of the run's own test split: only what answers the same question."""

from collections.abc import Mapping, Sequence

from medray.decisions.conformal import ConformalSets
from medray.decisions.thresholds import OperatingPoint
from medray.evaluate.external.documents import Beside, ExternalComparison, ExternalScores, estimate
from medray.evaluate.external.figures import ExternalFigures
from medray.evaluate.scores_document import ReadScores
from medray.stats.bootstrap import Estimate
from medray.tasks import TASKS

OTHER_LABELS = "it is over other labels than the internal one"


def point_key(point: OperatingPoint) -> str:
    """Return the key of an operating point among others of its ensemble."""
    return f"{point.name} {point.positive}"


def sets_key(sets: ConformalSets) -> str:
    """Return the key of conformal sets among others of their ensemble: their coverage, and their label if any."""
    return f"{sets.coverage:.4g}" + ("" if sets.event is None else f" {sets.event.name}")


def compare_with_internal(external: ExternalScores, internal: ReadScores) -> ExternalComparison:
    """Return the figures of a reading of other images beside those of a read of the test split by one ensemble."""
    figures = external.figures
    without = None if external.copies is None else external.copies.figures
    points = {point_key(p): p.test for p in figures.operating_points}
    internal_points = {point_key(p): p.test for p in internal.operating_points}
    return ExternalComparison(
        read=internal.read,
        time=internal.time,
        images=internal.images,
        scores=_scores_beside(external.task, figures, internal),
        without_copies={} if without is None else _scores_beside(external.task, without, internal),
        class_auc=_beside(
            {row.name: row.auc for row in figures.per_class}, {row.name: row.auc for row in internal.per_class}
        ),
        class_recall=_beside(
            {row.name: estimate(row.recall) for row in figures.per_class},
            {row.name: estimate(row.recall) for row in internal.per_class},
        ),
        cut_auc=_beside(
            {cut.event.name: cut.auc for cut in figures.cuts}, {cut.event.name: cut.auc for cut in internal.cuts}
        ),
        sensitivity=_beside(
            {name: estimate(rates.sensitivity) for name, rates in points.items()},
            {name: estimate(rates.sensitivity) for name, rates in internal_points.items()},
        ),
        specificity=_beside(
            {name: estimate(rates.specificity) for name, rates in points.items()},
            {name: estimate(rates.specificity) for name, rates in internal_points.items()},
        ),
        coverage=_beside(
            {sets_key(sets): estimate(sets.test.covered) for sets in figures.conformal_sets},
            {sets_key(sets): estimate(sets.test.covered) for sets in internal.conformal_sets},
        ),
    )


def _scores_beside(task: str, figures: ExternalFigures, internal: ReadScores) -> dict[str, Beside]:
    """Return the scores beside the internal ones; those over several labels differ only where the labels agree."""
    rows = _beside(figures.scores, internal.models[0].scores)
    if not TASKS[task].label_sets:
        return rows
    other = Estimate(None, None, None, OTHER_LABELS)
    return {
        name: row
        if labels_of(name, figures.confusion_matrix) == labels_of(name, internal.confusion_matrix)
        else Beside(row.external, row.internal, other)
        for name, row in rows.items()
    }


def labels_of(score: str, confusion: Sequence[Sequence[int]]) -> set[int]:
    """Return the labels that a score of label sets is over, by how many images of each label are what.

    The counts of `confusion` (labels, 4) are: with it and called, with it and not, without it and called, and not.
    """
    with_it = {i for i, row in enumerate(confusion) if row[0] + row[1]}
    without = {i for i, row in enumerate(confusion) if row[2] + row[3]}
    if score == "auc":
        return with_it & without
    if score in ("average_precision", "f1_macro"):
        return with_it
    return with_it | without


def _beside(external: Mapping[str, Estimate], internal: Mapping[str, Estimate]) -> dict[str, Beside]:
    return {name: Beside.of(figure, internal[name]) for name, figure in external.items() if name in internal}

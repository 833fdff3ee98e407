"""The documents of one reading of other images: begun.json, scores.json, and both beside the run's own figures."""

from collections.abc import Mapping
from dataclasses import dataclass

from medray.evaluate.external.class_map import MappedClass
from medray.evaluate.external.copies import CopyCounts
from medray.evaluate.external.figures import ExternalFigures
from medray.evaluate.external.recalibration import LocalRecalibration
from medray.evaluate.external.shifts import Shifts
from medray.evaluate.scores_document import ReadFacts, ReadScores
from medray.json_document import JsonDocument
from medray.stats.bootstrap import Estimate
from medray.stats.rates import Proportion
from medray.stats.score_gap import score_gap


@dataclass(frozen=True)
class ExternalFacts(ReadFacts):
    """begun.json: as that of a read of the test split, of other images.

    `test` is the SHA-256 of the images as they are in their `source`, whatever their order and labels, `data` that
    of the data set that was made of them. `classes` say what became of each of their classes.
    """

    source: str
    classes: tuple[MappedClass, ...]


@dataclass(frozen=True)
class ExternalScores(ExternalFacts):
    """scores.json: the facts of the reading, and what the ensemble is worth on these images.

    `copies` and `shifts` are None where the run's own data can't be had: `problem` says why. `notes` are those of
    the source.
    """

    seed: int
    task: str
    metric: str
    class_names: tuple[str, ...]
    figures: ExternalFigures
    recalibration: LocalRecalibration
    shifts: Shifts | None
    copies: CopyCounts | None
    problem: str | None
    notes: tuple[str, ...]

    def check(self) -> None:
        """Check that every class has its figures."""
        if [row.name for row in self.figures.per_class] != list(self.class_names):
            raise ValueError("per_class is not of its class_names")


@dataclass(frozen=True)
class Beside(JsonDocument):
    """A figure on the other images and on the run's own test split, and the difference with its interval."""

    external: Estimate
    internal: Estimate
    difference: Estimate

    @classmethod
    def of(cls, external: Estimate, internal: Estimate) -> "Beside":
        """Return both figures with the difference, of independent images (`medray.stats.score_gap`)."""
        return cls(external, internal, score_gap(external, internal))


@dataclass(frozen=True)
class ExternalComparison(JsonDocument):
    """An ensemble's figures on other images beside those of the read `read` of its own test split.

    `scores` are by score, `without_copies` those of the images without copies, empty where there are none;
    `class_auc` and `class_recall` are by class, `cut_auc` by cut of grades, `sensitivity` and `specificity` by
    operating point, `coverage` by the coverage of conformal sets.
    """

    read: int
    time: str
    images: int
    scores: dict[str, Beside]
    without_copies: dict[str, Beside]
    class_auc: dict[str, Beside]
    class_recall: dict[str, Beside]
    cut_auc: dict[str, Beside]
    sensitivity: dict[str, Beside]
    specificity: dict[str, Beside]
    coverage: dict[str, Beside]


def compare_with_internal(external: ExternalScores, internal: ReadScores) -> ExternalComparison:
    """Return the figures of a reading of other images beside those of a read of the test split by one ensemble."""
    figures, ensemble = external.figures, internal.models[0].scores
    without = None if external.copies is None else external.copies.figures
    points = {p.name + " " + p.positive: p.test for p in figures.operating_points}
    internal_points = {p.name + " " + p.positive: p.test for p in internal.operating_points}
    return ExternalComparison(
        read=internal.read,
        time=internal.time,
        images=internal.images,
        scores=_beside(figures.scores, ensemble),
        without_copies={} if without is None else _beside(without.scores, ensemble),
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
            {f"{sets.coverage:.4g}": estimate(sets.test.covered) for sets in figures.conformal_sets},
            {f"{sets.coverage:.4g}": estimate(sets.test.covered) for sets in internal.conformal_sets},
        ),
    )


def _beside(external: Mapping[str, Estimate], internal: Mapping[str, Estimate]) -> dict[str, Beside]:
    return {name: Beside.of(figure, internal[name]) for name, figure in external.items() if name in internal}


def estimate(share: Proportion) -> Estimate:
    """Return a share as an estimate; one of no images has no value."""
    return Estimate(share.value, share.low, share.high, share.reason or (None if share.total else "no image"))

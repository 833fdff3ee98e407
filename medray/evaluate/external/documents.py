"""The documents of one reading of other images: begun.json, scores.json, and both beside the run's own figures."""

from dataclasses import dataclass

from medray.evaluate.external.class_map import MappedClass
from medray.evaluate.external.copies import CopyCounts
from medray.evaluate.external.figures import ExternalFigures
from medray.evaluate.external.recalibration import LocalRecalibration
from medray.evaluate.external.shifts import Shifts
from medray.evaluate.scores_document import ReadFacts
from medray.json_document import JsonDocument
from medray.stats.bootstrap import Estimate
from medray.stats.case_rule import CaseRule
from medray.stats.rates import Proportion
from medray.stats.score_gap import score_gap
from medray.text import plural


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

    `rule` says how images made cases, None where each image has its own answer: then whatever counts images in
    `recalibration` counts cases. `copies` and `shifts` are None where the run's own data can't be had: `problem`
    says why. `notes` are those of the source.
    """

    seed: int
    task: str
    metric: str
    class_names: tuple[str, ...]
    rule: CaseRule | None
    figures: ExternalFigures
    recalibration: LocalRecalibration
    shifts: Shifts | None
    copies: CopyCounts | None
    problem: str | None
    notes: tuple[str, ...]

    @property
    def sample(self) -> str:
        """What was measured, in words: images, or cases of so many images."""
        figures = self.figures
        images = plural(figures.images, "image") + (f" of {figures.patients} patients" if figures.patients else "")
        if self.rule is None or figures.cases is None:
            return images
        return f"{plural(figures.cases, 'case')}, {self.rule.text} ({images})"

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
    operating point, `coverage` by the coverage of conformal sets, and by their label where an image has several. A
    score over several labels has no difference where these are not the same on both sides.
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


def estimate(share: Proportion) -> Estimate:
    """Return a share as an estimate; one of no images has no value."""
    return Estimate(share.value, share.low, share.high, share.reason or (None if share.total else "no image"))

"""The documents of one read of the test split: begun.json and scores.json."""

from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.decisions.conformal import ConformalSets, SetSummary, summarize_sets
from medray.decisions.thresholds import OperatingPoint
from medray.evaluate.cut_scores import CutScores
from medray.evaluate.reviewed_scores import ReviewedScores
from medray.evaluate.subgroup_rates import SubgroupRates
from medray.json_document import JsonDocument
from medray.runs.run_facts import check_metric, check_task
from medray.stats.bootstrap import Estimate
from medray.stats.case_rule import CaseRule
from medray.stats.class_scores import ClassScores
from medray.stats.compare import PairedComparison
from medray.stats.label_set_predictions import AnyPredictions
from medray.stats.rates import Proportion, Rates, measure_rates, share_of
from medray.stats.subgroups import SubgroupScores
from medray.tasks import TASKS


@dataclass(frozen=True)
class ReadFacts(JsonDocument):
    """begun.json: the number of the read in its run, from 1, its time, and SHA-256 digests of what was read.

    `time` is ISO 8601 in UTC, `ensemble` the digest of the manifest, `data` that of the data set, `test` that of
    the test split's images, before arrays were resized, and labels (`LabelledImages.fingerprint`), `medray` the
    version. `uuid` is the read's own, which it keeps where its run is moved or copied.
    """

    read: int
    time: str
    ensemble: str
    data: str
    test: str
    medray: str
    uuid: str


@dataclass(frozen=True)
class ModelScores(JsonDocument):
    """All scores of one model, each with its interval, by name; `networks` is the number of its members."""

    name: str
    networks: int
    scores: dict[str, Estimate]


@dataclass(frozen=True)
class EnsembleComparison(PairedComparison):
    """The ensemble, `reference`, against another model, with the verdict in words.

    `primary` is the comparison that was named beforehand. The others are a family: `adjusted_p` is by Holm's
    correction, and the verdict is by it.
    """

    primary: bool
    adjusted_p: float | None
    verdict: str


@dataclass(frozen=True)
class PointOnTest(OperatingPoint):
    """An operating point as it was set before the read, and its rates on the test images."""

    test: Rates

    @classmethod
    def of(cls, point: OperatingPoint, predictions: AnyPredictions, groups: Array | None = None) -> "PointOnTest":
        """Return a point with its rates on the images of `predictions` (N,), of patients `groups` (N,)."""
        scores, having, groups = point.event.answers(predictions.probabilities, predictions.labels, groups)
        rates = measure_rates(scores, having, point.threshold, groups)
        return cls(**vars(point), test=rates)


@dataclass(frozen=True)
class SetsOnTest(ConformalSets):
    """Conformal sets as they were calibrated before the read, and how they did on the test images.

    Of a label `having` is the share of the images with it whose sets hold that they may have it.
    """

    test: SetSummary
    having: Proportion | None

    @classmethod
    def of(cls, sets: ConformalSets, predictions: AnyPredictions, groups: Array | None = None) -> "SetsOnTest":
        """Return sets with their summary on the images of `predictions` (N,), of patients `groups` (N,)."""
        probabilities, labels = predictions.probabilities, predictions.labels
        if sets.event is not None:
            known = sets.event.known(labels)
            probabilities, labels = probabilities[known], sets.event.of(labels[known]).astype(np.int64)
            groups = None if groups is None else groups[known]
        inside, having = sets.sets(probabilities), None
        summary = summarize_sets(inside, labels, groups)
        if sets.event is not None:
            rows = labels == 1
            having = share_of(inside[rows, 1], None if groups is None else groups[rows])
        return cls(**vars(sets), test=summary, having=having)


@dataclass(frozen=True)
class CaseScores(JsonDocument):
    """The number of `cases` that the images make by a rule, and the scores of the ensemble `by_image`, by name.

    Those by image are of the same ensemble, with its temperature, asked about each image alone.
    """

    rule: CaseRule
    cases: int
    by_image: dict[str, Estimate]


@dataclass(frozen=True)
class Scores(JsonDocument):
    """All scores of all models on the test images; the first of `models` is the ensemble.

    Where the run has `cases`, all scores are of these, and whatever counts images below `models` counts cases.

    `seed` and `resamples` are the bootstrap's, `task` and `metric` are the run's; `patients` is None where they
    are unknown. All fields from `confusion_matrix` (images by true class, then by predicted class; of several
    labels an image, by label: with it and called, with it and not, without it and called, and not) on are of the
    ensemble; `cuts` are those between grades, none where the task has no order; `subgroup_rates` has an entry for
    each column of subgroups and operating point.
    """

    seed: int
    task: str
    metric: str
    images: int
    cases: CaseScores | None
    patients: int | None
    class_names: tuple[str, ...]
    resamples: int
    models: tuple[ModelScores, ...]
    comparisons: tuple[EnsembleComparison, ...]
    confusion_matrix: tuple[tuple[int, ...], ...]
    per_class: tuple[ClassScores, ...]
    cuts: tuple[CutScores, ...]
    operating_points: tuple[PointOnTest, ...]
    conformal_sets: tuple[SetsOnTest, ...]
    subgroups: dict[str, tuple[SubgroupScores, ...]]
    subgroup_rates: tuple[SubgroupRates, ...]

    @property
    def answered(self) -> int:
        """How many answers were measured: one a case, or one an image."""
        return self.images if self.cases is None else self.cases.cases

    @property
    def unit(self) -> str:
        """What an answer is of: "case" or "image"."""
        return "image" if self.cases is None else "case"

    @property
    def resampled(self) -> str:
        """What intervals are by: "patient", "case" or "image"."""
        return "patient" if self.patients else self.unit

    @property
    def sample(self) -> str:
        """What was measured, in words, such as `60 test cases, each the mean of all images of one patient`."""
        of_patients = f" of {self.patients} patients" if self.patients else ""
        if self.cases is None:
            return f"{self.images} test images{of_patients}"
        return f"{self.cases.cases} test cases, {self.cases.rule.text} ({self.images} images{of_patients})"

    def check(self) -> None:
        """Check that the metric is known, there is a model, and the classes are as many everywhere."""
        check_task(self.task)
        check_metric(self.metric)
        classes = len(self.class_names)
        if not self.models:
            raise ValueError("it has no models")
        for model in self.models:
            if missing := [name for name in TASKS[self.task].scores if name not in model.scores]:
                raise ValueError(f"the scores of '{model.name}' lack '{missing[0]}'")
        columns = 4 if TASKS[self.task].label_sets else classes
        if len(self.per_class) != classes or [len(row) for row in self.confusion_matrix] != [columns] * classes:
            raise ValueError(f"per_class or confusion_matrix is not of {classes} classes")
        if len(self.cuts) != (classes - 1 if TASKS[self.task].cuts else 0):
            raise ValueError(f"cuts are not those of {classes} classes")


@dataclass(frozen=True)
class WithoutCopies(JsonDocument):
    """The ensemble's scores, by name, on the `images` test images without the `copies`.

    `copies` counts the test images of which a copy, or the patient, is in another split. `scores` has the run's
    metric, accuracy and AUC, and is empty where too few images are left.
    """

    images: int
    copies: int
    scores: dict[str, Estimate]


@dataclass(frozen=True)
class ReadScores(Scores, ReadFacts):
    """scores.json: the facts of the read, all scores, and the leaks in the data in one line each.

    `reviewed` is of the ensemble. `without_copies` is None where no test image has a copy or its patient in train
    or val.
    """

    leaks: tuple[str, ...]
    reviewed: ReviewedScores
    without_copies: WithoutCopies | None

    def check(self) -> None:
        """Check, beside all scores, that each operating point has its likelihood ratios."""
        super().check()
        if len(self.reviewed.likelihood_ratios) != len(self.operating_points):
            raise ValueError("likelihood_ratios are not those of its operating_points")

"""Predictions of the ensemble, or of the best trial, on images that it was not trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from medray._types import Array
from medray.analyze.open_runs import RunSnapshot
from medray.analyze.read_training import RUNNING
from medray.decisions.temperature import apply_temperatures
from medray.ensemble.averaging import average
from medray.ensemble.candidates import FOLDS, SELECTED_ON, TRIALS
from medray.ensemble.manifest import Manifest
from medray.errors import RunError
from medray.evaluate.evaluated_models import ENSEMBLE
from medray.evaluate.test_reads import TestRead
from medray.runs.fold_results import CrossvalTrial
from medray.runs.folder import read_arrays
from medray.runs.leaderboard import rank, usable
from medray.runs.rundir import TrialDir, read_predictions
from medray.space.published import TEST
from medray.stats.case_rule import CaseRule
from medray.stats.cases import CaseIndex
from medray.stats.events import Answers, Event
from medray.stats.label_set_predictions import LabelSetPredictions
from medray.stats.validate import check_label_sets, check_labelled
from medray.tasks import SEVERAL, SINGLE, TASKS

VAL, OUT_OF_FOLD = SELECTED_ON[TRIALS], SELECTED_ON[FOLDS]
SOURCE_TITLES = {VAL: "validation", OUT_OF_FOLD: "out-of-fold", TEST: "test"}
THE_ENSEMBLE = "the ensemble"
OUT_OF_FOLD_AVERAGE = "the networks of the ensemble that did not see the image, a smaller average,"


@dataclass(frozen=True, eq=False)
class ModelPredictions:
    """Probabilities (n, classes) of one model for images with labels (n,), or with several, (n, classes).

    `model` is its name in a sentence, `source` one of `SOURCE_TITLES`; `positions` (n,) are the images' indices in
    the data set where known. With `by_case` the answers are to cases, and positions are those of their first
    images.
    """

    model: str
    source: str
    probabilities: Array
    labels: Array
    positions: Array | None = None
    by_case: bool = False

    @property
    def images(self) -> str:
        """The images, or cases, in words, such as `24 validation images`."""
        return f"{len(self.labels)} {SOURCE_TITLES[self.source]} {'cases' if self.by_case else 'images'}"

    @property
    def predicted(self) -> Array:
        """The likeliest class of each image, int64 (n,), where each is of one class."""
        predicted: Array = self.probabilities.argmax(axis=1)
        return predicted

    @property
    def noun(self) -> str:
        """What a class is called."""
        return (SINGLE if self.label_sets is None else SEVERAL).noun

    @property
    def nouns(self) -> str:
        """What the classes are called."""
        return (SINGLE if self.label_sets is None else SEVERAL).nouns

    @cached_property
    def label_sets(self) -> LabelSetPredictions | None:
        """The same predictions where an image may have several labels, or none; None where it has one class.

        Raises:
            DataError: the arrays can't be used.
        """
        if self.labels.ndim == 1:
            return None
        return LabelSetPredictions(self.probabilities, self.labels, self.probabilities.shape[1])

    @property
    def mistakes(self) -> int:
        """The number of images that are got wrong, or of wrong answers where an image may have several labels."""
        if self.label_sets is not None:
            return int(self.label_sets.wrong.sum())
        return int((self.predicted != self.labels).sum())

    def answers(self, event: Event) -> Answers:
        """Return the event's probabilities, and which images have it, of the images of which that is known."""
        return event.answers(self.probabilities, self.labels)


def selection_predictions(
    snapshot: RunSnapshot, manifest: Manifest | None, crossval_trials: Sequence[CrossvalTrial]
) -> ModelPredictions | None:
    """Return the ensemble's predictions of the images it was selected on, or the best trial's of validation.

    The best trial stands in where there is no ensemble; None where no trial has ended.

    Raises:
        RunError: predictions of a member are missing or damaged.
    """
    rule = snapshot.run.read_data().cases
    if manifest is None:
        ranked = rank((r for r in usable(snapshot.records) if r.state != RUNNING), snapshot.mode)
        if not ranked:
            return None
        folder, epoch = snapshot.run.trial(ranked[0].number), ranked[0].best_epoch
        predicted = read_predictions(folder, epoch, rule)
        positions = _first_images(_val_positions(snapshot), folder, rule)
        return ModelPredictions(f"trial {ranked[0].number}", VAL, *predicted, positions, rule is not None)
    weights: dict[int, float] = {}
    for member in manifest.members:
        weights[member.trial] = weights.get(member.trial, 0.0) + member.weight
    source = manifest.selected_on.predictions
    if source == VAL:
        epochs = {record.number: record.best_epoch for record in snapshot.records}
        if missing := [number for number in weights if number not in epochs]:
            raise RunError(f"trial {missing[0]}, a member of the ensemble, is not in {snapshot.run.location}")
        by_trial = [read_predictions(snapshot.run.trial(number), epochs[number], rule) for number in weights]
        tables, labels = [table for table, _ in by_trial], by_trial[0][1]
        positions = _first_images(_val_positions(snapshot), snapshot.run.trial(next(iter(weights))), rule)
    else:
        by_number = {trial.number: trial for trial in crossval_trials}
        if missing := [number for number in weights if number not in by_number]:
            trial = f"trial {missing[0]}, a member of the ensemble,"
            raise RunError(f"{trial} has no finished cross-validation any more")
        members = [by_number[number] for number in weights]
        tables, labels, positions = [m.answers for m in members], members[0].answered_labels, members[0].positions
        positions = positions if members[0].cases is None else positions[members[0].cases.first]
    if len({table.shape for table in tables}) > 1:
        raise RunError("the ensemble's members were measured on different images")
    sets = TASKS[manifest.task].label_sets
    mean = apply_temperatures(average(tables, list(weights.values()), label_sets=sets), manifest.temperatures)
    model = THE_ENSEMBLE if source == VAL else OUT_OF_FOLD_AVERAGE
    return ModelPredictions(model, source, mean, labels, positions, rule is not None)


def stored_predictions(read: TestRead, *, by_case: bool = False) -> ModelPredictions | None:
    """Return the ensemble's predictions of the test images that the read has stored, None if it stored none.

    With `by_case` they are of cases.

    Raises:
        RunError: the file is missing or damaged.
    """
    models, labels = read.predictions()
    if ENSEMBLE not in models:
        return None
    check = check_label_sets if labels.ndim == 2 else check_labelled
    check(models[ENSEMBLE], labels)
    return ModelPredictions(THE_ENSEMBLE, TEST, models[ENSEMBLE], labels, by_case=by_case)


def _first_images(positions: Array | None, folder: TrialDir, rule: CaseRule | None) -> Array | None:
    """Return the positions of the first image of each case that a training predicted, or else `positions`."""
    if positions is None or rule is None:
        return positions
    (numbers,) = read_arrays(folder, folder.PREDICTIONS, "cases")
    return positions[CaseIndex(rule, numbers).first] if len(numbers) == len(positions) else None


def _val_positions(snapshot: RunSnapshot) -> Array | None:
    """Return the validation images' indices in the data set; None, with a note, where they can't be read."""
    try:
        return snapshot.run.read_splits()["val"]
    except (RunError, OSError, KeyError):
        path = snapshot.run.path(snapshot.run.SPLITS)
        snapshot.notes.append(f"{path} can't be read: which images are for validation is not known")
        return None

"""RunDir: every path of a run, in a folder or at a URI.

    runs/organs/
      run.json                                      the options and versions, written at each start
      space.yaml data.json splits.json              written once
      ood.json ood.safetensors                      the out-of-distribution detector
      looks.json                                    how its images look: brightness and the like
      search.json                                   the time that the search has used, and why it ended
      warm_start.json                               what it knows of earlier runs, if any were given
      study.journal                                 the Optuna study (optuna-dashboard opens it)
      tune/                                         Ray's own
      trials/0007/  config.json epochs.jsonl weights.safetensors val_predictions.npz trial.json
      trunks/       SHA256.safetensors              what trainings never change, once for all of them
      leaderboard.csv
      crossval/     plan.json folds.json 0007/fold_3/ (the same files as a trial's)
                    nested/fold_3/  a search inside the fold: trials/ and the rest, as of a run
      selection.json                                the selections of members that were compared
      ensemble/     manifest.json members/*.safetensors
      evaluation/   each read of the test split, and its scores
      report/       index.html
      tracking/     run.json (its identity) tensorboard/ wandb/: what trackers that people have are given

`trial.json` is written last: without it the training has not ended, and goes on from `checkpoint.safetensors`.
Tensors of a frozen trunk are in neither of a training's two safetensors files: their metadata names the trunk's
(`medray/runs/trunks.py`). An ensemble's members are complete.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medray._types import Array
from medray.data.folds import Folds
from medray.errors import DataError, RunError
from medray.files import UNFINISHED
from medray.runs.crossval_documents import BaselineGain, CrossvalPlan, CrossvalSummary, NestedFold, NestedPlan
from medray.runs.folder import Folder, read_arrays
from medray.runs.run_facts import DataFacts, RunFacts, SearchState
from medray.runs.selection_facts import SelectionComparison
from medray.runs.trial_record import EpochRecord, TrialRecord
from medray.runs.warm_starts import WarmStart
from medray.space.loading import parse
from medray.space.search_space import SearchSpace
from medray.stats.case_rule import ATTENTION, CaseRule
from medray.stats.cases import CaseIndex
from medray.stats.outputs import Outputs
from medray.stats.validate import check_label_sets, check_labelled

MANIFEST = "manifest.json"  # of an ensemble, whose folder can be copied out of its run


@dataclass(frozen=True)
class TrialDir(Folder):
    """The folder of one trial (or of one fold), in the folder `run`; without one it is a run of its own."""

    run: str = ""

    CONFIG, EPOCHS, CHECKPOINT = "config.json", "epochs.jsonl", "checkpoint.safetensors"
    WEIGHTS, PREDICTIONS, RECORD = "weights.safetensors", "val_predictions.npz", "trial.json"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.location, self.run)

    @property
    def trunks(self) -> Folder:
        """The folder of the trunks that the run's trainings share."""
        return Folder(self.run or self.location).child("trunks")

    def epochs(self) -> list[EpochRecord]:
        """Return the epochs so far, none before the first has finished.

        Raises:
            RunError: the file is damaged.
        """
        path = self.path(self.EPOCHS)
        try:
            lines = [json.loads(line) for line in self.read(self.EPOCHS).splitlines() if line.strip()]
        except FileNotFoundError:
            return []
        except ValueError as error:
            raise RunError(f"{path} is damaged: {error}") from None
        return [EpochRecord.from_dict(line, path) for line in lines]

    def write_epochs(self, epochs: Sequence[EpochRecord]) -> None:
        """Write the records of all epochs so far."""
        lines = (json.dumps(epoch.to_dict(), allow_nan=False) + "\n" for epoch in epochs)
        self.write(self.EPOCHS, "".join(lines).encode())

    def record(self) -> TrialRecord | None:
        """Return how the trial ended, or None while it runs."""
        return self.read_document(self.RECORD, TrialRecord) if self.exists(self.RECORD) else None

    def make_record(
        self, number: int, state: str, *, baseline: str | None = None, reason: str | None = None,
        ended_by: str | None = None, traceback: str | None = None, worker_died: bool = False,
    ) -> TrialRecord:  # fmt: skip
        """Return the record of a training that ends now, from the epochs and settings in this folder."""
        epochs = self.epochs()
        last = epochs[-1] if epochs else None
        settings = self.read_json(self.CONFIG)
        return TrialRecord(
            number=number,
            state=state,
            baseline=baseline,
            reason=reason,
            objective=last.objective if last else None,
            best_epoch=last.best_epoch if last else 0,
            epochs=len(epochs),
            seconds=sum(epoch.seconds for epoch in epochs),
            ended_by=ended_by,
            metrics=last.best if last else {},
            parameters=last.parameters if last else 0,
            settings={name: value for name, value in settings.items() if name != "pipeline"},
            traceback=traceback,
            worker_died=worker_died,
        )

    def discard(self) -> None:
        """Delete the folder of a training that has done no epoch, and is to begin anew."""
        system, root = self._opened
        system.delete_dir(root)

    def write_record(self, record: TrialRecord) -> None:
        """End the trial: write its record, then delete what only a running trial needs."""
        self.write_json(self.RECORD, record.to_dict())
        for name in self.names():
            if name == self.CHECKPOINT or UNFINISHED in name:  # a killed worker's unfinished file
                self.delete(name)


class CrossvalDir(Folder):
    """The folder of a cross-validation."""

    PLAN, FOLDS, GAIN = "plan.json", "folds.json", "gain.json"
    SCORES, ISSUES, SHEET = "scores.csv", "label_issues.csv", "label_issues.png"
    SUMMARY, PREDICTIONS = "summary.json", "out_of_fold.npz"  # in the folder of a setting

    def read_plan(self) -> CrossvalPlan:
        """Return the plan; RunError where it is missing or damaged."""
        return self.read_document(self.PLAN, CrossvalPlan)

    def read_folds(self) -> Folds:
        """Return the folds; RunError where they are missing or damaged."""
        return Folds.from_dict(self.read_json(self.FOLDS), self.path(self.FOLDS))

    def read_summary(self, number: int) -> CrossvalSummary:
        """Return the summary of trial `number`'s settings; RunError where it is missing or damaged."""
        return self.trial(number).read_document(self.SUMMARY, CrossvalSummary)

    def read_gain(self) -> BaselineGain | None:
        """Return the gain over the best baseline, None where none was folded; RunError where it is damaged."""
        return self.read_document(self.GAIN, BaselineGain) if self.exists(self.GAIN) else None

    def trial(self, number: int) -> Folder:
        """Return the folder of trial `number`'s settings."""
        return self.child(f"{number:04d}")

    def fold(self, number: int, fold: int) -> TrialDir:
        """Return the folder of one fold of trial `number`'s settings."""
        run = self.parent
        assert run is not None
        return TrialDir(self.child(f"{number:04d}", f"fold_{fold}").location, run.location)

    def trained_folds(self) -> Iterator[tuple[int, int]]:
        """Yield the number of the trial and of the fold of every fold that has a folder, in order."""
        for setting in self.names():
            if setting.isdecimal():
                folds = [re.fullmatch(r"fold_(\d+)", name) for name in self.child(setting).names()]
                for fold in sorted(int(match[1]) for match in folds if match):
                    yield int(setting), fold


class RunDir(Folder):
    """The folder of one run; its `read_` methods raise RunError where the file is missing or damaged."""

    RUN, SPACE, DATA, SPLITS = "run.json", "space.yaml", "data.json", "splits.json"
    STATE, WARM_START = "search.json", "warm_start.json"
    LEADERBOARD, STUDY, SELECTION = "leaderboard.csv", "study.journal", "selection.json"
    OOD, OOD_TENSORS, LOOKS = "ood.json", "ood.safetensors", "looks.json"
    ENSEMBLE, EVALUATION = "ensemble", "evaluation"
    REPORT = "index.html"  # in the folder `report`

    def begun(self) -> bool:
        """Return whether there is a run in the folder.

        Raises:
            RunError: the folder can't be reached: no access, no such host, a URI that its file system refuses.
        """
        try:
            return self.exists(self.RUN)
        except (OSError, ValueError) as error:
            raise RunError(f"{self.location} can't be reached: {' '.join(str(error).split())}") from None

    def read_facts(self) -> RunFacts:
        """Return what run.json says of the search."""
        return self.read_document(self.RUN, RunFacts)

    def read_state(self) -> SearchState:
        """Return what search.json says; before the first trial, that no time is used."""
        return self.read_document(self.STATE, SearchState) if self.exists(self.STATE) else SearchState()

    def read_warm_start(self) -> WarmStart:
        """Return what the search took from earlier runs: nothing where none was given."""
        return self.read_document(self.WARM_START, WarmStart) if self.exists(self.WARM_START) else WarmStart()

    def read_data(self) -> DataFacts:
        """Return what data.json says of the data set."""
        return self.read_document(self.DATA, DataFacts)

    def read_space(self) -> SearchSpace:
        """Return the search space as it was searched; its ConfigError if its text is none."""
        try:
            return parse(self.read(self.SPACE).decode(), self.path(self.SPACE))
        except (OSError, UnicodeDecodeError) as error:
            raise RunError(f"{self.path(self.SPACE)} can't be read: {error}") from None

    def read_splits(self) -> dict[str, Array]:
        """Return the positions in the data set, int64 (n,), of each split's images."""
        content, path = self.read_json(self.SPLITS), self.path(self.SPLITS)
        try:
            splits = {str(name): np.array(positions) for name, positions in content.items()}
        except (AttributeError, TypeError, ValueError) as error:
            raise RunError(f"{path} is damaged: {error}") from None
        for name, positions in splits.items():
            if positions.ndim != 1 or (len(positions) and (positions.dtype.kind != "i" or positions.min() < 0)):
                raise RunError(f"{path} is damaged: split '{name}' is no list of positions")
        return {name: positions.astype(np.int64) for name, positions in splits.items()}

    def read_selections(self) -> SelectionComparison | None:
        """Return the comparison that `medray ensemble` wrote, None where the search made the ensemble."""
        return self.read_document(self.SELECTION, SelectionComparison) if self.exists(self.SELECTION) else None

    @property
    def ensemble(self) -> Folder:
        """The folder of the ensemble."""
        return self.child(self.ENSEMBLE)

    @property
    def evaluation(self) -> Folder:
        """The folder of the reads of the test split."""
        return self.child(self.EVALUATION)

    @property
    def report(self) -> Folder:
        """The folder of the report."""
        return self.child("report")

    @property
    def crossval(self) -> CrossvalDir:
        """The folder of the cross-validation."""
        return CrossvalDir(self.child("crossval").location)

    def fold(self, number: int, fold: int) -> TrialDir:
        """Return the folder of one fold of trial `number`'s settings."""
        return self.crossval.fold(number, fold)

    @property
    def nested(self) -> "NestedDir":
        """The folder of the nested cross-validation."""
        return NestedDir(self.crossval.child("nested").location)

    @property
    def tune(self) -> Folder:
        """The folder that Ray Tune keeps for itself."""
        return self.child("tune")

    def trial(self, number: int) -> TrialDir:
        """Return the folder of trial `number`."""
        return TrialDir(self.child("trials", f"{number:04d}").location, self.location)

    @property
    def trunks(self) -> Folder:
        """The folder of the trunks that trainings share."""
        return self.child("trunks")

    def trial_numbers(self) -> list[int]:
        """Return the numbers of the trials that have a folder."""
        names = self.child("trials").names()
        return sorted(int(name) for name in names if re.fullmatch(r"\d{4,}", name))

    def records(self) -> Iterator[TrialRecord]:
        """Yield the records of all ended trials, by number."""
        for number in self.trial_numbers():
            record = self.trial(number).record()
            if record is not None:
                yield record


class NestedDir(Folder):
    """The folder of a nested cross-validation; a search inside a fold has a run's folder."""

    PLAN, FOLDS, SCORES = "plan.json", "folds.json", "scores.csv"
    FOLD, PREDICTIONS = "fold.json", "held_out.npz"  # in the folder of a fold

    def read_plan(self) -> NestedPlan:
        """Return the plan; RunError where it is missing or damaged."""
        return self.read_document(self.PLAN, NestedPlan)

    def read_folds(self) -> Folds:
        """Return the outer folds; RunError where they are missing or damaged."""
        return Folds.from_dict(self.read_json(self.FOLDS), self.path(self.FOLDS))

    def fold(self, number: int) -> RunDir:
        """Return the folder of the search inside an outer fold."""
        return RunDir(self.child(f"fold_{number}").location)

    def ended(self) -> list[NestedFold]:
        """Return the outer folds that have ended, in order; RunError where a file is damaged."""
        if not self.exists(self.PLAN):
            return []
        folders = [self.fold(number) for number in range(self.read_plan().folds)]
        return [f.read_document(self.FOLD, NestedFold) for f in folders if f.exists(self.FOLD)]


def read_predictions(folder: TrialDir, best_epoch: int, cases: CaseRule | None = None) -> tuple[Array, Array]:
    """Return a training's predictions of the images that it was measured on, and their labels.

    Probabilities are float32 (n, classes), labels int64 (n,). With a rule they are those of the cases.

    Raises:
        RunError: they are missing, damaged, or of another epoch than `best_epoch`.
    """
    outputs, labels = read_outputs(folder, best_epoch, cases)
    if cases is None:
        return outputs.probabilities, labels
    name = folder.path(folder.PREDICTIONS)
    (numbers,) = read_arrays(folder, folder.PREDICTIONS, "cases")
    if numbers.shape != labels.shape[:1] or numbers.dtype != np.int64:
        raise RunError(f"{name} is damaged: its cases are not those of {len(labels)} images")
    try:
        index = CaseIndex(cases, numbers)
        return index.answers(outputs.probabilities, outputs.scores), index.labels(labels)
    except DataError as error:
        raise RunError(f"{name} is damaged: {error}") from None


def read_outputs(folder: TrialDir, best_epoch: int, cases: CaseRule | None) -> tuple[Outputs, Array]:
    """Return a network's outputs of the images that it was measured on, and the labels (n,) of these.

    Raises:
        RunError: they are missing, damaged, or of another epoch than `best_epoch`.
    """
    name = folder.path(folder.PREDICTIONS)
    probabilities, labels, epoch = read_arrays(folder, folder.PREDICTIONS, "probabilities", "labels", "epoch")
    if epoch.shape or epoch != best_epoch:
        raise RunError(f"{name} is damaged: it is of epoch {epoch}, the trial's best is {best_epoch}")
    check_predictions(name, probabilities, labels)
    return Outputs(probabilities, read_scores(folder, folder.PREDICTIONS, cases, len(labels))), labels


def read_scores(folder: Folder, file_name: str, cases: CaseRule | None, images: int) -> Array | None:
    """Return attention's scores of so many images, float32 (n,), None where cases don't answer by attention.

    Raises:
        RunError: the file lacks them or they are damaged.
    """
    if cases is None or cases.answer != ATTENTION:
        return None
    (scores,) = read_arrays(folder, file_name, "attention")
    if scores.shape != (images,) or scores.dtype != np.float32 or not np.isfinite(scores).all():
        raise RunError(
            f"{folder.path(file_name)} is damaged: its attention is no score of each of {images} images"
        )
    return scores


def check_predictions(name: str, probabilities: Array, labels: Array) -> None:
    """Check stored probabilities (n, classes) and labels (n,), or (n, classes) where images have several.

    Raises:
        RunError: the file `name` that they were read from is damaged.
    """
    try:
        (check_label_sets if labels.ndim == 2 else check_labelled)(probabilities, labels)
    except DataError as error:
        raise RunError(f"{name} is damaged: {error}") from None

"""RunDir: every path of a run, in a folder or at a URI, in one class.

    runs/organs/
      run.json space.yaml data.json splits.json     written once, by the driver
      study.journal                                 the Optuna study (optuna-dashboard opens it)
      tune/                                         Ray's own
      trials/0007/  config.json epochs.jsonl weights.safetensors val_predictions.npz trial.json
      leaderboard.csv
      crossval/     plan.json folds.json 0007/fold_3/ (the same files as a trial's)
      ways.json                                     every way of choosing members, and which was chosen
      ensemble/     manifest.json members/*.safetensors
      evaluation/   what the test split said, and each time it was read
      report/       index.html

`trial.json` is written last: where it is missing the training has not ended, and `checkpoint.safetensors`
holds what it needs to go on.
"""

import dataclasses
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from medray._types import Array
from medray.errors import DataError, RunError
from medray.runs.folder import Folder, read_arrays
from medray.stats.validate import check_labelled

FINISHED, STOPPED, FAILED = "finished", "stopped", "failed"


@dataclass(frozen=True)
class TrialRecord:
    """How a trial ended: the content of its trial.json.

    `state` is finished (its last epoch, or its patience, was reached), stopped (by ASHA) or failed; a trial
    without a trial.json is running. `objective` is the search's metric at `best_epoch`, whose weights are
    kept; `metrics` are all validation metrics at that epoch. `seconds` counts its epochs' own time.
    """

    number: int
    state: str
    baseline: str | None = None
    reason: str | None = None
    objective: float | None = None
    best_epoch: int = 0
    epochs: int = 0
    seconds: float = 0.0
    ended_by: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    parameters: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    traceback: str | None = None


class TrialDir(Folder):
    """The folder of one trial (or of one fold)."""

    CONFIG, EPOCHS, CHECKPOINT = "config.json", "epochs.jsonl", "checkpoint.safetensors"
    WEIGHTS, PREDICTIONS, RECORD = "weights.safetensors", "val_predictions.npz", "trial.json"

    def epochs(self) -> list[dict[str, Any]]:
        """The epochs so far, one record each; none if it has not finished one."""
        try:
            return [json.loads(line) for line in self.read(self.EPOCHS).splitlines() if line.strip()]
        except FileNotFoundError:
            return []
        except ValueError as error:
            raise RunError(f"{self.path(self.EPOCHS)} is damaged: {error}") from None

    def write_epochs(self, epochs: list[dict[str, Any]]) -> None:
        """Write the records of all epochs so far."""
        self.write(self.EPOCHS, "".join(json.dumps(epoch, allow_nan=False) + "\n" for epoch in epochs).encode())

    def record(self) -> TrialRecord | None:
        """How the trial ended, or None while it runs."""
        if not self.exists(self.RECORD):
            return None
        try:
            return TrialRecord(**self.read_json(self.RECORD))
        except TypeError as error:
            raise RunError(f"{self.path(self.RECORD)} is damaged: {error}") from None

    def summary(
        self, number: int, state: str, *, baseline: str | None = None, reason: str | None = None,
        ended_by: str | None = None, traceback: str | None = None,
    ) -> TrialRecord:  # fmt: skip
        """Sum up what the training has left here, as the record of its end."""
        epochs = self.epochs()
        last = epochs[-1] if epochs else {}
        settings = self.read_json(self.CONFIG)
        return TrialRecord(
            number=number,
            state=state,
            baseline=baseline,
            reason=reason,
            objective=last.get("objective"),
            best_epoch=last.get("best_epoch", 0),
            epochs=len(epochs),
            seconds=sum(epoch["seconds"] for epoch in epochs),
            ended_by=ended_by,
            metrics=last.get("best", {}),
            parameters=last.get("parameters", 0),
            settings={name: value for name, value in settings.items() if name != "pipeline"},
            traceback=traceback,
        )

    def write_record(self, record: TrialRecord) -> None:
        """End the trial: write its record, then drop what only a running one needs."""
        self.write_json(self.RECORD, dataclasses.asdict(record))
        for name in self.names():
            if name == self.CHECKPOINT or ".partial-" in name:  # a killed worker's unfinished file
                self.delete(name)


class RunDir(Folder):
    """The folder of one run."""

    RUN, SPACE, DATA, SPLITS = "run.json", "space.yaml", "data.json", "splits.json"
    LEADERBOARD, STUDY, WAYS = "leaderboard.csv", "study.journal", "ways.json"

    def begun(self) -> bool:
        """Whether there is a run in the folder.

        Raises:
            RunError: the folder can't be reached: no access, no such host, a URI that its file system refuses.
        """
        try:
            return self.exists(self.RUN)
        except (OSError, ValueError) as error:
            raise RunError(f"{self.location} can't be reached: {' '.join(str(error).split())}") from None

    @property
    def ensemble(self) -> Folder:
        """The folder of the ensemble."""
        return self.child("ensemble")

    @property
    def evaluation(self) -> Folder:
        """The folder of what the test split said."""
        return self.child("evaluation")

    @property
    def crossval(self) -> Folder:
        """The folder of the cross-validation."""
        return self.child("crossval")

    def fold(self, number: int, fold: int) -> TrialDir:
        """The folder of one fold of trial `number`'s settings."""
        return TrialDir(self.crossval.child(f"{number:04d}", f"fold_{fold}").location)

    @property
    def tune(self) -> Folder:
        """The folder that Ray Tune keeps for itself."""
        return self.child("tune")

    def trial(self, number: int) -> TrialDir:
        """The folder of trial `number`."""
        return TrialDir(self.child("trials", f"{number:04d}").location)

    def trial_numbers(self) -> list[int]:
        """Numbers of the trials that have a folder."""
        names = self.child("trials").names()
        return sorted(int(name) for name in names if re.fullmatch(r"\d{4,}", name))

    def records(self) -> Iterator[TrialRecord]:
        """The records of all ended trials, by number."""
        for number in self.trial_numbers():
            record = self.trial(number).record()
            if record is not None:
                yield record


def read_predictions(folder: TrialDir, best_epoch: int) -> tuple[Array, Array]:
    """Return what a training says of the images that it was measured on, and their labels.

    Probabilities are float32 (n, classes), labels int64 (n,).

    Raises:
        RunError: they are missing, damaged, or of another epoch than `best_epoch`.
    """
    name = folder.path(folder.PREDICTIONS)
    probabilities, labels, epoch = read_arrays(folder, folder.PREDICTIONS, "probabilities", "labels", "epoch")
    if epoch.shape or epoch != best_epoch:
        raise RunError(f"{name} is damaged: it is of epoch {epoch}, the trial's best is {best_epoch}")
    check_predictions(name, probabilities, labels)
    return probabilities, labels


def check_predictions(name: str, probabilities: Array, labels: Array) -> None:
    """Check stored probabilities (n, classes) and labels (n,).

    Raises:
        RunError: the file `name` that they were read from is damaged.
    """
    try:
        check_labelled(probabilities, labels)
    except DataError as error:
        raise RunError(f"{name} is damaged: {error}") from None

"""Read the files of one training as far as they are intact: ended, still running, or torn by a kill."""

import json
from dataclasses import dataclass, replace
from typing import Any

from medray.config import SETTINGS
from medray.errors import ConfigError, RunError, one_line, unknown_choice_line
from medray.runs.rundir import TrialDir
from medray.runs.trial_record import EpochRecord, TrialRecord

RUNNING = "running"


@dataclass(frozen=True)
class Training:
    """A trial, or one fold of its settings: its record and its epochs so far.

    `record.state` is `running` where there is no intact trial.json, whether or not a process still trains it.
    """

    folder: TrialDir
    record: TrialRecord
    epochs: list[EpochRecord]
    fold: int | None = None

    @property
    def title(self) -> str:
        """The number of the trial, with that of the fold: `7` or `7 fold 2`."""
        return str(self.record.number) + ("" if self.fold is None else f" fold {self.fold}")


def read_training(
    folder: TrialDir, number: int, fold: int | None, baseline: str | None, notes: list[str]
) -> Training:
    """Read the folder of a trial or of a fold; what can't be read is appended to `notes`, one line each."""
    epochs = _read_epochs(folder, notes)
    record = None
    try:
        record = folder.record()
    except (RunError, OSError) as error:
        notes.append(f"a trial counts as running: {one_line(error)}")
    if record is None:
        record = _running_record(folder, number, baseline, epochs, notes)
        path = folder.path(folder.CONFIG)
    else:
        path = folder.path(folder.RECORD)
    record = replace(record, settings=_valid_settings(record.settings, path, notes))
    return Training(folder, record, epochs, fold)


def _running_record(
    folder: TrialDir, number: int, baseline: str | None, epochs: list[EpochRecord], notes: list[str]
) -> TrialRecord:
    """Return the record of a training that has not ended."""
    settings = {}
    try:
        config = folder.read_json(folder.CONFIG)
        settings = {name: value for name, value in config.items() if name != "pipeline"}
    except (RunError, OSError, AttributeError) as error:
        notes.append(f"{folder.path(folder.CONFIG)}: its settings are not known: {one_line(error)}")
    record = TrialRecord(number, RUNNING, baseline=baseline, settings=settings)
    if not epochs:
        return record
    last = epochs[-1]
    return replace(
        record,
        objective=last.objective,
        best_epoch=last.best_epoch,
        epochs=len(epochs),
        seconds=sum(epoch.seconds for epoch in epochs),
        metrics=last.best,
        parameters=last.parameters,
    )


def _valid_settings(settings: dict[str, Any], path: str, notes: list[str]) -> dict[str, Any]:
    """Return the settings that exist and have a valid value."""
    valid = {}
    for name, value in settings.items():
        try:
            if name not in SETTINGS:
                raise ConfigError(unknown_choice_line("setting", name, SETTINGS))
            valid[name] = SETTINGS[name].check(value)
        except ConfigError as error:
            notes.append(f"{path}: {name} is left out: {one_line(error)}")
    return valid


def _read_epochs(folder: TrialDir, notes: list[str]) -> list[EpochRecord]:
    """Return the intact lines of epochs.jsonl up to the first that is not: a kill may tear the last one."""
    path = folder.path(folder.EPOCHS)
    try:
        lines = folder.read(folder.EPOCHS).splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        notes.append(f"{path} can't be read: {one_line(error)}")
        return []
    epochs: list[EpochRecord] = []
    for number, line in enumerate(lines, start=1):
        try:
            epoch = EpochRecord.from_dict(json.loads(line))
        except (RunError, ValueError, RecursionError):
            epoch = None
        if epoch is None or epoch.epoch != number:
            notes.append(f"{path}: line {number} is torn; {len(lines) - len(epochs)} left out")
            break
        epochs.append(epoch)
    return epochs

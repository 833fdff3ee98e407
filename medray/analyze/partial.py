"""One training's files as far as they are whole: ended, running, or torn by a kill."""

import json
from dataclasses import dataclass
from types import NoneType
from typing import Any

from medray.config import MOST, SETTINGS
from medray.errors import ConfigError, RunError, unknown_choice_line
from medray.runs.rundir import FAILED, FINISHED, STOPPED, TrialDir, TrialRecord
from medray.stats.validate import MAPPING, NUMBER, NUMBER_OR_NONE, TEXT, WHOLE, read_fields

RUNNING = "running"
ENDED = (FINISHED, STOPPED, FAILED)
_RECORD = {
    **dict.fromkeys(("number", "best_epoch", "epochs", "parameters"), WHOLE),
    **dict.fromkeys(("baseline", "reason", "ended_by", "traceback"), (str, NoneType)),
    **dict.fromkeys(("metrics", "settings"), MAPPING),
    "state": TEXT,
    "objective": NUMBER_OR_NONE,
    "seconds": NUMBER,
}


@dataclass(frozen=True)
class Training:
    """A trial, or one fold of it: how it ended or how far it has come, and its epochs so far.

    `record.state` is `running` where there is no whole trial.json, whether or not a process still works on it.
    """

    folder: TrialDir
    record: TrialRecord
    epochs: list[dict[str, Any]]
    fold: int | None = None


def read_training(
    folder: TrialDir, number: int, fold: int | None, baseline: str | None, notes: list[str]
) -> Training:
    """Read a trial's folder, or a fold's; what can't be read goes to `notes`, one line each."""
    epochs = _epochs(folder, notes)
    record = _record(folder, notes)
    if record is None:
        record = _so_far(folder, number, baseline, epochs, notes)
    return Training(folder, record, epochs, fold)


def _record(folder: TrialDir, notes: list[str]) -> TrialRecord | None:
    """How the training ended; None while it runs, or where its record is torn."""
    try:
        record = folder.record()
        if record is None:
            return None
        _check_record(record, folder.path(folder.RECORD))
    except (RunError, OSError) as error:
        notes.append(f"a trial counts as running: {one_line(error)}")
        return None
    return TrialRecord(
        **{**vars(record), "settings": _settings(record.settings, folder.path(folder.RECORD), notes)}
    )


def _check_record(record: TrialRecord, path: str) -> None:
    read_fields(vars(record), _RECORD, path)
    if record.state not in ENDED:
        raise RunError(f"damaged {path}: {unknown_choice_line('state', record.state, ENDED)}")
    if not _are_metrics(record.metrics):
        raise RunError(f"damaged {path}: its metrics are not all numbers")


def _so_far(
    folder: TrialDir, number: int, baseline: str | None, epochs: list[dict[str, Any]], notes: list[str]
) -> TrialRecord:
    """The record of a training that has not ended."""
    try:
        config = folder.read_json(folder.CONFIG)
        settings = {name: value for name, value in config.items() if name != "pipeline"}
    except (RunError, OSError, AttributeError) as error:
        notes.append(f"{folder.path(folder.CONFIG)}: its settings are not known: {one_line(error)}")
        settings = {}
    last = epochs[-1] if epochs else {}
    return TrialRecord(
        number,
        RUNNING,
        baseline=baseline,
        objective=last.get("objective"),
        best_epoch=last.get("best_epoch", 0),
        epochs=len(epochs),
        seconds=sum(epoch["seconds"] for epoch in epochs),
        metrics=last.get("best", {}),
        parameters=last.get("parameters", 0),
        settings=_settings(settings, folder.path(folder.CONFIG), notes),
    )


def _settings(given: dict[str, Any], path: str, notes: list[str]) -> dict[str, Any]:
    """Those settings that are what they may be."""
    kept = {}
    for name, value in given.items():
        try:
            if name not in SETTINGS:
                raise ConfigError(unknown_choice_line("setting", name, SETTINGS))
            kept[name] = SETTINGS[name].check(value)
        except ConfigError as error:
            notes.append(f"{path}: {name} is left out: {one_line(error)}")
    return kept


def _epochs(folder: TrialDir, notes: list[str]) -> list[dict[str, Any]]:
    """The whole lines of epochs.jsonl up to the first that is not: a killed writer may have torn the last."""
    try:
        lines = folder.read(folder.EPOCHS).splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        notes.append(f"{folder.path(folder.EPOCHS)} can't be read: {one_line(error)}")
        return []
    epochs: list[dict[str, Any]] = []
    for line in lines:
        epoch = _epoch(line, len(epochs) + 1)
        if epoch is None:
            left = len(lines) - len(epochs)
            notes.append(f"{folder.path(folder.EPOCHS)}: line {len(epochs) + 1} is torn; {left} left out")
            break
        epochs.append(epoch)
    return epochs


def _epoch(line: bytes, number: int) -> dict[str, Any] | None:
    try:
        epoch = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(epoch, dict) or epoch.get("epoch") != number:
        return None
    numbers = [epoch.get(key) for key in ("objective", "train_loss", "learning_rate", "seconds")]
    counts = [epoch.get(key) for key in ("best_epoch", "parameters")]
    whole = all(map(_is_number, numbers)) and all(type(count) is int for count in counts)
    return epoch if whole and _are_metrics(epoch.get("metrics")) and _are_metrics(epoch.get("best")) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MOST  # NaN is not


def _are_metrics(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_number, value.values()))


def one_line(error: Exception) -> str:
    """An error's text on one line."""
    return " ".join(str(error).split())

"""The run's Optuna study, from a copy of its journal in memory, so that changes don't reach the run.

A search may be writing the journal, or have been killed while it did: only complete lines are read, and the lock
file is not touched.
"""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from medray.errors import RunError, one_line
from medray.runs.rundir import RunDir

if TYPE_CHECKING:
    import optuna

STUDY_NAME = "medray"
_CREATE_TRIAL = 4  # Optuna's code of the operation


def open_study(run: RunDir) -> "optuna.Study":
    """Return the study as it is now, in a journal storage in memory.

    Raises:
        RunError: the run has no journal, or it is damaged.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import BaseJournalBackend

    class Copy(BaseJournalBackend):
        def __init__(self, logs: list[dict[str, Any]]) -> None:
            self.logs = logs

        def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
            return iter(self.logs[log_number_from:])

        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            self.logs.extend(logs)

    path = run.path(run.STUDY)
    try:
        return optuna.load_study(study_name=STUDY_NAME, storage=JournalStorage(Copy(_complete_lines(run))))
    except FileNotFoundError:
        raise RunError(f"{path} is missing: the run has no study") from None
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, AssertionError) as error:
        raise RunError(f"{path} is damaged: {type(error).__name__}: {one_line(error)}") from None


def baselines_of(run: RunDir) -> dict[int, str]:
    """Return the names of the baselines by the numbers of their trials; none where the journal can't be read."""
    try:
        logs = _complete_lines(run)
    except (OSError, ValueError):
        return {}
    attributes = [log.get("user_attrs") for log in logs if log.get("op_code") == _CREATE_TRIAL]
    names = {i: values.get("baseline") for i, values in enumerate(attributes) if isinstance(values, dict)}
    return {number: name for number, name in names.items() if isinstance(name, str)}


def _complete_lines(run: RunDir) -> list[dict[str, Any]]:
    """Return the entries of the journal, without a torn last line."""
    content = run.read(run.STUDY)
    logs = [json.loads(line) for line in content[: content.rfind(b"\n") + 1].splitlines()]
    if not all(isinstance(log, dict) for log in logs):
        raise ValueError("one of its lines is no entry of a journal")
    return logs

"""The run's Optuna study, from a copy of its journal in memory: nothing that is done to it reaches the run.

A search may be writing the journal at this moment, or have been killed while it did: its whole lines are taken,
the lock beside it is left alone.
"""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from medray.errors import RunError
from medray.runs.rundir import RunDir

if TYPE_CHECKING:
    import optuna

STUDY_NAME = "medray"
_CREATE_TRIAL = 4  # Optuna's code of the operation


def open_study(run: RunDir) -> "optuna.Study":
    """Return the study as it stands now, in a journal storage in memory.

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
        return optuna.load_study(study_name=STUDY_NAME, storage=JournalStorage(Copy(_whole_lines(run))))
    except FileNotFoundError:
        raise RunError(f"{path} is missing: the run has no study") from None
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, AssertionError) as error:
        raise RunError(f"{path} is damaged: {type(error).__name__}: {' '.join(str(error).split())}") from None


def baselines_of(run: RunDir) -> dict[int, str]:
    """The names of the baselines by the trials' numbers; none where the journal can't be read."""
    try:
        logs = _whole_lines(run)
    except (OSError, ValueError):
        return {}
    made = [log for log in logs if log.get("op_code") == _CREATE_TRIAL]
    attributes = [log.get("user_attrs") for log in made]
    named = {i: given.get("baseline") for i, given in enumerate(attributes) if isinstance(given, dict)}
    return {number: name for number, name in named.items() if isinstance(name, str)}


def _whole_lines(run: RunDir) -> list[dict[str, Any]]:
    """What the journal's lines say, without a last one that is torn."""
    content = run.read(run.STUDY)
    logs = [json.loads(line) for line in content[: content.rfind(b"\n") + 1].splitlines()]
    if not all(isinstance(log, dict) for log in logs):
        raise ValueError("a line of it is no entry of a journal")
    return logs

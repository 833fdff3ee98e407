"""The journal of a run's Optuna study, and the storage on it, for the one process that writes it.

Optuna's own backend locks, writes, syncs and reads the file again at each of the dozen operations of a trial:
30 ms of a trial where a sync takes 3. Here operations wait in memory until `write`, and are not read again.
"""

import json
import os
import time
from collections import defaultdict
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileSymlinkLock
from optuna.storages.journal._file import get_lock_file
from optuna.storages.journal._storage import JournalOperation
from optuna.trial import FrozenTrial, TrialState

from medray.signals import uninterrupted

SYNC_EVERY_S = 1.0
#: Operations that give numbers to studies and trials, so that their order in the file matters.
NUMBERING = {JournalOperation.CREATE_STUDY, JournalOperation.CREATE_TRIAL}
ENDED = tuple(state for state in TrialState if state.is_finished())


class StudyJournal(BaseJournalBackend):
    """Backend of one `JournalStorage`, whose operations reach the file at `path` when `write` is called.

    A new study or trial is written at once, after what other programs have added, such as a note by
    optuna-dashboard: numbers are the same in the file and in memory. A killed process loses the operations since
    the last `write`, a power cut those since the last sync, `SYNC_EVERY_S` earlier at most.

    Raises:
        ValueError: a line of the file is no JSON.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.lock = path, JournalFileSymlinkLock(str(path))
        self.path.touch()
        self.offset, self.synced_at = 0, 0.0
        self.unread: list[dict[str, Any]] = []
        self.unwritten: list[dict[str, Any]] = []
        self._read_lines()

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Take operations; write them if they give numbers."""
        self.unwritten += logs
        if any(log["op_code"] in NUMBERING for log in logs):
            self.write()
        self.unread += logs

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield the operations since the last call: the storage's own, and those that `write` saw in the file."""
        unread, self.unread = self.unread, []
        yield from unread

    def write(self) -> None:
        """Append the operations that wait to the file; Ctrl-C waits, as Optuna's lock can't be interrupted."""
        if not self.unwritten:
            return
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in self.unwritten)
        with uninterrupted(), get_lock_file(self.lock):
            if self.path.stat().st_size > self.offset:
                self._read_lines()
            with self.path.open("ab") as file:
                file.write(lines.encode())
                file.flush()
                if time.monotonic() - self.synced_at > SYNC_EVERY_S:
                    os.fsync(file.fileno())
                    self.synced_at = time.monotonic()
                self.offset = file.tell()
            self.unwritten = []

    def _read_lines(self) -> None:
        """Read the lines after `offset`."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            self.unread += [json.loads(line) for line in file]
            self.offset = file.tell()


class StudyStorage(JournalStorage):
    """Optuna's storage of a journal, which does not look through ended trials again: a draw asks for all thrice.

    Ended trials don't change.
    """

    def __init__(self, journal: StudyJournal) -> None:
        #: By study: its trials up to the first that has not ended.
        self._ended: defaultdict[int, list[FrozenTrial]] = defaultdict(list)
        super().__init__(journal)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials in one of the `states`, or all, by number."""
        if deepcopy:
            copied: list[FrozenTrial] = super().get_all_trials(study_id, deepcopy, states)
            return copied
        with self._thread_lock:
            self._sync_with_backend()
            trials, ended = self._replay_result._trials, self._ended[study_id]
            trial_ids = self._replay_result._study_id_to_trial_ids[study_id]
            while len(ended) < len(trial_ids) and trials[trial_ids[len(ended)]].state.is_finished():
                ended.append(trials[trial_ids[len(ended)]])
            others = [trials[trial_id] for trial_id in trial_ids[len(ended) :]]
            if states is None:
                return ended + others
            among = ended + others if any(state in states for state in ENDED) else others
            return [trial for trial in among if trial.state in states]

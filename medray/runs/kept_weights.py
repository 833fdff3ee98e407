"""Which trials keep their weights: the best, and the baselines. Those of thousands of trials would fill a disk.

An ensemble is made of the best `KEPT` trials, so the weights of others are of no use to it. Linear heads are not
counted: theirs are small, and a search may have hundreds. All other files of a trial are kept: its settings, its
epochs, its predictions of the validation images.
"""

from bisect import insort
from collections.abc import Collection, Iterable

from medray.runs.leaderboard import rank, usable
from medray.runs.rundir import RunDir
from medray.runs.trial_record import TrialRecord

KEPT = 200


class KeptWeights:
    """The best trials of a search, as they end; `records` are those of an earlier command.

    The trials of `members` keep theirs in any case: an ensemble that stands names them.
    """

    def __init__(
        self, run: RunDir, mode: str, records: Iterable[TrialRecord] = (), members: Collection[int] = (),
        most: int = KEPT,
    ) -> None:  # fmt: skip
        self.run, self.sign, self.members, self.most = run, -1 if mode == "max" else 1, frozenset(members), most
        counted = rank(filter(self._counts, records), mode)
        self._best = [self._place(record) for record in counted[:most]]

    @staticmethod
    def _counts(record: TrialRecord) -> bool:
        return record.baseline is None and record.features is None and bool(usable([record]))

    def _place(self, record: TrialRecord) -> tuple[float, int]:
        assert record.objective is not None
        return self.sign * record.objective, record.number

    def take(self, record: TrialRecord) -> None:
        """Take in a trial that has ended, and delete the weights of the one that is no longer among the best."""
        if not self._counts(record):
            return
        insort(self._best, self._place(record))
        if len(self._best) > self.most:
            number = self._best.pop()[1]
            if number not in self.members:
                folder = self.run.trial(number)
                folder.delete(folder.WEIGHTS)

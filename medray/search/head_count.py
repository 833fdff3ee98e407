"""How many linear heads a search fits: enough to find a strength, then no more of them than of other trials."""

from collections import Counter

from medray.search.time_limit import TrialKind

ENOUGH = 6  # heads on the same features; they differ in strength, balance of classes and loss alone


class HeadCount:
    """Counts the trials of a search that have begun.

    A linear head takes a second and is often ahead of all that has been trained for a few epochs. A sampler that
    learns from the best then draws little else, and the search ends with a hundred of nearly the same model.
    """

    def __init__(self) -> None:
        self.heads: Counter[TrialKind] = Counter()
        self.others = 0  # that were searched: baselines are not
        self._counted: set[int] = set()

    def begin(self, number: int, kind: TrialKind, *, baseline: bool) -> None:
        """Count a trial, once: a resumed one begins again."""
        if number in self._counted:
            return
        self._counted.add(number)
        if kind.linear:
            self.heads[kind] += 1
        else:
            self.others += not baseline

    def is_enough(self, kind: TrialKind) -> bool:
        """Return whether another head on these features has to wait until more of the others have begun.

        None waits where only heads are searched, or where the others have no time.
        """
        return kind.linear and self.heads[kind] >= ENOUGH and 0 < self.others <= self.heads.total()

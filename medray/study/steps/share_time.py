"""How the hours of a study are divided: between the search and its folds, by what trials have taken."""

from dataclasses import dataclass

from medray.config import LBFGS
from medray.runs.trial_record import TrialRecord
from medray.search.time_limit import HOUR_S

SEARCH_SHARE = 0.5  # of the whole time; folds have what is left
#: Kept for ensemble and report: so many seconds and this share of the time, at most a tenth of it.
END_S, END_SHARE, MOST_AT_END = 20.0, 0.03, 0.1
START_S = 15.0  # until Ray Train's workers have begun


def hours_of_search(hours: float | None) -> float | None:
    """Return the hours of a study's search, None where the study has no limit."""
    return None if hours is None else SEARCH_SHARE * hours


def hours_of_study(hours: float) -> float:
    """Return the hours of a study whose search has so many."""
    return hours / SEARCH_SHARE


def seconds_for_folds(hours: float, used: float) -> float:
    """Return the seconds that folds may take in a study of so many hours, of which `used` seconds are over."""
    seconds = hours * HOUR_S
    return seconds - min(MOST_AT_END * seconds, END_S + END_SHARE * seconds) - used


def slots_used(records: list[TrialRecord], seconds: float) -> float:
    """Return how many trials a search of so many seconds trained side by side, on the mean and at least one."""
    return max(1.0, sum(record.seconds for record in records) / seconds) if seconds > 0 else 1.0


@dataclass(frozen=True)
class FoldTimes:
    """What folds of the `best` trials' settings are expected to take, best first.

    Each of so many `folds` trains on `growth` times as many images as the search did; so many `slots` train side
    by side.
    """

    best: tuple[TrialRecord, ...]
    folds: int
    growth: float
    slots: float

    def seconds(self, top: int) -> float:
        """Return the seconds for all folds of the first `top` settings."""
        work = [self.fold_seconds(record) for record in self.best[:top]]
        return START_S + max(self.folds * sum(work) / self.slots, max(work, default=0.0))

    def fold_seconds(self, record: TrialRecord) -> float:
        """Return the seconds for one fold: as many epochs as a trial's best one and its patience allow.

        Trials that were stopped count so too: nothing stops a fold.
        """
        settings, epoch = record.settings, record.seconds / max(1, record.epochs)
        if settings.get("optimizer") == LBFGS:
            return self.growth * epoch
        most, patience = int(settings.get("epochs") or record.epochs), settings.get("patience")
        return self.growth * epoch * (most if patience is None else min(most, record.best_epoch + int(patience)))

    def that_fit(self, seconds: float) -> int:
        """Return how many of the settings can be trained on all folds in so many seconds."""
        return max((top for top in range(1, len(self.best) + 1) if self.seconds(top) <= seconds), default=0)

"""When a search is flat: more trials are unlikely to help. A pure function of the records of its trials.

The best objective is compared with what it was before the last half of the trials, and before the last twenty at
least. What the search gained in these is what it may expect of as many again, as gains shrink. Where that is no
more than a part of the objective's standard error on the validation images, the search is flat.
"""

from collections.abc import Callable, Sequence

from medray.runs.leaderboard import rank, usable
from medray.runs.trial_record import TIME, TrialRecord

FEWEST = 20  # trials without a gain
PART = 0.1  # of the standard error
MARGIN = 0.001  # of the best objective, where it has no standard error


def is_flat(
    records: Sequence[TrialRecord], mode: str, standard_error: Callable[[TrialRecord], float | None]
) -> bool:
    """Return whether more trials are unlikely to help.

    `records` are those of the trials that have ended, by number; those that failed or that the time ended do not
    count. `mode` is max or min. `standard_error` gives that of a record's objective, None where it has none.
    """
    ended = [record for record in usable(records) if record.ended_by != TIME]
    window = max(FEWEST, len(ended) // 2)
    if len(ended) <= window:
        return False
    before, best = rank(ended[:-window], mode)[0], rank(ended, mode)[0]
    if before is best:
        return True
    assert before.objective is not None
    assert best.objective is not None
    error = standard_error(best)
    tolerance = MARGIN * abs(best.objective) if error is None else PART * error
    return abs(best.objective - before.objective) <= tolerance

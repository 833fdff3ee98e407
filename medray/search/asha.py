"""ASHA, asynchronous successive halving (Li et al. 2020): which trials are stopped early. It knows no Ray."""

from collections.abc import Iterable, Mapping

import numpy as np

from medray.space.search_space import Budget

MIN_PEERS = 4


class Rungs:
    """The rungs of one search: the objectives of all trials that have reached each milestone.

    Milestones and cutoffs are those of Ray Tune's AsyncHyperBandScheduler with one bracket: rung k lies at epoch
    grace_epochs · reduction_factor^k, and stops a trial below the 1 − 1/reduction_factor quantile of the trials
    that reached it before. Three rules spare late bloomers. Rungs rank by the best objective so far, not by the
    epoch's own, which jumps on small validation sets. A rung stops nobody before it has seen `MIN_PEERS` trials:
    with one on record, the second would be stopped for being second. And baselines are ranked but not stopped, so
    that they are compared at their own full length.

    Where the first rung lies at the last epoch or beyond, there are no rungs and no trial is stopped.
    """

    def __init__(self, budget: Budget, max_epochs: int, mode: str) -> None:
        self.sign = 1.0 if mode == "max" else -1.0
        first, factor = budget.grace_epochs, budget.reduction_factor
        count = int(np.log(max_epochs / first) / np.log(factor) + 1) if first < max_epochs else 0
        self.percentile = (1 - 1 / factor) * 100
        #: Milestone and signed objective of each trial that reached it, highest milestone first.
        self.rungs: list[tuple[int, dict[int, float]]] = [(first * factor**k, {}) for k in reversed(range(count))]

    def report(self, number: int, epoch: int, objective: float | None, *, baseline: bool = False) -> bool:
        """Put a trial on the highest rung that it has reached; return whether it is to be stopped there.

        `objective` is the trial's best so far; None, of an epoch that failed, is ignored.
        """
        if objective is None:
            return False
        value = self.sign * objective
        for milestone, reached in self.rungs:
            if epoch >= milestone:
                if number in reached:
                    return False
                peers = list(reached.values())
                reached[number] = value
                behind = len(peers) >= MIN_PEERS and value < np.nanpercentile(peers, self.percentile)
                return bool(behind and not baseline)
        return False

    def replay(self, epochs: Mapping[int, Iterable[tuple[int, float]]]) -> None:
        """Fill the rungs with epochs and best objectives of an earlier command's trials, by trial number."""
        for number, objectives in epochs.items():
            for epoch, objective in objectives:
                self.report(number, epoch, objective)

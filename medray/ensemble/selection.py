"""Every way of choosing members, side by side with the best single model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from medray._types import Array
from medray.decisions.temperature import apply_temperature, fit_temperature
from medray.ensemble.averaging import average
from medray.ensemble.candidates import FOLDS, TRIALS, Member, Pool
from medray.ensemble.strategies import Weighted, greedy, top_k
from medray.stats.calibration import brier_score
from medray.stats.metrics import defined, evaluate

SINGLE, TOP_K, GREEDY, ALL_FOLDS = "single", "top-k", "greedy", "folds"
WAYS = (TOP_K, GREEDY, ALL_FOLDS)


@dataclass(frozen=True)
class Way:
    """One way of choosing: `name` and the `source` of its candidates.

    `members` are networks with their weights, which sum to 1. `probabilities` (N, classes) are the weighted mean
    on the images that it was chosen on, before the temperature; `temperature` was fitted on the same.
    """

    name: str
    source: str
    chosen_on: str
    members: tuple[tuple[Member, float], ...]
    probabilities: Array
    labels: Array
    temperature: float

    @property
    def title(self) -> str:
        """Name and source, as people read them."""
        return title(self.name, self.source)

    @property
    def calibrated(self) -> Array:
        """The probabilities after the temperature, float32 (N, classes)."""
        return apply_temperature(self.probabilities, self.temperature)

    def scores(self) -> dict[str, float]:
        """All metrics, and the Brier score, before the temperature."""
        return _scores(self.probabilities, self.labels)

    def calibrated_scores(self) -> dict[str, float]:
        """All metrics, and the Brier score, after the temperature."""
        return _scores(self.calibrated, self.labels)

    def to_dict(self) -> dict[str, Any]:
        """As plain values: all that another command needs to average the same members."""
        return {
            "name": self.name,
            "source": self.source,
            "chosen_on": self.chosen_on,
            "images": len(self.labels),
            "temperature": self.temperature,
            "members": [{"trial": m.key[0], "fold": m.key[1], "weight": w} for m, w in self.members],
            "scores": self.scores(),
            "calibrated_scores": self.calibrated_scores(),
        }


def title(name: str, source: str) -> str:
    """Name and source of a way, as people read them."""
    own = {SINGLE: "best single trial", ALL_FOLDS: "folds of the best setting"}
    return own.get(name, f"{name} of {source}")


def all_ways(pools: Sequence[Pool], metric: str, k: int) -> list[Way]:
    """Every way that the pools allow, the best single trial first."""
    ways: list[Way] = []
    for pool in pools:
        if not pool.candidates:
            continue
        alone = {TRIALS: SINGLE, FOLDS: ALL_FOLDS}[pool.source]
        ways.append(make_way(alone, pool, top_k(pool.candidates, 1)))
        ways.append(make_way(TOP_K, pool, top_k(pool.candidates, k)))
        ways.append(make_way(GREEDY, pool, greedy(pool.candidates, pool.labels, metric)))
    return ways


def make_way(name: str, pool: Pool, chosen: Weighted, *, calibrate: bool = True) -> Way:
    """Average the chosen candidates; a candidate's weight is shared by its members."""
    whole = sum(weight for _, weight in chosen)
    members = tuple((m, weight / whole / len(c.members)) for c, weight in chosen for m in c.members)
    probabilities = average([c.probabilities for c, _ in chosen], [weight for _, weight in chosen])
    temperature = fit_temperature(probabilities, pool.labels) if calibrate else 1.0
    return Way(name, pool.source, pool.chosen_on, members, probabilities, pool.labels, temperature)


def _scores(probabilities: Array, labels: Array) -> dict[str, float]:
    return {**defined(evaluate(probabilities, labels)), "brier": brier_score(probabilities, labels)}

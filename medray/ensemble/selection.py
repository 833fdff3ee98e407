"""Selections of an ensemble's members by every strategy, to be compared with the best single model."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from medray._types import Array
from medray.decisions.temperature import apply_temperatures
from medray.ensemble.averaging import average
from medray.ensemble.candidates import FOLDS, TRIALS, Member, Pool
from medray.ensemble.strategies import Weighted, greedy, top_k
from medray.runs.selection_facts import (
    ALL_FOLDS,
    GREEDY,
    SINGLE,
    TOP_K,
    SelectionComparison,
    SelectionFacts,
    WeightedMember,
    selection_title,
)
from medray.stats.case_rule import CaseRule
from medray.tasks import SINGLE as SINGLE_TASK
from medray.tasks import Task

STRATEGIES = (TOP_K, GREEDY, ALL_FOLDS)  # for an ensemble


@dataclass(frozen=True)
class Selection:
    """Members selected by a `strategy` from the candidates of a `source`, with weights that sum to 1.

    `probabilities` (N, classes) are the weighted mean before the temperature, on the images of `selected_on` with
    `labels` (N,), or on the cases that they make by the rule `cases`; `temperatures`, one or of several labels one
    for each, were fitted on images of the split `calibrated_on`, None before that.
    """

    strategy: str
    source: str
    selected_on: str
    members: tuple[tuple[Member, float], ...]
    probabilities: Array
    labels: Array
    task: Task = SINGLE_TASK
    cases: CaseRule | None = None
    temperatures: tuple[float, ...] = (1.0,)
    calibrated_on: str | None = None

    @property
    def title(self) -> str:
        """Strategy and source, as people read them."""
        return selection_title(self.strategy, self.source)

    @cached_property
    def calibrated(self) -> Array:
        """The probabilities after the temperature, float32 (N, classes)."""
        return apply_temperatures(self.probabilities, self.temperatures)

    @cached_property
    def scores(self) -> dict[str, float]:
        """All metrics, and the Brier score, before the temperature."""
        return self.task.measure_defined(self.probabilities, self.labels)

    @cached_property
    def calibrated_scores(self) -> dict[str, float]:
        """All metrics, and the Brier score, after the temperature."""
        return self.task.measure_defined(self.calibrated, self.labels)

    def facts(self) -> SelectionFacts:
        """Return all that another command needs to average the same members."""
        return SelectionFacts(
            strategy=self.strategy,
            source=self.source,
            selected_on=self.selected_on,
            images=len(self.labels),
            temperatures=self.temperatures,
            calibrated_on=self.calibrated_on,
            members=tuple(WeightedMember(m.record.number, m.fold, weight) for m, weight in self.members),
            scores=self.scores,
            calibrated_scores=self.calibrated_scores,
        )


def all_selections(pools: Sequence[Pool], metric: str, k: int) -> list[Selection]:
    """Return the selections by every strategy that the pools allow, the best single trial first."""
    selections: list[Selection] = []
    for pool in pools:
        if pool.candidates:
            best = {TRIALS: SINGLE, FOLDS: ALL_FOLDS}[pool.source]
            selections.append(make_selection(best, pool, [(pool.candidates[0], 1.0)]))
            selections.append(make_selection(TOP_K, pool, top_k(pool.candidates, pool.labels, metric, k)))
            selections.append(make_selection(GREEDY, pool, greedy(pool.candidates, pool.labels, metric)))
    return selections


def make_selection(strategy: str, pool: Pool, candidates: Weighted) -> Selection:
    """Average weighted candidates of a pool; the members of a candidate share its weight; no temperature yet."""
    total = sum(weight for _, weight in candidates)
    members = tuple((m, weight / total / len(c.members)) for c, weight in candidates for m in c.members)
    tables, weights = [c.probabilities for c, _ in candidates], [weight for _, weight in candidates]
    mean = average(tables, weights, label_sets=pool.task.label_sets)
    return Selection(strategy, pool.source, pool.selected_on, members, mean, pool.labels, pool.task, pool.cases)


def compare_selections(metric: str, selections: Sequence[Selection], selected: Selection) -> SelectionComparison:
    """Return what selection.json holds; `selected` is the one that the ensemble is made of."""
    index = next(i for i, selection in enumerate(selections) if selection is selected)
    return SelectionComparison(metric, index, tuple(selection.facts() for selection in selections))

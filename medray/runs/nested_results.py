"""Results of a nested cross-validation: the scores of its outer folds together.

crossval/nested/plan.json folds.json        the search, and the outer folds; written once
crossval/nested/fold_0/                     a search inside the fold, with the files of a run
crossval/nested/fold_0/held_out.npz         the ensemble's probabilities of the images that the fold holds out
crossval/nested/fold_0/fold.json            its scores; written last
"""

from collections.abc import Sequence
from dataclasses import dataclass

from medray.runs.crossval_documents import NestedFold, NestedPlan
from medray.runs.fold_results import MeanStd
from medray.runs.rundir import RunDir


@dataclass(frozen=True)
class NestedScores:
    """The scores of the outer folds that have `ended`, in order; methods give mean and deviation over them."""

    plan: NestedPlan
    ended: tuple[NestedFold, ...]

    def held_out(self, metric: str) -> MeanStd | None:
        """Return those of the ensembles on held-out images; None where a fold lacks the metric.

        The mean is what the procedure reaches on new images, trained on so many as an outer fold leaves.
        """
        return mean_std([fold.held_out_scores.get(metric) for fold in self.ended])

    def on_val(self, metric: str) -> MeanStd | None:
        """Return those of the ensembles on the val splits inside the folds: what a search says of itself.

        Epoch, trials and members were selected on them.
        """
        return mean_std([fold.val_scores.get(metric) for fold in self.ended])

    def best_trial(self, metric: str) -> MeanStd | None:
        """Return those of the best trials alone, on held-out images."""
        return mean_std([fold.best_trial_held_out_scores.get(metric) for fold in self.ended])

    @property
    def procedure(self) -> str:
        """The procedure that is measured, as people read it."""
        plan, noun = self.plan, "baselines" if self.plan.baselines_only else "trials"
        bounds = [] if plan.trials is None else [f"{plan.trials} {noun}"]
        bounds += [] if plan.hours is None else [f"{plan.hours:g} hours"]
        return f"a search of {' or '.join(bounds)} and the mean of its {plan.top_k} best"


def mean_std(values: Sequence[float | None]) -> MeanStd | None:
    """Return mean and deviation of one value a fold, None where there is none or one lacks."""
    defined = [value for value in values if value is not None]
    return MeanStd.of(defined) if defined and len(defined) == len(values) else None


def read_nested(run: RunDir) -> NestedScores | None:
    """Return the scores of a run's nested cross-validation so far, None where there is none.

    Raises:
        RunError: a file is damaged.
    """
    nested = run.nested
    return NestedScores(nested.read_plan(), tuple(nested.ended())) if nested.exists(nested.PLAN) else None

"""What the best cross-validated setting of the search gained over its best baseline, out of fold."""

from collections.abc import Sequence

from medray.data.dataset import ImageDataset
from medray.runs.crossval_documents import BaselineGain
from medray.runs.fold_results import CrossvalTrial
from medray.runs.trial_record import TrialRecord
from medray.search.search_gain import BASELINE, BEST, paired_gain
from medray.stats.label_set_predictions import predictions_of


def compare_with_baselines(
    trials: Sequence[CrossvalTrial], records: Sequence[TrialRecord], dataset: ImageDataset, metric: str
) -> BaselineGain | None:
    """Compare the first searched setting of `trials`, which are best first, with the first baseline.

    None where there is not one of each. The difference is positive where the searched one is better.

    Raises:
        DataError: a patient is missing.
    """
    names = {record.number: record.baseline for record in records}
    best = next((trial for trial in trials if names[trial.number] is None), None)
    baseline = next((trial for trial in trials if names[trial.number] is not None), None)
    if best is None or baseline is None:
        return None
    classes = len(dataset.class_names)
    measured = {
        name: predictions_of(trial.answers, trial.answered_labels, classes)
        for name, trial in ((BEST, best), (BASELINE, baseline))
    }
    groups = dataset.answered_groups(best.positions)
    return BaselineGain(best.number, str(names[baseline.number]), paired_gain(measured, BEST, metric, groups))

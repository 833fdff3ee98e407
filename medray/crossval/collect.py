"""The results of all folds together: out-of-fold predictions, scores, and labels that the folds doubt."""

import csv
import io
from collections.abc import Sequence

import numpy as np

from medray.data.dataset import ImageDataset
from medray.data.folds import Folds
from medray.pictures.contact_sheet import contact_sheet
from medray.runs.fold_results import CrossvalTrial, pool_folds, read_crossval_trials, write_crossval_trial
from medray.runs.rundir import RunDir
from medray.stats.label_issues import DoubtedLabels, find_label_issues, issues_to_csv
from medray.stats.score_names import METRICS

SHEET_IMAGES = 48


def collect(
    run: RunDir, dataset: ImageDataset, folds: Folds, numbers: Sequence[int]
) -> tuple[list[CrossvalTrial], dict[int, str]]:
    """Join and write the settings that were trained on every fold.

    Returns these settings, best first, and why each of the other trials' is not finished.
    """
    unfinished: dict[int, str] = {}
    for number in numbers:
        joined = pool_folds(run, number, folds, dataset.labels, dataset.cases)
        if isinstance(joined, str):
            unfinished[number] = joined
            run.crossval.trial(number).delete(run.crossval.SUMMARY)
        else:
            write_crossval_trial(run, joined, dataset.class_names)
    trials = read_crossval_trials(run, dataset.case_rule)
    if trials:
        run.crossval.write(run.crossval.SCORES, scores_csv(trials).encode())
    return trials, unfinished


def label_issues(run: RunDir, dataset: ImageDataset, trials: Sequence[CrossvalTrial]) -> DoubtedLabels:
    """Find and write the labels that the folds doubt, by the mean of the trials' probabilities of each image."""
    mean = np.mean([trial.probabilities for trial in trials], axis=0)
    positions = trials[0].positions
    split_of = {int(p): name for name, split in dataset.splits.items() for p in split}
    doubted = find_label_issues(mean, trials[0].labels, positions, dataset.class_names, split_of)
    issues = doubted.issues
    run.crossval.write(run.crossval.ISSUES, issues_to_csv(issues).encode())
    first = issues[:SHEET_IMAGES]
    if not first:
        run.crossval.delete(run.crossval.SHEET)  # of an earlier call
    else:
        images = dataset.images[[issue.position for issue in first]]
        captions = [f"{issue.label} →\n{issue.suggested} {issue.suggested_probability:.2f}" for issue in first]
        title = (
            f"Labels that the folds doubt: the first {len(first)} of {len(issues)} (label → suggested); "
            f"{doubted.expectation}"
        )
        run.crossval.write(run.crossval.SHEET, contact_sheet(images, captions, title=title))
    return doubted


def scores_csv(trials: Sequence[CrossvalTrial]) -> str:
    """Return scores.csv: a row for each fold of each setting; `fold` is its number, or mean or std over them."""
    names = [name for name in METRICS if any(name in r.metrics for trial in trials for r in trial.records)]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["trial", "fold", "best_epoch", "epochs", "seconds", *names])
    for trial in trials:
        for fold, r in enumerate(trial.records):
            values = [r.metrics.get(metric) for metric in names]
            writer.writerow([trial.number, fold, r.best_epoch, r.epochs, round(r.seconds, 3), *values])
        spreads = [trial.spread(metric) for metric in names]
        writer.writerow([trial.number, "mean", "", "", "", *(s.mean if s else None for s in spreads)])
        writer.writerow([trial.number, "std", "", "", "", *(s.std if s else None for s in spreads)])
    return stream.getvalue()

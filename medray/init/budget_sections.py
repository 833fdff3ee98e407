"""The sections objective, budget and resources: what is optimised, and what it may cost."""

import math

from medray.data.listing.listing import TRAIN
from medray.init.document import Line
from medray.init.proposal import StudyProposal
from medray.init.task_section import grades_of, task_of
from medray.space.reader import check_metric

UNEVEN = 2.0  # times as many images in the largest class as in the smallest
LARGE_IMAGE = 64  # pixels of a side; beyond it a trial fills more of a GPU

#: Below so many training images: trials, epochs of a trial, and epochs before ASHA may stop it.
BUDGETS = ((400, 20, 60, 15), (2_000, 30, 40, 10), (20_000, 30, 30, 8), (math.inf, 20, 20, 5))


def class_ratio(proposal: StudyProposal) -> float:
    """Return how many times larger the largest class of the training split is than the smallest non-empty one."""
    counts = [count for count in proposal.class_counts(TRAIN).values() if count]
    return max(counts) / min(counts)


def objective_lines(proposal: StudyProposal) -> list[Line]:
    """Choose the metric: quadratic_kappa for grades, auc for labels and two classes, else f1_macro or accuracy.

    Raises:
        ConfigError: the metric that was asked for is not one of the task.
    """
    if proposal.metric is not None:
        check_metric(proposal.metric, task_of(proposal))
        return [Line("metric", proposal.metric, "as it was asked for")]
    if proposal.survey.label_sets:
        return [Line("metric", "auc", "the mean over the labels: how well any threshold separates each")]
    if grades_of(proposal) is not None:
        return [
            Line("metric", "quadratic_kappa", "agreement in grades beyond chance; a miss by two counts four times")
        ]
    counts = proposal.class_counts(TRAIN)
    large, small = max(counts, key=lambda name: counts[name]), min(counts, key=lambda name: counts[name])
    most, least, ratio = (
        f"{large} ({counts[large]:,} in train)",
        f"{small} ({counts[small]:,})",
        class_ratio(proposal),
    )
    if len(counts) == 2:
        metric, reason = "auc", f"two classes, {most} and {least}: how well any threshold separates them"
    elif ratio == 1:
        metric, reason = "accuracy", f"the classes are equally large, {counts[large]:,} in train each"
    elif ratio >= UNEVEN:
        metric = "f1_macro"
        reason = f"each class counts the same, though {most} is {ratio:.1f} times as large as {least}"
    else:
        metric, reason = "accuracy", f"the classes are about equally large, from {least} to {most}"
    return [Line("metric", metric, reason)]


def budget_lines(proposal: StudyProposal) -> list[Line]:
    """Choose trials and epochs by the number of training images."""
    images = proposal.train_count
    trials, epochs, grace = next(budget for most, *budget in BUDGETS if images < most)
    return [
        Line("trials", trials, "the baseline among them; more find more, and `--resume --trials` adds some later"),
        Line("max_epochs", epochs, f"of a trial; an epoch is {images:,} training images"),
        Line("grace_epochs", grace, "ASHA stops no trial before this epoch"),
        Line("reduction_factor", 2, "after it, at each doubling, those below the median"),
        Line("patience", grace, "a trial ends after so many epochs without a better objective"),
    ]


def resource_lines(proposal: StudyProposal) -> list[Line]:
    """Choose one core, and a share of a GPU by the images' size."""
    height, width, _ = proposal.shape
    share, trials = (0.5, "two") if max(height, width) > LARGE_IMAGE else (0.25, "four")
    return [
        Line("cpu", 1),
        Line("gpu", share, f"{trials} trials share a GPU at {height}×{width}; ignored where there is none"),
    ]

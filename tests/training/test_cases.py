"""An epoch is measured by case, whatever the task and the rule; the weights that are kept are the best by that."""

from typing import Any

import numpy as np
import pytest

from medray.config import TrainConfig
from medray.data.dataset import ImageDataset
from medray.stats.case_rule import CLASSES, GRADES, LABEL_SETS, MAX, MEAN, NOISY_OR, CaseRule
from medray.stats.cases import CaseIndex, answer_cases, label_cases
from medray.tasks import TASKS
from medray.training.loop import fit
from tests.case_samples import case_arrays


@pytest.mark.parametrize(
    ("task", "metric", "rule"),
    [
        ("single", "auc", CaseRule("exam", NOISY_OR, CLASSES, 0)),
        ("ordered", "quadratic_kappa", CaseRule("exam", MAX, GRADES)),
        ("several", "auc", CaseRule("exam", MAX, LABEL_SETS)),
        ("several", "average_precision", CaseRule("exam", MEAN, LABEL_SETS)),
    ],
)
def test_the_metrics_of_an_epoch_are_those_of_cases(task: str, metric: str, rule: CaseRule) -> None:
    images, labels, numbers = case_arrays(40, 3, classes=3)
    changed: Any = {
        "ordered": np.minimum(labels + (np.arange(len(labels)) % 7 == 0), 2)
    }  # grades of a case may differ
    labels = changed.get(task, labels)
    if task == "several":
        labels = (labels[:, None] == np.arange(3)).astype(np.int64)
        labels[::7] = 0
    val = np.flatnonzero(numbers < 20)
    dataset = ImageDataset(
        images, labels, ("a", "b", "c"), {"train": np.flatnonzero(numbers >= 20), "val": val}, "a-test",
        cases=CaseIndex(rule, numbers),
    )  # fmt: skip
    config = TrainConfig(backbone="resnet8_small", task=task, monitor=metric, epochs=2, batch_size=16)
    results = list(fit(config, dataset.split("train"), dataset.split("val")))
    index = numbers[val]
    last = results[-1]
    assert last.best_outputs.probabilities.shape == (len(val), 3)
    expected = TASKS[task].measure(
        answer_cases(last.best_outputs.probabilities, index, rule), label_cases(labels[val], index, rule)
    )
    assert last.best == pytest.approx(expected, nan_ok=True)
    by_image = TASKS[task].measure(last.best_outputs.probabilities, labels[val])
    assert last.best["log_loss"] != pytest.approx(by_image["log_loss"], abs=1e-4)
    assert last.best_epoch == 1 + int(np.argmax([result.metrics[metric] for result in results]))

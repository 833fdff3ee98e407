"""What holds for every task: probabilities, order of classes, metrics, files, ONNX, and what decisions promise."""

import hashlib
import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from medray._types import Array
from medray.config import TrainConfig
from medray.decisions.temperature import apply_temperatures, fit_temperatures
from medray.decisions.thresholds import Rule, set_point
from medray.ensemble import Ensemble
from medray.ensemble.manifest import FORMAT, Manifest, ManifestData, MemberFacts, SelectedOn
from medray.serving.engine.onnx_ensemble import FastEnsemble
from medray.stats.class_scores import class_scores
from medray.stats.events import Event
from medray.stats.label_set_predictions import predictions_of
from medray.stats.metrics import BINS, roc_auc
from medray.tasks import TASKS, Task
from medray.training.models import build_network
from medray.training.weights import write_weights
from tests.serving.engine.test_onnx_ensemble import SMALL, noise, settled
from tests.stats.test_metrics import by_sklearn
from tests.task_samples import calibrated_sets, simulated_answers

EVERY_TASK = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
SEEDS = st.integers(0, 2**32 - 1)
NAMES = ("0", "1", "2", "3")
EPSILON = float(np.finfo(np.float32).eps)


# -- metrics


def calibration_loop(confidence: Array, right: Array) -> float:
    """The calibration error, bin by bin; bins are in the confidence's own precision, sums are not."""
    gaps, bins = 0.0, np.minimum(np.floor(confidence * BINS), BINS - 1)
    for number in range(BINS):
        inside = bins == number
        gaps += abs(math.fsum(confidence[inside].tolist()) - right[inside].sum())
    return float(gaps / len(confidence))


def of_classes(probabilities: Array, labels: Array) -> dict[str, float]:
    """The scores of one class an image by scikit-learn, or by another formula than medray's."""
    called, exact = probabilities.argmax(axis=1), probabilities.astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that are missing
        scores = by_sklearn(probabilities, labels)
        kappa = sklearn_metrics.cohen_kappa_score(
            labels, called, labels=range(probabilities.shape[1]), weights="quadratic"
        )
    return scores | {
        "calibration_error": calibration_loop(probabilities.max(axis=1), called == labels),
        "quadratic_kappa": float(kappa),
        "within_one": float(np.mean([abs(a - b) <= 1 for a, b in zip(labels, called, strict=True)])),
        "grade_error": sklearn_metrics.mean_absolute_error(labels, called),
        "brier": float(np.mean([((row - np.eye(len(row))[y]) ** 2).sum() for row, y in zip(exact, labels, strict=True)])),
    }  # fmt: skip


def of_label_sets(probabilities: Array, labels: Array) -> dict[str, float]:
    """The scores of several labels an image by scikit-learn, label by label, of what is known."""
    exact, known = probabilities.astype(np.float64), labels >= 0
    columns = [(labels[rows, c], exact[rows, c]) for c, rows in enumerate(known.T)]
    truth, pooled = labels[known], exact[known]

    def mean(values: list[float]) -> float:
        return float(np.mean(values)) if values else math.nan

    true = np.where(truth == 1, pooled, 1 - pooled).clip(EPSILON, 1)
    return {
        "auc": mean([sklearn_metrics.roc_auc_score(y, s) for y, s in columns if len(set(y)) == 2]),
        "auc_micro": sklearn_metrics.roc_auc_score(truth, pooled) if len(set(truth)) == 2 else math.nan,
        "average_precision": mean([sklearn_metrics.average_precision_score(y, s) for y, s in columns if y.any()]),
        "f1_macro": mean(
            [sklearn_metrics.f1_score(y, s >= 0.5) for y, s in columns if y.any() or (s >= 0.5).any()]
        ),
        "f1_micro": sklearn_metrics.f1_score(truth, pooled >= 0.5),
        "exact_match": mean([
            all(s == y for s, y in zip(row >= 0.5, marks, strict=True) if y >= 0)
            for row, marks in zip(exact, labels, strict=True)
        ]),
        "log_loss": float(-np.log(true).mean()),
        "calibration_error": calibration_loop(pooled, truth),
        "brier": sklearn_metrics.brier_score_loss(truth, pooled),
    }  # fmt: skip


@EVERY_TASK
@settings(deadline=None, max_examples=20)
@given(count=st.integers(4, 60), classes=st.integers(3, 6), seed=SEEDS)
def test_every_score_is_that_of_scikit_learn_or_of_a_second_formula(
    task: Task, count: int, classes: int, seed: int
) -> None:
    exact, labels = simulated_answers(task, np.random.default_rng(seed), count, classes)
    probabilities = exact.astype(np.float32)
    if task.label_sets and not {0, 1} <= set(labels.ravel().tolist()):
        labels[0, :2] = 0, 1
    second = (of_label_sets if task.label_sets else of_classes)(probabilities, labels)
    scores = predictions_of(probabilities, labels, classes).scores()
    measured = task.measure(probabilities, labels)
    assert set(measured) == set(task.metrics) == set(task.scores) - {"brier"}
    for name in task.scores:
        expected = pytest.approx(second.get(name, math.nan), rel=1e-9, abs=1e-9, nan_ok=True)
        assert scores[name] == expected, name
        assert measured.get(name, scores[name]) == expected, name
    defined = task.measure_defined(probabilities, labels)
    assert defined == {name: value for name, value in defined.items() if math.isfinite(value)}
    assert {*task.shown} <= {*task.metrics}


# -- the order of classes


def in_another_order(task: Task, rng: np.random.Generator, classes: int) -> Array:
    """Return the old number of each class, int (classes,): of grades reversed, of other classes in any order."""
    return np.arange(classes)[::-1] if task.cuts else rng.permutation(classes)


@EVERY_TASK
@settings(deadline=None, max_examples=25)
@given(count=st.integers(40, 120), seed=SEEDS)
def test_another_order_of_the_classes_changes_nothing_but_the_order(task: Task, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities, labels = simulated_answers(task, rng, count)
    order = in_another_order(task, rng, 4)
    table = probabilities[:, order].copy()
    moved = labels[:, order] if task.label_sets else np.argsort(order)[labels]
    names = tuple(NAMES[c] for c in order)
    here, there = predictions_of(probabilities, labels, 4), predictions_of(table, moved, 4)
    scores = [{name: p.scores()[name] for name in task.scores} for p in (here, there)]
    assert scores[0] == pytest.approx(scores[1], rel=1e-9, abs=1e-9, nan_ok=True)
    by_name = {row.name: row for row in class_scores(there, names)}
    for row in class_scores(here, NAMES):
        other = by_name[row.name]
        assert (row.images, row.recall, row.precision) == (other.images, other.recall, other.precision)
        ends = [(r.f1, r.auc.value, r.auc.low, r.auc.high) for r in (row, other)]
        assert ends[0] == pytest.approx(ends[1], abs=1e-9)
    events, turned = task.events(NAMES), task.events(names)
    aucs = [roc_auc(*event.answers(probabilities, labels)[:2]) for event in events]
    moved_aucs = [roc_auc(*event.answers(table, moved)[:2]) for event in turned]
    back = range(len(events))[::-1] if task.cuts else np.argsort(order)  # a cut from above is one from below
    assert aucs == pytest.approx([moved_aucs[i] for i in back], abs=1e-9, nan_ok=True)
    sets, other_sets = (
        calibrated_sets(task, p, y, n, 0.8) for p, y, n in ((probabilities, labels, NAMES), (table, moved, names))
    )
    if task.label_sets:
        quantiles = [{s.event.name: s.quantile for s in part if s.event} for part in (sets, other_sets)]
        assert quantiles[0] == quantiles[1]
    else:
        assert (other_sets[0].sets(table) == sets[0].sets(probabilities)[:, order]).all()
    warmth = fit_temperatures(probabilities, labels)
    moved_warmth = fit_temperatures(table, moved)
    assert moved_warmth == pytest.approx([warmth[c] for c in order] if task.label_sets else warmth, rel=1e-4)


# -- probabilities and events


@EVERY_TASK
@settings(deadline=None, max_examples=25)
@given(seed=SEEDS, classes=st.integers(3, 7), warmth=st.floats(0.2, 5))
def test_probabilities_and_those_of_events_lie_in_range_and_agree(
    task: Task, seed: int, classes: int, warmth: float
) -> None:
    names = tuple(map(str, range(classes)))
    probabilities, labels = simulated_answers(task, np.random.default_rng(seed), 30, classes)
    tempered = apply_temperatures(probabilities, [warmth] * (classes if task.label_sets else 1))
    for table in (probabilities, tempered):
        assert ((table >= 0) & (table <= 1)).all()
        if not task.label_sets:
            assert table.sum(axis=1) == pytest.approx(np.ones(30), abs=1e-5)
        events = task.events(names)
        scores = np.array([event.scores(table) for event in events])
        assert scores.dtype == np.float64
        assert ((scores >= 0) & (scores <= 1)).all()
        first = classes - len(events)
        assert first == int(task.cuts)
        for index, (event, score) in enumerate(zip(events, scores, strict=True), start=first):
            above = slice(index, None) if task.cuts else slice(index, index + 1)
            assert score == pytest.approx(table[:, above].sum(axis=1, dtype=float), abs=1e-6)
            having = labels[:, index] == 1 if task.label_sets else np.isin(labels, np.arange(classes)[above])
            assert (event.of(labels) == having).all()
        if task.cuts:
            assert (np.diff(scores, axis=0) <= 0).all(), "grade 3 or more can't be likelier than 2 or more"


@EVERY_TASK
def test_events_survive_json(task: Task) -> None:
    for event in task.events(NAMES):
        assert Event.from_dict(json.loads(json.dumps(event.to_dict()))) == event


# -- networks


def written_ensemble(task: Task, folder: Path) -> Ensemble:
    """An ensemble of a network of each loss, with a point and sets, and its files."""
    rng, members, networks = np.random.default_rng(1), [], []
    answers = simulated_answers(task, rng, 200)
    for number, loss in enumerate(task.losses):
        torch.manual_seed(number)
        config = TrainConfig(backbone="resnet8_small", task=task.name, loss=loss, monitor=next(iter(task.metrics)))
        network = build_network(config, SMALL, 4)
        network.start(torch.tensor([0.3]), torch.tensor([0.3]), torch.tensor([0.4, 0.3, 0.2, 0.1]))
        networks.append(settled(network, SMALL))
        write_weights(folder / f"{number}.safetensors", network.state_dict(), {})
        digest = hashlib.sha256((folder / f"{number}.safetensors").read_bytes()).hexdigest()
        members.append(
            MemberFacts(
                f"{number}.safetensors", digest, number, None, None, 1 + number / 2, 1, {}, config.to_dict()
            )
        )
    points = [
        set_point(Rule("sensitivity", 0.9), *answers, NAMES, name, "calibration", cut=task.cuts)
        for name in NAMES[2:]
    ]
    warmth = (0.8, 1.2, 1.5, 2.0) if task.label_sets else (1.5,)
    manifest = Manifest(
        FORMAT, "", task.name, NAMES, SMALL, "stretch", "", "", warmth, "calibration", "top-k",
        SelectedOn("val", 0, next(iter(task.metrics)), {}, {}), tuple(points),
        tuple(calibrated_sets(task, *answers, NAMES, 0.9)), None, ManifestData("", "", {}), "", tuple(members),
    )  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest.to_dict(), allow_nan=False))
    return Ensemble(manifest, tuple(networks))


@EVERY_TASK
def test_what_is_saved_and_loaded_gives_equal_answers(task: Task, tmp_path: Path) -> None:
    made, images = written_ensemble(task, tmp_path), noise(9)
    loaded = Ensemble.load(tmp_path)
    assert loaded.manifest == made.manifest
    expected, answer = made.predict(images), loaded.predict(images)
    assert np.array_equal(answer.probabilities, expected.probabilities)
    for outputs, others in zip(made.member_outputs(images), loaded.member_outputs(images), strict=True):
        one = outputs.probabilities
        assert np.array_equal(one, others.probabilities)
        assert ((one >= 0) & (one <= 1)).all()
        assert task.label_sets or one.sum(axis=1) == pytest.approx(np.ones(9), abs=1e-5)
    for point in loaded.operating_points:
        assert (point.decide(answer.probabilities) == point.decide(expected.probabilities)).all()
    assert len(np.unique(answer.probabilities.round(3), axis=0)) > 5, "they depend on the image"


@pytest.mark.component
@EVERY_TASK
def test_onnx_gives_the_answers_of_torch(task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "cache"))
    ensemble, images = written_ensemble(task, tmp_path), noise(33)
    quick = FastEnsemble.prepare(ensemble, threads=1)
    assert quick.unconverted == ()
    assert quick.predict(images).probabilities == pytest.approx(ensemble.predict(images).probabilities, abs=1e-5)
    for fast, exact in zip(quick.member_outputs(images), ensemble.member_outputs(images), strict=True):
        assert fast.probabilities == pytest.approx(exact.probabilities, abs=1e-5)


# -- what decisions promise of new images


@EVERY_TASK
@pytest.mark.parametrize("target", [0.8, 0.9])
def test_new_images_are_hit_and_covered_at_the_rates_that_are_promised(task: Task, target: float) -> None:
    """On average over calibrations. A cut's cases are of several grades, the lowest of which is the hardest."""
    rng = np.random.default_rng(4)
    hits: list[float] = []
    covered: list[float] = []
    for _ in range(150):
        answers = simulated_answers(task, rng, 150)
        point = set_point(Rule("sensitivity", target), *answers, NAMES, "2", "calibration", cut=task.cuts)
        assert point.promised == target
        probabilities, labels = simulated_answers(task, rng, 1000)
        scores, having, _ = point.event.answers(probabilities, labels)
        hits.append(float((scores >= point.threshold)[having].mean()))
        for sets in calibrated_sets(task, *answers, NAMES, target):
            assert sets.promised
            known = np.ones(1000, bool) if sets.event is None else sets.event.known(labels)
            truth = labels if sets.event is None else sets.event.of(labels).astype(int)
            inside = sets.sets(probabilities)[np.arange(1000), truth]
            covered.append(float(inside[known].mean()))
    error = 3 * float(np.std(hits)) / len(hits) ** 0.5
    assert target - error <= np.mean(hits) <= target + 0.03 + error
    error = 3 * float(np.std(covered)) / len(hits) ** 0.5
    assert target - error <= np.mean(covered)

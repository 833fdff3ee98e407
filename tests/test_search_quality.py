"""Small parts of benchmarks/search_quality: what it measures, and that nobody has more time than the others."""

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, ndtr
from sklearn.metrics import roc_auc_score

from benchmarks.search_quality.folds import FoldsResult, folds_table
from benchmarks.search_quality.handover import Task, read_epochs
from benchmarks.search_quality.medray_search import write_epochs
from benchmarks.search_quality.paired import auc_lead, mean_lead
from benchmarks.search_quality.results import Result, append_result, read_results, rising
from benchmarks.search_quality.rival_trainer import Arrays, augment, train
from benchmarks.search_quality.run_contestant import run_group
from benchmarks.search_quality.tables import all_tables, share_of_time, write_between
from medray.errors import RunError
from medray.runs.rundir import RunDir, TrialDir
from medray.runs.trial_record import EpochRecord
from medray.stats.compare import compare_models
from medray.stats.scores import Predictions

torch = pytest.importorskip("torch")
BUDGET = 100.0


def task_in(folder: Path, seconds: float = BUDGET) -> Task:
    return Task(folder / "data.npz", folder, time.time(), seconds, seed=0, threads=1)


def result_of(contestant: str, *curve: tuple[float, float], seed: int = 0, state: str = "finished") -> Result:
    return Result(
        "breastmnist", seed, contestant, BUDGET, state, curve=curve, seconds=90.0, trials=3, epochs=9,
        test_auc=0.9, test_accuracy=0.8, threads=2,
    )  # fmt: skip


def arrays_file(path: Path) -> Path:
    rng = np.random.default_rng(0)
    arrays = {"class_names": np.array(["dark", "bright"])}
    for split, count in (("train", 48), ("val", 16), ("test", 16)):
        labels = np.arange(count) % 2
        images = rng.integers(0, 120, (count, 12, 12)) + 100 * labels[:, None, None]
        arrays |= {f"{split}_images": images.astype(np.uint8), f"{split}_labels": labels}
    np.savez(path, **arrays)
    return path


@given(st.lists(st.tuples(st.floats(0, 200), st.floats(0, 1))))
def test_a_curve_rises_to_the_best_within_the_budget(points: list[tuple[float, float]]) -> None:
    curve = rising(points, BUDGET)
    inside = [value for seconds, value in points if seconds <= BUDGET]
    values = [value for _, value in curve]
    assert values == sorted(set(values))
    assert (values[-1] if values else None) == max(inside, default=None)


def test_of_two_lines_of_a_run_the_last_counts(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    for result in (result_of("optuna", state="failed"), result_of("medray"), result_of("optuna", (5.0, 0.7))):
        append_result(path, result)
    results = read_results(path)
    assert {result.contestant: result.state for result in results} == {"optuna": "finished", "medray": "finished"}
    assert next(result.final for result in results if result.contestant == "optuna") == 0.7
    path.write_text(path.read_text() + json.dumps({"set": "busi"}) + "\n")
    with pytest.raises(RunError, match="line 4"):
        read_results(path)


def test_the_lead_is_measured_on_the_mean_curve_of_the_seeds() -> None:
    own = [result_of("medray", (10.0, 0.8), (60.0, 0.9)), result_of("medray", (20.0, 0.9), seed=1)]
    assert share_of_time(own, 0.85) == 0.2  # the first alone is at 0.8 then, the mean at 0.85
    assert share_of_time(own, 0.9) == 0.6
    assert share_of_time(own, 0.95) is None


def test_the_lead_on_test_is_of_the_same_images_and_seeds() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    good, poor = (labels + rng.normal(0, noise, 200) for noise in (0.5, 2.0))

    def scored(contestant: str, scores: Any, seed: int = 0) -> Result:
        columns = tuple((float(-score), float(score)) for score in scores)
        return replace(
            result_of(contestant, (10.0, 0.9), seed=seed), test_labels=tuple(labels.tolist()), test_scores=columns
        )

    own, other = [scored("medray", good), scored("medray", poor, 1)], [scored("tune", poor)]
    lead = auc_lead(own, other)
    assert lead is not None
    expected = (roc_auc_score(labels, good) - roc_auc_score(labels, poor)) / 2
    assert lead[0] == pytest.approx(expected)
    assert 0 < lead[1] < lead[0] < lead[2] < 0.3
    alone = compare_models("good", "poor", "auc", {
        name: Predictions(np.stack([1 - expit(scores), expit(scores)], axis=1), labels, 2)
        for name, scores in (("good", good), ("poor", poor))
    }, None)  # fmt: skip
    assert auc_lead(own[:1], other) == pytest.approx((alone.difference, alone.low, alone.high))
    assert mean_lead([lead]) == pytest.approx(lead)
    assert mean_lead([lead, lead]) == pytest.approx(
        (lead[0], lead[0] - (lead[0] - lead[1]) / 2**0.5, lead[0] + (lead[2] - lead[0]) / 2**0.5)
    )
    assert auc_lead(own, own) == (0.0, 0.0, 0.0)
    assert auc_lead(own, [result_of("tune")]) is None  # of an earlier version, without scores
    assert f"| plain Ray Tune | {lead[0]:+.3f} ({lead[1]:+.3f} to {lead[2]:+.3f}) |" in all_tables([*own, *other])


def test_the_interval_of_a_lead_holds_the_true_one_as_often_as_it_says() -> None:
    """Models of two seeds each, whose scores of an image have a part in common; the ranking by chance is known."""
    rng, runs, covered = np.random.default_rng(0), 300, 0
    own, other = (2.6, 2.2), (2.0, 1.6)  # distances of the two classes, in noise of variance 1 + 0.64
    true = np.diff([ndtr(np.array(distances) / (2 * 1.64) ** 0.5).mean() for distances in (other, own)])[0]
    for _ in range(runs):
        labels = (rng.random(117) < 0.27).astype(int)
        shared = rng.normal(0, 1, 117)

        def seeds(*distances: float, labels: Any = labels, shared: Any = shared) -> list[Result]:
            scores = [distance * labels + shared + rng.normal(0, 0.8, 117) for distance in distances]
            columns = [tuple((float(-score), float(score)) for score in of_seed) for of_seed in scores]
            return [
                replace(result_of("medray"), test_labels=tuple(labels.tolist()), test_scores=each)
                for each in columns
            ]

        lead = auc_lead(seeds(*own), seeds(*other))
        assert lead is not None
        covered += lead[1] <= true <= lead[2]
    assert 0.91 < covered / runs < 0.99  # four standard errors of 300 runs about 0.95


def test_tables_have_a_row_for_each_contestant_and_say_what_failed(tmp_path: Path) -> None:
    results = [
        result_of("medray", (10.0, 0.8), (40.0, 0.9)),
        result_of("tune", (50.0, 0.85)),
        result_of("optuna", state="failed"),
        result_of("autogluon"),  # its first epoch ended too late
    ]
    text = all_tables(results)
    assert "| AutoGluon, SVM on frozen features | – |" in text
    assert "| BreastMNIST, 28×28 | plain Ray Tune | 0.850 | 0.900 | 40% |" in text
    assert "- Optuna, TPE and Hyperband, BreastMNIST, 28×28, seed 0" in text
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- part -->old<!-- end of part -->\nb\n")
    write_between(page, "part", text)
    assert page.read_text().startswith("a\n<!-- part -->\n\n")
    assert page.read_text().endswith("<!-- end of part -->\nb\n")
    assert "old" not in page.read_text()
    with pytest.raises(ValueError, match="lacks the marks"):
        write_between(page, "other", text)


def test_folds_of_several_seeds_are_a_row_with_their_mean() -> None:
    def of(seed: int, auc: float) -> FoldsResult:
        settings = {"3": {"auc": auc, "accuracy": 0.8}, "5": {"auc": auc - 0.1, "accuracy": 0.9}}
        return FoldsResult(
            "breastmnist", "auc", seed, 0.5, 5, 500, settings, {"top-k of folds": {"auc": auc}}, "top-k of folds", 0.9, 0.85,
            1800.0, 360.0, threads=2, load=0.1, time="", commit=None,
        )  # fmt: skip

    (row,) = folds_table([of(1, 0.92), of(0, 0.9)]).splitlines()[2:]
    assert row.split(" | ")[1:9] == [
        "auc", "0, 1", "0.5", "0.10 (0.10, 0.10)", "500 in 5", "0.910 (0.900, 0.920) / 0.800 (0.800, 0.800)",
        "0.910 (0.900, 0.920) / –", "0.900 (0.900, 0.900) / 0.850 (0.850, 0.850)",
    ]  # fmt: skip


def test_the_table_of_folds_has_what_medray_hands_over_and_not_the_highest_figures() -> None:
    settings = {"5": {"auc": 0.95, "accuracy": 0.9}, "3": {"auc": 0.98, "accuracy": 0.8}}
    selections = {
        "greedy of folds": {"auc": 0.99, "accuracy": 0.95},
        "top-k of folds": {"auc": 0.97, "accuracy": 0.9},
    }
    result = FoldsResult(
        "bloodcells", "f1_macro", 0, 1.0, 5, 260, settings, selections, "top-k of folds", 0.97, 0.85, 3600.0, 1500.0,
        threads=2, load=0.1, time="", commit=None,
    )  # fmt: skip
    (row,) = folds_table([result]).splitlines()[2:]
    assert row.split(" | ")[6:8] == ["0.950 / 0.900", "0.970 / 0.900"]


def test_a_contestant_over_the_limit_ends_with_its_children(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "open('child', 'w').write(str(child.pid))\n"
        "time.sleep(60)\n"
    )
    reason = run_group([sys.executable, "-c", code], task_in(tmp_path, 0.5), dict(os.environ), grace=1.0)
    assert reason is not None
    assert reason.startswith("cut at the hard limit")
    pid = int((tmp_path / "child").read_text())
    status = Path(f"/proc/{pid}/stat")
    assert not status.exists() or status.read_text().split()[2] == "Z"  # nobody may be left to bury it


def test_a_contestant_that_fails_says_why(tmp_path: Path) -> None:
    reason = run_group(
        [sys.executable, "-c", "raise SystemExit('no weights')"], task_in(tmp_path), dict(os.environ)
    )
    assert reason == "exit status 1: no weights"


def test_epochs_of_a_run_end_when_its_files_say(tmp_path: Path) -> None:
    task, run = task_in(tmp_path), RunDir(str(tmp_path / "run"))
    for number, aucs in enumerate([[0.6, 0.7], [0.9]]):
        folder = run.trial(number)
        folder.write_epochs([
            EpochRecord(epoch, auc, 0.1, 0.1, 3.0, {"auc": auc}, epoch, {"auc": auc}, 10, None)
            for epoch, auc in enumerate(aucs, start=1)
        ])  # fmt: skip
        end = task.start + 10.0 * (number + 1)
        os.utime(folder.path(TrialDir.EPOCHS), (end, end))
    write_epochs(run, task)
    epochs = [(round(e["time"] - task.start, 1), e["trial"], e["auc"]) for e in read_epochs(tmp_path)]
    assert sorted(epochs) == [(7.0, 0, 0.6), (10.0, 0, 0.7), (20.0, 1, 0.9)]


def test_the_rivals_trainer_learns_and_keeps_to_the_time(tmp_path: Path) -> None:
    arrays = Arrays.load(arrays_file(tmp_path / "data.npz"))
    settings = {
        "network": "cnn", "learning_rate": 0.003, "batch_size": 16, "weight_decay": 0.01, "dropout": 0.0,
        "pipeline": "flips_turns",
    }  # fmt: skip

    def aucs(deadline: float) -> list[float]:
        return [auc for _, auc, _ in train(settings, arrays, None, seed=0, turns=False, deadline=deadline)]

    whole = aucs(time.time() + 60)
    assert len(whole) == 30
    assert max(whole) > 0.9
    assert aucs(time.time() - 1) == []


@pytest.mark.parametrize(("turns", "variants"), [(False, 2), (True, 4)])
def test_flips_mirror_and_nothing_else(turns: bool, variants: int) -> None:
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    many = augment(image.expand(200, -1, -1, -1), "flips", torch.Generator().manual_seed(0), turns=turns)
    expected = [image, image.flip(3), image.flip(2), image.flip(2, 3)][:variants]
    seen = [sum(bool(torch.allclose(one, other[0], atol=1e-4)) for one in many) for other in expected]
    assert sum(seen) == 200
    assert min(seen) > 200 / variants / 2

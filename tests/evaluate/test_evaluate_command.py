"""`medray evaluate`: what it measures, for patients and subgroups too, and what a person types."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from medray.data.dataset import ImageDataset
from medray.runs.rundir import RunDir
from medray.stats.compare import NOT_SHOWN, NOT_TESTED
from medray.stats.score_intervals import NO_INTERVAL
from medray.tasks import SINGLE
from tests.conftest import Command
from tests.evaluate.conftest import (
    FEW,
    WithData,
    answer,
    ask,
    make_ensemble,
    predicted,
    refused,
    stored_read_names,
)


def test_the_ensemble_is_measured_as_it_would_answer_in_use(run: Path, hard: ImageDataset) -> None:
    probabilities, labels = predicted(run, hard)
    assert 0.4 < (probabilities.argmax(axis=1) == labels).mean() < 0.95  # else a mix-up would go unseen
    exact, called = probabilities.astype(np.float64), probabilities.argmax(axis=1)
    expected = {
        "auc": sklearn_metrics.roc_auc_score(labels, probabilities, multi_class="ovr"),
        "accuracy": sklearn_metrics.accuracy_score(labels, called),
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(labels, called),
        "f1_macro": sklearn_metrics.f1_score(labels, called, average="macro", zero_division=0),
        "f1_weighted": sklearn_metrics.f1_score(labels, called, average="weighted", zero_division=0),
        "log_loss": sklearn_metrics.log_loss(labels, exact / exact.sum(axis=1, keepdims=True)),
        "brier": ((exact - np.eye(3)[labels]) ** 2).sum(axis=1).mean(),
    }
    document = answer(run)
    scores = document["models"][0]["scores"]
    assert document["models"][0]["name"] == "ensemble"
    assert {name: scores[name]["value"] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert set(scores) == set(SINGLE.scores)
    assert document["confusion_matrix"] == sklearn_metrics.confusion_matrix(labels, called).tolist()
    for c, row in enumerate(document["per_class"]):
        assert row["auc"]["value"] == pytest.approx(
            sklearn_metrics.roc_auc_score(labels == c, probabilities[:, c]), abs=1e-6
        )
        assert row["recall"]["value"] == pytest.approx((called == c)[labels == c].mean(), abs=1e-6)
        assert row["specificity"]["value"] == pytest.approx((called != c)[labels != c].mean(), abs=1e-6)


def test_every_model_is_there_once_and_compared_with_the_ensemble(run: Path) -> None:
    document = answer(run)
    names = [model["name"] for model in document["models"]]
    single = next(name for name in names if name.startswith("best single"))
    assert names == ["ensemble", single, "greedy of trials", "baseline plain (trial 0)"]
    assert document["models"][0]["networks"] == 3
    primary = [row for row in document["comparisons"] if row["primary"]]
    assert [(row["other"], row["metric"]) for row in primary] == [("baseline plain (trial 0)", "auc")]
    pairs = [(row["reference"], row["other"], row["metric"]) for row in document["comparisons"]]
    assert pairs == [("ensemble", other, metric) for other in names[1:] for metric in ("auc", "accuracy")]
    for model in document["models"]:
        for name, score in model["scores"].items():
            if name in ("accuracy", "log_loss", "brier"):
                assert score["low"] <= score["value"] <= score["high"], (model["name"], name)
            else:
                assert score["low"] is score["high"] is None
                assert score["reason"] in ("8 images of a class: too few", NO_INTERVAL)


def test_the_best_single_and_baselines_are_those_of_the_leaderboard(run: Path, hard: ImageDataset) -> None:
    """Each is one network as it is; the single one is that with the best validation AUC."""
    from medray.config import TrainConfig
    from medray.training.predict import predict_images
    from medray.training.weights import load_network, weights_from_bytes

    trials = [json.loads((run / f"trials/{n:04d}/trial.json").read_text()) for n in range(4)]
    best = max(trials, key=lambda trial: trial["objective"])["number"]
    (
        run / "selection.json"
    ).unlink()  # as the search leaves it: no other selections, and no temperature of the single one
    models = {model["name"]: model["scores"] for model in answer(run)["models"]}
    assert list(models) == ["ensemble", f"best single (trial {best})", "baseline plain (trial 0)"]
    test = hard.split("test")
    for name, number in ((f"best single (trial {best})", best), ("baseline plain (trial 0)", 0)):
        folder = RunDir(str(run)).trial(number)
        tensors, _ = weights_from_bytes(folder.read(folder.WEIGHTS), "weights")
        network = load_network(TrainConfig.from_dict(folder.read_json(folder.CONFIG)), (12, 12, 1), 3, tensors, "")
        probabilities = predict_images(network, test, __import__("torch").device("cpu")).probabilities
        expected = sklearn_metrics.roc_auc_score(test.own_labels, probabilities, multi_class="ovr")
        assert models[name]["auc"]["value"] == pytest.approx(expected, abs=1e-6)


def test_a_model_like_the_ensemble_shows_no_difference(finished_run: Path) -> None:
    make_ensemble(finished_run, top_k=1)
    answered = answer(finished_run)
    rows = [row for row in answered["comparisons"] if row["other"].startswith("best single")]
    assert len(rows) == 2
    few, tested = ((row["difference"], row["bootstrap_p"], row["verdict"]) for row in rows)
    assert few == (0.0, None, NOT_TESTED)  # 8 images of a class are too few for AUC
    assert tested == (0.0, 1.0, NOT_SHOWN)
    assert (rows[1]["low"], rows[1]["high"], rows[1]["p"], rows[1]["test"]) == (0.0, 0.0, 1.0, "McNemar")
    assert answered["models"][0]["scores"] == answered["models"][1]["scores"]


def test_an_ensemble_of_folds_is_measured(folded_run: Path, dataset: ImageDataset, tmp_path: Path) -> None:
    run = Path(shutil.copytree(folded_run, tmp_path / "folded"))
    make_ensemble(run)
    probabilities, labels = predicted(run, dataset)
    document = answer(run)
    assert document["models"][0]["networks"] == 6
    expected = sklearn_metrics.roc_auc_score(labels, probabilities, multi_class="ovr")
    assert document["models"][0]["scores"]["auc"]["value"] == pytest.approx(expected, abs=1e-6)
    names = {model["name"] for model in document["models"]}
    assert {"folds of the best setting", "greedy of folds", "top-k of trials", "greedy of trials"} <= names


def test_the_same_seed_gives_the_same_resamples(run: Path) -> None:
    first, second, other = answer(run), answer(run, "--again"), answer(run, "--again", "--seed", 7)
    assert first["comparisons"] == second["comparisons"]
    assert first["models"] == second["models"] == other["models"]
    assert first["comparisons"] != other["comparisons"]


# -- patients and subgroups


def test_intervals_are_by_patient_where_they_are_known(run: Path, with_data: WithData) -> None:
    plain = answer(run)
    groups = {split: np.arange(count) // 4 for split, count in (("train", 48), ("val", 24), ("test", 24))}
    with_data(train_groups=groups["train"], val_groups=groups["val"] + 100, test_groups=groups["test"] + 200)
    document = answer(run, "--again")
    assert (document["images"], document["patients"]) == (24, 6)
    of_ensemble = [read["models"][0]["scores"]["accuracy"] for read in (plain, document)]
    assert of_ensemble[0]["value"] == of_ensemble[1]["value"]
    assert of_ensemble[0]["low"] is not None
    assert (of_ensemble[1]["low"], of_ensemble[1]["reason"]) == (None, "6 patients: too few")
    shown = ask(run).stdout
    assert "24 test images of 6 patients; 95 % intervals by patient" in shown
    assert "No interval of accuracy" in shown


def test_a_patient_who_is_not_known_is_refused_before_the_reading(run: Path, with_data: WithData) -> None:
    test = np.array(["a", ""] * 12)
    with_data(train_groups=np.array(["x"] * 48), val_groups=np.array(["y"] * 24), test_groups=test)
    assert "12 of 24 images have no patient" in refused(ask(run))
    assert stored_read_names(run) == []


def test_subgroups_have_a_table_each(run: Path, with_data: WithData) -> None:
    columns = {}
    for split, count in (("train", 48), ("val", 24), ("test", 24)):
        columns[f"{split}_subgroup_sex"] = np.where(np.arange(count) < 21, "f", "m")
        columns[f"{split}_subgroup_scanner"] = np.arange(count) % 2
    with_data(**columns)
    document = answer(run)["subgroups"]
    assert {name: [row["value"] for row in rows] for name, rows in document.items()} == {
        "scanner": ["0", "1"],
        "sex": ["f", "m"],
    }
    assert [(row["images"], row["flag"]) for row in document["sex"]] == [
        (21, "too few to tell"),
        (3, "too few to tell"),
    ]
    with np.load(run / "evaluation/read_0001/test_predictions.npz") as stored:
        right = stored["model_0"].argmax(axis=1) == stored["labels"]
    assert document["sex"][0]["accuracy"]["value"] == pytest.approx(right[:21].mean())
    shown = ask(run).stdout
    assert "The ensemble by sex" in shown
    assert "The ensemble by scanner" in shown
    assert "too few to tell" in shown


# -- the command line


def test_json_is_one_document_and_progress_is_on_stderr(run: Path) -> None:
    result = ask(run, "--json")
    document = json.loads(result.stdout)
    assert (document["resamples"], document["images"], document["from_store"]) == (FEW, 24, False)
    assert result.stderr.splitlines() == [
        f"Loading {json.loads((run / 'run.json').read_text())['options']['data']} ...",
        "Predicting 24 test images with 4 networks ...",
        "Measuring 4 models ...",
    ]
    stored = json.loads((run / "evaluation/read_0001/scores.json").read_text())
    assert {name: document[name] for name in stored} == stored


def test_the_module_runs_as_a_command(run: Path, command: Callable[..., Command]) -> None:
    first = answer(run)
    code, out, err = command(run, "--json", name="evaluate").finish()
    assert (code, err) == (0, "")
    assert json.loads(out) == {**first, "from_store": True}


def test_a_refusal_is_json_where_json_was_asked_for(finished_run: Path) -> None:
    result = ask(finished_run, "--json")
    assert refused(result)
    assert "has no ensemble" in json.loads(result.stdout)["error"]


def test_help_has_examples_and_unknown_options_name_the_nearest() -> None:
    result = ask("--help")
    assert result.exit_code == 0
    assert "Examples:" in result.output
    assert "medray evaluate runs/organs --again" in result.output
    assert "unknown option '--agian' (did you mean '--again'?)" in refused(ask("x", "--agian"))
    assert "Missing argument 'RUN'" in refused(ask())
    assert "--seed" in refused(ask("x", "--seed", -1))

"""Every number on the page is the files' own."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medray.analyze.baselines import compare_with_baseline
from medray.analyze.open_runs import open_runs
from medray.console_tables import interval, number
from medray.evaluate.scores_document import ReadScores
from medray.report.figures_calibration import calibration_chart
from medray.report.model_predictions import ModelPredictions
from medray.stats.calibration import reliability
from medray.stats.calibration_curve import CalibrationCurve
from medray.stats.events import Event
from tests.analyze.conftest import predict
from tests.report.conftest import Page, draw, read

Drawn = tuple[Path, Page, str]


def scores_of(run: Path) -> ReadScores:
    return ReadScores.from_dict(read(run / "evaluation/read_0001/scores.json"))


def test_the_test_splits_figures_are_those_that_were_stored(drawn: Drawn) -> None:
    run, page, _ = drawn
    scores = scores_of(run)
    rows = page.table("All models on the test split")
    assert rows[0][:3] == ["model", "AUC", "accuracy"]
    for row, model in zip(rows[1:], scores.models, strict=True):
        assert row[0].startswith(model.name)
        assert row[1:3] == [interval(model.scores["auc"]), interval(model.scores["accuracy"])]
    shown = page.data["test-scores"]
    assert shown["model"] == [model.name for model in scores.models]
    for end in ("value", "low", "high"):
        assert shown[end] == [getattr(model.scores["auc"], end) for model in scores.models]
    assert f"On {scores.images} test images" in page.text
    assert "has been read once" in page.text


def test_classes_points_and_sets_are_those_that_were_stored(drawn: Drawn) -> None:
    run, page, _ = drawn
    scores = scores_of(run)
    assert page.data["confusion-test"] == {
        "names": list(scores.class_names),
        "counts": [list(row) for row in scores.confusion_matrix],
    }
    cells = page.table(f"The ensemble on {scores.images} test images")
    assert [row[1:-1] for row in cells[1:]] == [[str(n) for n in row] for row in scores.confusion_matrix]
    for row, own in zip(page.table("The ensemble by class")[1:], scores.per_class, strict=True):
        assert row[:3] == [own.name, str(own.images), interval(own.precision)]
        assert row[-1] == interval(own.auc)
    set_on, tested = page.table("Operating points, where they were set")[1:]
    (point,) = scores.operating_points
    assert set_on[2] == interval(point.rates.sensitivity)
    assert tested[2] == interval(point.test.sensitivity)
    for row, sets in zip(page.table("Conformal sets")[1:], scores.conformal_sets, strict=True):
        assert row[1] == interval(sets.test.covered)


def test_curves_on_test_are_of_the_stored_predictions(drawn: Drawn) -> None:
    run, page, _ = drawn
    with np.load(run / "evaluation/read_0001/test_predictions.npz") as file:
        place = file["models"].tolist().index("ensemble")
        probabilities, labels = file[f"model_{place}"], file["labels"]
    roc = page.data["roc-test"]
    assert roc["class"] == list(scores_of(run).class_names)
    for c, area in enumerate(roc["auc"]):
        assert area == pytest.approx(roc_auc_score(labels == c, probabilities[:, c]))
        assert np.trapezoid(roc["true_positive_rate"][c], roc["false_positive_rate"][c]) == pytest.approx(area)
    bins = reliability(probabilities, labels)
    own = page.data["reliability"]["on"].index("test")
    assert page.data["reliability"]["count"][own] == list(bins.count)
    assert page.data["reliability"]["calibration_error"][own] == bins.calibration_error


def test_calibration_curves_are_those_that_were_stored_above_the_probabilities_bars(drawn: Drawn) -> None:
    run, page, _ = drawn
    scores = scores_of(run)
    with np.load(run / "evaluation/read_0001/test_predictions.npz") as file:
        probabilities = file[f"model_{file['models'].tolist().index('ensemble')}"]
    (curve,) = scores.reviewed.calibration_curves  # of the class that has an operating point
    shown = page.data["calibration-test"]
    assert shown["class"] == [curve.event.name] == ["1"]
    assert shown["value"] == [[b.observed.value for b in curve.bins]]
    assert shown["smooth"] == [[[p.score, p.observed, p.low, p.high] for p in curve.smooth]]
    assert sum(shown["images"][0]) == sum(shown["bars"][0]) == scores.images
    assert shown["bars"][0][0] == (probabilities[:, 1] < 0.05).sum()
    rows = page.table("The bins of the calibration curves; 95 % intervals by image")[1:]
    assert [row[2] for row in rows] == [interval(b.observed) for b in curve.bins]


def test_probabilities_by_true_class_count_every_image_once_and_mark_the_points(drawn: Drawn) -> None:
    run, page, _ = drawn
    scores = scores_of(run)
    with np.load(run / "evaluation/read_0001/test_predictions.npz") as file:
        probabilities, labels = file[f"model_{file['models'].tolist().index('ensemble')}"], file["labels"]
    shown, (point,) = page.data["risks-1"], scores.operating_points
    assert (sum(shown["positive"]), sum(shown["other"])) == ((labels == 1).sum(), (labels != 1).sum())
    assert shown["positive"][:10] == [
        int(((labels == 1) & (probabilities[:, 1] >= b / 20) & (probabilities[:, 1] < (b + 1) / 20)).sum())
        for b in range(10)
    ]
    assert shown["thresholds"] == [point.threshold]
    (spec,) = [own for own in page.specs if any("true class: 1" in trace.get("name", "") for trace in own["data"])]
    lines = [trace for trace in spec["data"] if trace["type"] == "scatter"]
    assert [trace["x"] for trace in lines] == [[point.threshold] * 2] * 2
    assert lines[0]["name"] == f"{point.name}: from {point.threshold:.4f}"


def test_of_many_classes_the_curves_of_those_with_most_images_are_drawn() -> None:
    rng, names = np.random.default_rng(0), [f"class {i}" for i in range(14)]
    labels = np.repeat(np.arange(14), np.arange(14, 0, -1) * 4)[::-1]  # class 13 has the fewest
    probabilities = rng.dirichlet(np.ones(14), size=len(labels)).astype(np.float32)
    curves = [
        CalibrationCurve.of(Event(name, i), probabilities[:, i], labels == i) for i, name in enumerate(names)
    ]
    predictions = ModelPredictions("the ensemble", "test", probabilities, labels)
    chart = calibration_chart(curves, predictions, "image")
    assert chart.data["class"] == names[:12]
    assert "12 classes of most images; 2 more are not drawn" in chart.summary
    titles = [
        axis["title"]["text"] for name, axis in chart.spec["layout"].items() if "xaxis" in name and "title" in axis
    ]
    assert titles == [f"probability of '{name}'" for name in names[:12]]


def test_out_of_fold_figures_are_those_that_the_ensemble_was_chosen_by(drawn: Drawn) -> None:
    """Worked out anew from the predictions, they are what the manifest says."""
    run, page, _ = drawn
    manifest = read(run / "ensemble/manifest.json")
    chosen = manifest["selected_on"]
    assert chosen["predictions"] == "out-of-fold"
    counts = np.array(page.data["confusion-out-of-fold"]["counts"])
    assert counts.sum() == chosen["images"]
    assert counts.trace() / counts.sum() == pytest.approx(chosen["scores"]["accuracy"])
    assert np.mean(page.data["roc-out-of-fold"]["auc"]) == pytest.approx(chosen["scores"]["auc"])
    own = page.data["reliability"]["on"].index("out-of-fold")
    error = page.data["reliability"]["calibration_error"][own]
    assert error == pytest.approx(chosen["scores"]["calibration_error"], abs=1e-6)
    assert f"Temperature {manifest['temperatures'][0]:.3f}" in page.text


def test_folds_are_those_of_the_summaries(drawn: Drawn) -> None:
    run, page, _ = drawn
    shown = page.data["folds"]
    assert len(shown["trial"]) == 2
    for place, trial in enumerate(shown["trial"]):
        summary = read(run / f"crossval/{trial:04d}/summary.json")
        assert shown["folds"][place] == [fold["metrics"]["auc"] for fold in summary["folds"]]
        assert (shown["mean"][place], shown["sd"][place]) == (summary["mean"]["auc"], summary["std"]["auc"])
        row = page.table("Mean ± standard deviation")[place + 1]
        text = f"{number(summary['mean']['auc'])} ± {number(summary['std']['auc'])}"
        name = "trial 0 plain" if trial == 0 else f"trial {trial}"  # a baseline
        assert row[:3] == [name, "3", text]


def test_learning_curves_and_objectives_are_the_trials_own(drawn: Drawn) -> None:
    run, page, _ = drawn
    for anchor, value in (("learning-metric", ("metrics", "auc")), ("learning-loss", ("train_loss",))):
        shown = page.data[anchor]
        assert sorted(shown["trial"]) == [0, 1, 2, 3]
        for place, trial in enumerate(shown["trial"]):
            lines = (run / f"trials/{trial:04d}/epochs.jsonl").read_text().splitlines()
            epochs = [json.loads(line) for line in lines]
            own = [e[value[0]][value[1]] if len(value) > 1 else e[value[0]] for e in epochs]
            assert (shown["epoch"][place], shown["value"][place]) == ([e["epoch"] for e in epochs], own)
    objectives = {n: read(run / f"trials/{n:04d}/trial.json")["objective"] for n in range(4)}
    progress = page.data["progress"]
    assert dict(zip(progress["trial"], progress["objective"], strict=True)) == objectives
    assert progress["best_so_far"] == np.maximum.accumulate(progress["objective"]).tolist()
    assert progress["best_so_far"][-1] == max(objectives.values())
    parallel = page.data["parallel"]
    assert dict(zip(parallel["trial"], parallel["objective"], strict=True)) == objectives
    board = page.table("All 4 trials")
    shown_objectives = [row[board[0].index("AUC")] for row in board[1:]]
    assert shown_objectives == [f"{o:.4f}" for o in sorted(objectives.values(), reverse=True)]


def test_the_data_are_as_the_run_has_stored_them(drawn: Drawn) -> None:
    run, page, _ = drawn
    data = read(run / "data.json")
    rows = page.table("Images by class and split")
    assert rows[0] == ["class", *data["splits"], "all"]
    for c, row in enumerate(rows[1:-1]):
        counts = [own["classes"][c] for own in data["splits"].values()]
        assert row == [data["class_names"][c], *map(str, counts), str(sum(counts))]
    assert rows[-1][-1] == str(data["images"])
    assert data["fingerprint"] in page.text
    assert scores_of(run).ensemble in page.text


def test_no_difference_to_a_baseline_stands_without_its_interval(run: Path) -> None:
    """24 images are too few for one; of 80 it is that of the analysis."""
    page, _ = draw(run, "--no-images")
    assert {row[2] for row in page.table("Baselines against the search")[1:]} == {"–"}
    assert "No difference without its interval: too few images or patients of a class" in page.text
    predict(run, {0: 0.5, 1: 2.0, 2: 2.0, 3: 2.0})
    page, _ = draw(run, "--no-images")
    (seen,) = open_runs([str(run)])
    comparison = compare_with_baseline(seen)
    assert comparison is not None
    rows = page.table("Baselines against the search on 80 validation images")[1:]
    assert [row[2] for row in rows] == [interval(entry, sign=True) for entry in comparison.entries]
    assert rows[1][2].startswith("+0.")
    assert "[+0." in rows[1][2]
    assert "No difference without" not in page.text


def test_what_repeats_it_has_the_seeds_of_the_run(drawn: Drawn) -> None:
    run, page, _ = drawn
    options, plan = read(run / "run.json")["options"], read(run / "crossval/plan.json")
    assert f"--data {options['data']} --trials 4 --max-epochs 2 --top-k 2 --seed 0 --out runs/again" in page.text
    trials = " ".join(f"--trial {number}" for number in plan["trials"])
    assert f"medray crossval runs/again {trials} --folds 3 --seed 0" in page.text
    chosen = (
        "--strategy top-k --from folds --top-k 2 --sensitivity 0.9 --positive 1 --coverage 0.9 --coverage 0.95"
    )
    assert f"medray ensemble runs/again {chosen}" in page.text
    assert "medray evaluate runs/again --seed 0" in page.text


def test_importance_and_savings_are_those_of_the_analysis(run: Path) -> None:
    from medray.analyze.asha_savings import asha_savings
    from medray.analyze.importance import importances
    from medray.analyze.journal import open_study
    from medray.analyze.open_runs import open_runs
    from tests.analyze.conftest import write_journal

    rng = np.random.default_rng(0)
    rates = rng.uniform(0.001, 0.02, 12).tolist()
    write_journal(
        run,
        [{"value": 1 - rate, "params": {"learning_rate": rate, "backbone": "lenet5"}} for rate in rates],
    )
    trial = read(run / "trials/0001/trial.json")
    trial |= {
        "state": "stopped",
        "ended_by": "asha",
        "objective": 0.1,
        "settings": trial["settings"] | {"epochs": 12},
    }
    (run / "trials/0001/trial.json").write_text(json.dumps(trial))
    page, _ = draw(run, "--no-images")
    (seen,) = open_runs([str(run)])
    wanted = importances(open_study(seen.run), seen.space)
    shown = page.data["importance"]
    for key, own in (("setting", "parameter"), ("value", "value"), ("low", "low"), ("high", "high")):
        assert shown[key] == [getattr(row, own) for row in wanted.rows]
    saved = asha_savings(seen.records)
    assert page.data["asha"] == {"trial": [0, 1, 2, 3], "trained": [2, 2, 2, 2], "saved": [0, 10, 0, 0]}
    assert saved.epochs_saved == 10
    curves = page.data["learning-loss"]
    assert dict(zip(curves["trial"], curves["kind"], strict=True))[1] == "stopped early"

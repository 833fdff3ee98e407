"""Cases that answer by attention, from the search to the reading of the test split, in this process."""

from pathlib import Path

import numpy as np
import pytest

import medray
from medray.errors import MedrayError
from medray.runs.fold_results import read_crossval_trials
from medray.runs.rundir import RunDir, read_predictions
from medray.stats.cases import answer_cases, number_cases
from medray.stats.metrics import all_metrics
from tests.case_samples import write_case_npz

pytestmark = pytest.mark.component

SPACE = """
name: films
data: phantom
objective: {metric: log_loss}
cases: {by: patient, answer: attention}
splits: {calibration: 0.35}
budget: {trials: 2, max_epochs: 2, grace_epochs: 2, reduction_factor: 2, patience: null}
resources: {cpu: 1, gpu: 0}
space:
  learning_rate: {log: [0.005, 0.01]}
fixed: {backbone: resnet8_small, batch_size: 32}
baselines:
  plain: {learning_rate: 0.005}
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_case_npz(tmp_path_factory.mktemp("films") / "films.npz", train=90, val=40, test=50)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, data: Path) -> medray.Study:
    folder = tmp_path_factory.mktemp("cases")
    (folder / "films.yaml").write_text(SPACE)
    study = medray.Study(folder / "films.yaml", data=str(data), out=folder / "run", runner="local", quiet=True)
    study.search()
    study.crossval(top=1, folds=2)
    study.ensemble(sensitivity=0.8, positive="1", coverages=[0.8])
    study.evaluate()
    return study


def test_a_trial_is_measured_by_the_scores_that_its_file_holds(study: medray.Study) -> None:
    run = RunDir(study.location)
    rule = run.read_data().cases
    assert rule is not None
    assert rule.answer == "attention"
    for record in run.records():
        folder = run.trial(record.number)
        with np.load(Path(folder.path(folder.PREDICTIONS))) as stored:
            scores, index = stored["attention"], number_cases(stored["cases"])
            answers = answer_cases(stored["probabilities"], index, rule, scores)
            labels = np.array([stored["labels"][index == case][0] for case in range(index.max() + 1)])
        assert scores.std() > 0.01
        assert record.metrics["log_loss"] == pytest.approx(all_metrics(answers, labels)["log_loss"], abs=1e-6)


def test_folds_are_joined_with_their_scores(study: medray.Study) -> None:
    run = RunDir(study.location)
    (trial,) = read_crossval_trials(run, run.read_data().cases)
    assert trial.scores is not None
    folds = [read_predictions(run.fold(trial.number, i), r.best_epoch, run.read_data().cases)[0]
             for i, r in enumerate(trial.records)]  # fmt: skip
    joined = np.sort(np.concatenate(folds)[:, 1])
    assert np.sort(trial.answers[:, 1]) == pytest.approx(joined, abs=1e-6)


def test_the_loaded_ensemble_answers_cases_as_the_evaluation_did(study: medray.Study, data: Path) -> None:
    with np.load(data) as arrays:
        images, groups = arrays["test_images"], arrays["test_groups"]
    stored, _ = study.evaluate().read.predictions()
    ensemble = study.load_ensemble()
    by_case = ensemble.predict(images, groups).probabilities
    assert by_case == pytest.approx(stored["ensemble"], abs=1e-6)
    assert all(outputs.scores is not None and outputs.scores.any() for outputs in ensemble.member_outputs(images))
    order = np.argsort(groups, kind="stable")[::-1]
    reversed_ = ensemble.predict(images[order], groups[order]).probabilities
    assert sorted(reversed_[:, 1].tolist()) == pytest.approx(sorted(by_case[:, 1].tolist()), abs=1e-6)


def test_nested_folds_answer_by_attention(study: medray.Study) -> None:
    scores = study.nested_crossval(folds=2).scores
    assert len(scores.ended) == 2
    assert all(fold.held_out_scores["log_loss"] < 0.8 for fold in scores.ended)


def test_damaged_scores_are_named(study: medray.Study) -> None:
    run = RunDir(study.location)
    rule, record = run.read_data().cases, next(iter(run.records()))
    path = Path(run.trial(record.number).path("val_predictions.npz"))
    content = path.read_bytes()
    with np.load(path) as stored:
        arrays = dict(stored)
    try:
        np.savez(path, **{**arrays, "attention": arrays["attention"][:-1]})
        with pytest.raises(MedrayError, match=r"val_predictions.npz is damaged: its attention is no score"):
            read_predictions(run.trial(record.number), record.best_epoch, rule)
        np.savez(path, **{name: array for name, array in arrays.items() if name != "attention"})
        with pytest.raises(MedrayError, match=r"val_predictions.npz"):
            read_predictions(run.trial(record.number), record.best_epoch, rule)
    finally:
        path.write_bytes(content)

"""Folds in this process, without Ray: each a training of its own, a failing one ends no other, kills."""

import io
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from medray.crossval.plan import CrossvalOptions
from medray.crossval.run_crossval import CrossvalResult, run_crossval
from medray.data.load_data import load_data
from medray.errors import RunError
from medray.runs.fold_results import read_crossval_trials
from medray.runs.rundir import RunDir
from medray.runs.trial_record import FAILED, FINISHED
from medray.search.search_gain import BASELINE, BEST, paired_gain
from medray.stats.metrics import all_metrics
from medray.stats.scores import Predictions
from tests.conftest import Command, make_long_run
from tests.crossval.test_crossval import bare, recorded

Start = Callable[..., Command]


def crossval(run: Path, **options: Any) -> CrossvalResult:
    return run_crossval(CrossvalOptions(str(run), runner="local", **options), Console(file=io.StringIO()))


def test_every_local_fold_is_a_training_of_its_own(finished_run: Path, npz: Path) -> None:
    result = crossval(finished_run, top=2, folds=3)
    assert result.left == 0
    dataset = load_data(str(npz))
    settings = read_crossval_trials(RunDir(str(finished_run)))
    assert len(settings) == 2
    for trial in settings:
        for fold in range(3):
            assert recorded(finished_run, trial.number, fold) == bare(finished_run, dataset, trial.number, fold)


def test_a_local_fold_that_fails_ends_no_other(finished_run: Path) -> None:
    config = finished_run / "trials/0001/config.json"
    diverging = {"backbone": "lenet5", "learning_rate": 10.0, "optimizer": "sgd", "momentum": 0.99, "epochs": 9}
    config.write_text(json.dumps({**json.loads(config.read_text()), **diverging}))
    result = crossval(finished_run, trials=(1, 2), folds=2)
    assert [trial.number for trial in result.trials] == [2]
    records = [RunDir(str(finished_run)).fold(1, fold).record() for fold in range(2)]
    assert [record.state for record in records if record] == [FAILED, FAILED]
    assert "fold 0 failed: " in result.unfinished[1]


def test_baselines_are_cross_validated_beside_the_best_and_compared_on_the_same_images(finished_run: Path) -> None:
    result = crossval(finished_run, trials=(1,), baselines=True, folds=2)
    best, baseline = (next(t for t in result.trials if t.number == number) for number in (1, 0))
    assert result.gain is not None
    assert (result.gain.best, result.gain.baseline) == (1, "plain")
    scores = [all_metrics(trial.probabilities, trial.labels)["auc"] for trial in (best, baseline)]
    comparison = result.gain.comparison
    assert comparison.difference == pytest.approx(scores[0] - scores[1])
    assert comparison.low is not None
    assert comparison.high is not None
    assert comparison.low < comparison.difference < comparison.high
    assert "Over the best baseline (plain) the best setting (trial 1) gained" in result.gain.line
    assert RunDir(str(finished_run)).crossval.read_gain() == result.gain
    alone = crossval(finished_run, resume=True)
    assert alone.gain == result.gain


def test_baselines_that_there_are_none_of_are_refused(finished_run: Path) -> None:
    record = finished_run / "trials/0000/trial.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "baseline": None}))
    with pytest.raises(RunError, match=r"--baselines: the search in .* has no trial of a baseline"):
        crossval(finished_run, baselines=True)


@pytest.mark.parametrize("metric", ["log_loss", "auc"])
def test_a_gain_is_positive_where_the_best_is_better_whichever_way_the_metric_is(metric: str) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    logits = (2 * labels - 1) + rng.normal(size=(2, 200)) * [[0.5], [3.0]]
    best, baseline = (Predictions(np.stack([1 - p, p], axis=1), labels, 2) for p in 1 / (1 + np.exp(-logits)))
    gain = paired_gain({BEST: best, BASELINE: baseline}, BEST, metric, None)
    assert gain.difference is not None
    assert gain.low is not None
    assert 0 < gain.low < gain.difference


def test_an_interrupted_local_cross_validation_goes_on(command: Start, tmp_path: Path) -> None:
    run, _ = make_long_run(tmp_path, epochs=12)
    started = command(run, "--folds", 2, "--local", name="crossval")
    folder = RunDir(str(run)).fold(0, 1)
    started.until(lambda: len(folder.epochs()) >= 2)
    started.kill(signal.SIGINT)
    code, printed, complaints = started.finish()
    assert code == 130, complaints
    assert f"1 folds are left; go on with: medray crossval {run} --resume --local" in printed
    under_way = folder.epochs()
    code, _, complaints = command(run, "--resume", "--local", name="crossval").finish()
    assert code == 0, complaints
    record = folder.record()
    assert record is not None
    assert record.state == FINISHED
    assert [e.seconds for e in folder.epochs()[: len(under_way)]] == [e.seconds for e in under_way]

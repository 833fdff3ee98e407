"""Folds in this process, without Ray: each a training of its own, a failing one ends no other, kills."""

import io
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from medray.crossval.plan import CrossvalOptions
from medray.crossval.run_crossval import CrossvalResult, run_crossval
from medray.data.load_data import load_data
from medray.runs.fold_results import read_crossval_trials
from medray.runs.rundir import RunDir
from medray.runs.trial_record import FAILED, FINISHED
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

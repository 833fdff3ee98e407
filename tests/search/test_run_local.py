"""The local runner: a Ray search's figures without Ray, in a notebook or a thread, killed and resumed."""

import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from rich.console import Console

from medray.errors import ConfigError
from medray.runs.trial_record import FAILED, FINISHED, STOPPED
from medray.search.run_search import SearchResult, run_search
from medray.search.search_command import search as search_command
from medray.search.search_options import SearchOptions
from tests.conftest import Command
from tests.search.conftest import bare_fit, ended, epochs_done, recorded, run_dir

pytestmark = pytest.mark.component

Start = Callable[..., Command]


def search(space: Path, data: Path, out: Path, **options: Any) -> SearchResult:
    return run_search(
        SearchOptions(str(space), data=str(data), out=str(out), **options), Console(file=io.StringIO())
    )


def leaderboard(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "leaderboard.csv").drop(columns="seconds")


@pytest.mark.usefixtures("ray_address")
def test_a_local_search_equals_a_ray_search_of_one_trial_at_a_time(
    one_slot: Path, npz: Path, tmp_path: Path
) -> None:
    """Trials that finish, that ASHA stops and one that fails: the same draws, epochs and predictions."""
    local, ray = tmp_path / "local", tmp_path / "ray"
    threads = torch.get_num_threads()
    result = search(one_slot, npz, local, trials=9, runner="local")
    assert torch.get_num_threads() == threads
    search(one_slot, npz, ray, trials=9, concurrency=1)
    assert {record.state for record in result.records} == {FINISHED, STOPPED, FAILED}
    assert [record.number for record in result.records] == list(range(9))
    pd.testing.assert_frame_equal(leaderboard(local), leaderboard(ray))
    for number in range(9):
        assert recorded(local, number) == recorded(ray, number)
        name = f"trials/{number:04d}/val_predictions.npz"
        if epochs_done(local, number):
            with np.load(local / name) as ours, np.load(ray / name) as theirs:
                assert all(np.array_equal(ours[key], theirs[key]) for key in ("probabilities", "labels", "epoch"))
    assert (local / "ensemble/manifest.json").exists()


WITHOUT_RAY = """
import asyncio, io, sys, threading
from rich.console import Console
from medray.crossval.plan import CrossvalOptions
from medray.crossval.run_crossval import run_crossval
from medray.search.run_search import run_search
from medray.search.search_options import SearchOptions

space, data, out = sys.argv[1:]
console = Console(file=io.StringIO())

async def notebook():
    run_search(SearchOptions(space, data=data, out=out, trials=2, max_epochs=1, runner="local"), console)

def folds():
    print(len(run_crossval(CrossvalOptions(out, top=1, folds=2, runner="local"), console).trials), "trial")

asyncio.run(notebook())
thread = threading.Thread(target=folds)
thread.start()
thread.join()
print("ray" in sys.modules)
"""


def test_a_local_run_never_imports_ray_and_works_in_a_notebook_and_in_a_thread(
    space: Path, npz: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_RAY, space, npz, tmp_path / "run"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == ["1 trial", "False"], done.stderr


def test_a_killed_local_search_loses_nothing(command: Start, slow_space: Path, npz: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    first = command(slow_space, "--data", npz, "--trials", 2, "--local", "--out", out)
    first.until(lambda: ended(out) == 1 and epochs_done(out, 1) >= 2)
    first.kill(signal.SIGKILL)
    first.finish()
    before, under_way = next(run_dir(out).records()), run_dir(out).trial(1).epochs()

    code, printed, complaints = command(slow_space, "--resume", "--local", "--out", out).finish()
    assert code == 0, complaints
    assert "Resuming: 1 trials have ended, 1 go on, 1 are left" in printed
    records = list(run_dir(out).records())
    assert records[0] == before
    assert [record.state for record in records] == [FINISHED] * 2
    kept = run_dir(out).trial(1).epochs()
    # The seconds an epoch took tell the first command's epochs from ones done again.
    assert [e.seconds for e in kept[: len(under_way)]] == [e.seconds for e in under_way]
    assert recorded(out, 1) == bare_fit(out, 1, npz)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_local_search_ends_with_what_there_is(
    command: Start, slow_space: Path, npz: Path, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "run"
    started = command(slow_space, "--data", npz, "--trials", 3, "--local", "--json", "--out", out)
    started.until(lambda: ended(out) == 1 and epochs_done(out, 1) >= 1)
    started.kill(number)
    code, printed, complaints = started.finish()
    assert code == 130, complaints
    assert "Traceback" not in complaints
    result = json.loads(printed)
    assert result["trials_left"] == 2
    assert result["resume"] == f"medray search {slow_space} --resume --out {out} --local"
    assert (out / "leaderboard.csv").exists()
    assert (out / "ensemble/manifest.json").exists()


@pytest.mark.slow
def test_a_run_goes_on_with_the_other_runner(
    command: Start, slow_space: Path, npz: Path, tmp_path: Path, ray_address: str
) -> None:
    out = tmp_path / "run"
    by_ray = ("--address", ray_address)
    for runner, more in ((("--local",), ("--data", npz, "--trials", 4)), (by_ray, ("--resume",))):
        trials = ended(out) + 1
        started = command(slow_space, *more, *runner, "--out", out)
        started.until(
            lambda trials=trials: ended(out) >= trials and any(epochs_done(out, n) for n in unfinished(out))
        )
        started.kill(signal.SIGINT)
        assert started.finish()[0] == 130
    code, _, complaints = command(slow_space, "--resume", "--local", "--out", out).finish()
    assert code == 0, complaints
    assert [record.state for record in run_dir(out).records()] == [FINISHED] * 4
    for number in range(4):
        assert recorded(out, number) == bare_fit(out, number, npz)


def unfinished(out: Path) -> list[int]:
    return [number for number in run_dir(out).trial_numbers() if run_dir(out).trial(number).record() is None]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--address", "auto"), "--address: --local runs in this process"),
        (("--min-gpus", "1"), "--min-gpus: --local runs in this process"),
        (("--concurrency", "2"), "--concurrency 2: --local runs one after another"),
    ],
)
def test_what_a_local_run_cannot_do_is_refused(
    space: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    arguments = [str(space), "--data", "phantom", "--out", str(tmp_path / "run"), "--local", *options]
    result = CliRunner().invoke(search_command, arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "run").exists()


def test_an_unknown_runner_is_refused(space: Path, npz: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown runner 'locl' \\(did you mean 'local'\\?\\)"):
        search(space, npz, tmp_path / "run", runner="locl")


def test_a_search_by_f1_begins_with_what_f1_is(space: Path, npz: Path, tmp_path: Path) -> None:
    space.write_text(space.read_text().replace("metric: auc", "metric: f1_macro"))
    stream = io.StringIO()
    options = SearchOptions(str(space), data=str(npz), out=str(tmp_path / "out"), trials=1, runner="local")
    run_search(options, Console(file=stream, width=400))
    assert stream.getvalue().index("ignores true negatives") < stream.getvalue().index("[1/1] trial 0")

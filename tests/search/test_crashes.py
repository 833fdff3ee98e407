"""Real kills: of the driver, of a worker, of a whole local Ray; and Ctrl-C."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import psutil
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from medray.runs.trial_record import FAILED, FINISHED
from tests.conftest import Command, workers
from tests.search.conftest import bare_fit, ended, epochs_done, recorded, run_dir

Start = Callable[..., Command]


def states(out: Path) -> list[str]:
    storage = JournalStorage(JournalFileBackend(str(out / "study.journal")))
    return [trial.state.name for trial in optuna.load_study(study_name="medray", storage=storage).trials]


@pytest.mark.slow
def test_a_killed_driver_loses_nothing(
    command: Start, slow_space: Path, npz: Path, tmp_path: Path, ray_address: str
) -> None:
    out = tmp_path / "run"
    common = ("--out", out, "--address", ray_address)
    first = command(slow_space, "--data", npz, "--trials", 4, *common)
    first.until(lambda: ended(out) >= 2 and any(0 < epochs_done(out, n) < 9 for n in running(out)))
    first.kill(signal.SIGKILL)
    first.finish()
    before = {record.number: record for record in run_dir(out).records()}
    under_way = {n: run_dir(out).trial(n).epochs() for n in running(out)}
    assert len(before) < 4
    assert any(under_way.values())

    code, printed, complaints = command(slow_space, "--resume", *common).finish()
    assert code == 0, complaints
    assert f"Resuming: {len(before)} trials have ended" in printed
    after = {record.number: record for record in run_dir(out).records()}
    assert sorted(after) == list(range(4))
    assert {n: after[n] for n in before} == before
    for number, epochs in under_way.items():
        kept = run_dir(out).trial(number).epochs()
        # The seconds an epoch took tell the first driver's epochs from ones done again.
        assert [e.seconds for e in kept[: len(epochs)]] == [e.seconds for e in epochs]
        assert [e.epoch for e in kept] == list(range(1, 13))
        assert recorded(out, number) == bare_fit(out, number, npz)
    assert states(out) == ["COMPLETE"] * 4
    settings = [record.settings["learning_rate"] for record in after.values()]
    assert len(set(settings)) == 4  # the sampler went on; it did not begin again


def running(out: Path) -> list[int]:
    return [n for n in run_dir(out).trial_numbers() if run_dir(out).trial(n).record() is None]


@pytest.mark.slow
def test_a_killed_worker_costs_at_most_its_epoch(
    command: Start, slow_space: Path, npz: Path, tmp_path: Path, ray_address: str
) -> None:
    out = tmp_path / "run"
    started = command(slow_space, "--data", npz, "--trials", 2, "--out", out, "--address", ray_address)
    started.until(lambda: min(epochs_done(out, 0), epochs_done(out, 1)) >= 3)
    before = {number: run_dir(out).trial(number).epochs() for number in (0, 1)}
    workers()[0].kill()
    code, _, complaints = started.finish()
    assert code == 0, complaints
    for number, epochs in before.items():
        kept = run_dir(out).trial(number).epochs()
        assert [e.seconds for e in kept[: len(epochs)]] == [e.seconds for e in epochs]
        assert recorded(out, number) == bare_fit(out, number, npz)
    assert [record.state for record in run_dir(out).records()] == [FINISHED, FINISHED]


@pytest.mark.nightly
def test_a_trial_whose_worker_keeps_dying_fails_and_the_search_goes_on(
    command: Start, slow_space: Path, npz: Path, tmp_path: Path, ray_address: str
) -> None:
    """Workers are killed until the first trials have failed; the last then ends well."""
    out = tmp_path / "run"
    options = ("--trials", 2, "--concurrency", 1, "--max-epochs", 400, "--out", out, "--address", ray_address)
    started = command(slow_space, "--data", npz, *options)
    end = time.monotonic() + 120
    while not ended(out) and time.monotonic() < end:
        for process in workers():
            if epochs_done(out, 0):
                process.kill()
        time.sleep(0.05)
    started.until(lambda: epochs_done(out, 1) >= 1)
    started.kill(signal.SIGINT)
    started.finish()
    record = next(run_dir(out).records())
    assert record.state == FAILED
    assert record.reason is not None
    assert record.reason.startswith("its worker process died 4 times")
    assert states(out)[0] == "FAIL"


@pytest.mark.nightly
def test_a_trial_that_gets_on_between_deaths_is_not_given_up(
    command: Start, slow_space: Path, npz: Path, tmp_path: Path, ray_address: str
) -> None:
    """As on machines that are taken away again and again, without a notice."""
    out, epochs = tmp_path / "run", 60
    options = ("--trials", 1, "--max-epochs", epochs, "--out", out, "--address", ray_address)
    started = command(slow_space, "--data", npz, *options)
    done = 0
    for _ in range(5):
        while epochs_done(out, 0) == done:
            started.until(lambda: bool(workers()))
            time.sleep(0.02)
        workers()[0].kill()
        done = epochs_done(out, 0)
    code, _, complaints = started.finish()
    assert code == 0, complaints
    (record,) = run_dir(out).records()
    assert (record.state, record.epochs) == (FINISHED, epochs)


@pytest.mark.slow
def test_ctrl_c_ends_with_what_there_is_and_says_how_to_go_on(
    command: Start, slow_space: Path, npz: Path, tmp_path: Path, ray_address: str
) -> None:
    out = tmp_path / "run"
    common = ("--out", out, "--address", ray_address)
    started = command(slow_space, "--data", npz, "--trials", 3, "--json", *common)
    started.until(lambda: ended(out) >= 1)
    started.kill(signal.SIGINT)
    code, printed, complaints = started.finish()
    assert code == 130, complaints
    result = json.loads(printed)
    assert result["interrupted"]
    assert result["resume"] == f"medray search {slow_space} --resume --out {out}"
    assert (out / "leaderboard.csv").exists()
    assert (out / "ensemble/manifest.json").exists()
    assert "Traceback" not in complaints
    code, printed, complaints = command(slow_space, "--resume", "--json", *common).finish()
    assert code == 0, complaints
    assert [trial["state"] for trial in json.loads(printed)["trials"]] == ["finished"] * 3


@pytest.mark.slow
def test_a_killed_command_takes_its_own_ray_with_it(
    command: Start, slow_space: Path, npz: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    started = command(slow_space, "--data", npz, "--trials", 2, "--out", out)
    started.until(lambda: epochs_done(out, 0) >= 1)
    family = psutil.Process(started.process.pid).children(recursive=True)
    # Ray's two agents notice only after a minute or two that their raylet is gone, and then go too.
    family = [process for process in family if "Agent" not in process.name()]
    assert any("raylet" in process.name() for process in family)
    started.kill(signal.SIGKILL)
    started.finish()
    _, alive = psutil.wait_procs(family, timeout=60)
    assert not alive


@pytest.mark.slow
def test_sigterm_ends_like_ctrl_c_and_leaves_no_process(
    command: Start, slow_space: Path, npz: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    started = command(slow_space, "--data", npz, "--trials", 2, "--out", out)
    started.until(lambda: epochs_done(out, 0) >= 1)
    family = psutil.Process(started.process.pid).children(recursive=True)
    started.kill(signal.SIGTERM)
    code, printed, complaints = started.finish()
    assert code == 130, complaints
    assert "--resume" in printed
    _, alive = psutil.wait_procs(family, timeout=60)
    assert not alive

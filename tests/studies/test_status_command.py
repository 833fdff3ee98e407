"""`medray status`: how far a run has come, by its files alone, while a command works in it and after."""

import fcntl
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from medray.runs.lock import LOCK, is_held
from medray.runs.rundir import RunDir
from medray.study.status.run_status import read_status
from medray.study.status.status_command import status


def command(*arguments: object) -> Result:
    return CliRunner().invoke(status, [str(argument) for argument in arguments])


@pytest.fixture
def run(made_run: Path, tmp_path: Path) -> Path:
    """A copy of a finished search of four trials."""
    return Path(shutil.copytree(made_run, tmp_path / "found"))


def test_a_finished_search_has_nothing_left(run: Path) -> None:
    result = command(run)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == f"{run}: no command works in it"
    assert lines[1].split() == ["search", "4", "of", "4", "trials", "ended"]
    assert not any("running" in line or "broken off" in line for line in lines)
    assert read_status(str(run)).seconds_left is None


def test_what_has_not_ended_is_running_while_a_command_holds_the_run(run: Path) -> None:
    (run / "trials/0003/trial.json").unlink()
    assert "broken off trial 3: epoch" in command(run).stdout
    with (run / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = command(run, "--json")
    found = json.loads(result.stdout)
    assert found["working"] is True
    assert [training["trial"] for training in found["running"]] == [3]
    assert found["trials"] == {"ended": 3, "failed": 0, "total": 4}
    assert found["search_ended"] is False
    best = max(RunDir(str(run)).records(), key=lambda record: record.objective or 0.0)
    assert found["best"]["objective"] >= best.objective
    assert not is_held(RunDir(str(run)))  # asking holds nothing


def test_what_is_no_run_is_one_line(run: Path) -> None:
    result = command(run.parent / "fuond")
    assert result.exit_code == 2
    assert "is no run of medray: it has no run.json (did you mean 'found'?)" in result.stderr
    (run / "run.json").write_text("{")
    result = command(run)
    assert result.exit_code == 2
    assert "run.json" in result.stderr

"""Budgets as a person gives them: hours and trials, a time too short, resuming with more, and what is refused."""

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from medray.errors import ConfigError, RunError
from medray.runs.finished_search import open_finished_search
from medray.runs.run_facts import SearchState
from medray.runs.trial_record import FLAT, STOPPED, TIME
from medray.search.print_search import end_lines, print_search_result, search_result_json
from medray.search.run_search import SearchResult, run_search
from medray.search.search_command import search as search_command
from medray.search.search_options import SearchOptions, resolve_options
from medray.search.time_limit import HOUR_S, ending_seconds
from medray.space.loading import parse
from tests.search.conftest import run_dir
from tests.search.simulated import Clock, ledger_in, run_all

SPACE = """
name: timed
data: phantom
objective: {metric: auc}
budget: {trials: 3, hours: 2, max_epochs: 2, grace_epochs: 2, reduction_factor: 2, patience: null}
space:
  learning_rate: {log: [0.0005, 0.01]}
fixed: {batch_size: 16}
baselines:
  plain: {learning_rate: 0.005}
"""


@pytest.fixture
def timed(tmp_path: Path) -> Path:
    path = tmp_path / "timed.yaml"
    path.write_text(SPACE)
    return path


def command(*arguments: object) -> Result:
    return CliRunner().invoke(search_command, [str(argument) for argument in arguments])


def local(space: Path, data: Path, **options: Any) -> tuple[SearchResult, str]:
    stream = io.StringIO()
    given = SearchOptions(str(space), data=str(data), out=str(space.parent / "run"), runner="local", **options)
    result = run_search(given, Console(file=stream, width=400))
    print_search_result(result, Console(file=stream, width=400))
    return result, stream.getvalue()


# -- which of the two bounds a search


@pytest.mark.parametrize(
    ("options", "trials", "hours"),
    [
        ({}, 3, 2.0),
        ({"hours": 0.5}, None, 0.5),
        ({"trials": 9}, 9, None),
        ({"trials": 9, "hours": 0.5}, 9, 0.5),
        ({"baselines_only": True}, 1, 2.0),
        ({"baselines_only": True, "hours": 0.5}, 1, 0.5),
    ],
)
def test_options_replace_both_of_the_budget(
    options: dict[str, Any], trials: int | None, hours: float | None
) -> None:
    resolved = resolve_options(SearchOptions("timed", **options), parse(SPACE, "timed.yaml"))
    assert (resolved.trials, resolved.hours) == (trials, hours)


def test_flatness_comes_from_the_space_or_the_option() -> None:
    flat = SPACE.replace("hours: 2", "stop_when_flat: true")
    for text, option, expected in (
        (SPACE, None, False), (SPACE, True, True), (flat, None, True), (flat, False, False),
    ):  # fmt: skip
        resolved = resolve_options(SearchOptions("timed", stop_when_flat=option), parse(text, "timed.yaml"))
        assert resolved.stop_when_flat is expected


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("trials: 3, hours: 2, ", "", "budget: lacks 'trials', and 'hours' too"),
        ("hours: 2", "hours: 0", "budget.hours: 0.0 is not a number above 0 up to 10000"),
        ("hours: 2", "hours: 30 min", "budget.hours: '30 min' is not a number"),
        ("hours: 2", "hour: 2", r"budget.hour: unknown key 'hour' \(did you mean 'hours'\?\)"),
        ("hours: 2", "stop_when_flat: 1", "budget.stop_when_flat: 1 is not true or false"),
    ],
)
def test_a_wrong_budget_names_its_key(old: str, new: str, message: str, timed: Path) -> None:
    from medray.space.loading import load_space

    timed.write_text(SPACE.replace(old, new))
    with pytest.raises(ConfigError, match=message):
        load_space(str(timed))


@pytest.mark.parametrize("hours", ["0", "-1", "nan", "inf", "20000", "half"])
def test_hours_that_are_none_are_one_line(hours: str) -> None:
    result = command("organs", "--hours", hours, "--data", "nowhere.npz")
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert "hours" in result.stderr
    if hours != "half":
        with pytest.raises(ConfigError, match=r"hours: .* is not a number above 0 up to 10000"):
            SearchOptions("organs", hours=float(hours))


# -- the time of real searches


@pytest.mark.component
def test_a_time_too_short_for_a_trial_is_one_line_and_loses_nothing(
    timed: Path, npz: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    result = command(timed, "--data", npz, "--local", "--hours", "0.000001", "--out", out)
    assert result.exit_code == 2
    line = result.stderr.strip()
    assert len(line.splitlines()) == 1
    assert "1e-06 hours are too short for a single trial: an epoch of trial 0 takes " in line
    assert "its first rung is epoch 2; go on with --resume --hours " in line
    assert not (out / "ensemble").exists()
    used = run_dir(out).read_state()
    assert used.seconds > 0
    assert used.ended_by is None
    with pytest.raises(RunError, match=r"has not finished: its 1e-06 hours are not over.*adding --trials 1"):
        open_finished_search(str(out))
    refused = command(timed, "--local", "--resume", "--hours", "0.000002", "--out", out)
    assert refused.exit_code == 2
    assert "--hours 2e-06: " in refused.stderr
    assert "hours already, and --hours is the total" in refused.stderr
    done = command(timed, "--local", "--resume", "--trials", "2", "--out", out)
    assert done.exit_code == 0, done.output
    assert "Resuming: 0 trials have ended, 1 go on, 2 are left" in done.output
    assert [record.epochs for record in run_dir(out).records()] == [2, 2]
    assert run_dir(out).read_state().seconds > used.seconds
    assert open_finished_search(str(out)).options.hours is None


@pytest.mark.component
def test_a_search_whose_time_is_over_ends_whole_and_goes_on_with_more(timed: Path, npz: Path) -> None:
    first, _ = local(timed, npz, trials=2)
    run = first.run
    # As if the two trials had taken all of an hour but a moment, as no trial can be faster than that.
    run.write_json(run.STATE, SearchState(HOUR_S - ending_seconds(1.0) - 0.001).to_dict())
    result, printed = local(timed, npz, resume=True, hours=1.0)
    assert (result.ended_by, result.left, result.interrupted) == (TIME, 0, False)
    assert [record.number for record in result.records] == [0, 1]
    assert result.ensemble is not None
    assert "at most 1 hours" in printed
    assert "The time is over, no trial was stopped; go on with: medray search " in printed
    assert "Next: medray crossval" in printed
    assert search_result_json(result)["ended_by"] == TIME
    assert open_finished_search(run.location).options.trials is None
    assert run.read_state().ended_by == TIME
    again, _ = local(timed, npz, resume=True)
    assert (len(again.records), again.ended_by) == (2, TIME)
    more, printed = local(timed, npz, resume=True, trials=4, hours=2.0)
    assert (len(more.records), more.ended_by) == (4, None)
    assert "The time is over" not in printed


@pytest.mark.slow
@pytest.mark.component
@pytest.mark.usefixtures("ray_address")
def test_ray_stops_trials_at_an_epoch_when_the_time_is_over(npz: Path, tmp_path: Path) -> None:
    space = tmp_path / "long.yaml"
    space.write_text(
        SPACE.replace("max_epochs: 2, grace_epochs: 2", "max_epochs: 5000, grace_epochs: 1").replace(
            "trials: 3, ", ""
        )
    )
    options = SearchOptions(str(space), data=str(npz), out=str(tmp_path / "run"), hours=0.025)
    result = run_search(options, Console(file=io.StringIO()))
    assert result.ended_by == TIME
    assert result.left == 0
    assert {(record.state, record.ended_by) for record in result.records} == {(STOPPED, TIME)}
    # One a core, and what began after a slow epoch stopped one early: none was drawn ahead, to begin in vain.
    assert len(result.records) in (2, 3)
    assert all(record.epochs for record in result.records)
    assert result.run.trial_numbers() == [record.number for record in result.records]
    assert result.ensemble is not None
    assert result.run.read_state().seconds < 0.025 * HOUR_S + 5  # beside other work


LONG = SPACE.replace("max_epochs: 2, grace_epochs: 2", "max_epochs: 5, grace_epochs: 1").replace("trials: 3, ", "")


@pytest.mark.component
def test_a_search_is_not_overrun_by_an_epoch_that_takes_long(timed: Path) -> None:
    timed.write_text(LONG.replace("batch_size: 16", "batch_size: 1, backbone: resnet8_small"))
    out, data = timed.parent / "run", "phantom:organs?images=12000"  # minutes an epoch
    result = command(timed, "--data", data, "--local", "--hours", "0.002", "--out", out)
    assert result.exit_code == 2
    assert "0.002 hours are too short for a single trial: an epoch of trial 0 takes " in result.stderr
    assert float(result.stderr.split("--hours ")[1].split()[0]) > 0.005
    assert run_dir(out).read_state().seconds < 0.002 * HOUR_S + 30  # beside other work
    assert run_dir(out).trial(0).epochs() == []


@pytest.mark.slow
@pytest.mark.component
@pytest.mark.usefixtures("ray_address")
def test_ray_cuts_an_epoch_short_and_holds_its_trial_back(timed: Path) -> None:
    """The baseline is quick; a first epoch of what is drawn after it takes longer than there is time."""
    text = LONG.replace(
        "plain: {learning_rate: 0.005}", "plain: {learning_rate: 0.005, batch_size: 512, backbone: lenet5}"
    )
    timed.write_text(text.replace("batch_size: 16", "batch_size: 1, backbone: resnet20_small, epochs: 1"))
    options = SearchOptions(
        str(timed), data="phantom:organs?images=12000", out=str(timed.parent / "run"), hours=0.02
    )
    result = run_search(options, Console(file=io.StringIO()))
    assert (result.ended_by, result.left) == (TIME, 0)
    assert [(record.number, record.baseline) for record in result.records] == [(0, "plain")]
    assert result.run.trial_numbers() == [0]
    assert result.ensemble is not None
    assert result.run.read_state().seconds < 0.02 * HOUR_S + 10  # beside other work


# -- flatness


def test_a_flat_search_draws_no_more_and_says_why(tmp_path: Path, timed: Path, npz: Path) -> None:
    clock = Clock()
    (tmp_path / "flat").mkdir()
    ledger = ledger_in(tmp_path / "flat", clock, None, trials=100, stop_when_flat=True)
    run_all(ledger, clock, dict.fromkeys(("lenet5", "resnet8_small", "cnn5"), 1.0))
    assert (len(ledger.records), ledger.ended_by, ledger.left()) == (21, FLAT, 0)
    assert json.loads((tmp_path / "flat/search.json").read_text())["ended_by"] == FLAT
    result, _ = local(timed, npz, trials=1)
    (line,) = end_lines(dataclasses.replace(result, ended_by=FLAT))
    assert line.startswith("The search is flat: the last half of its trials, and at least 20, did not improve")
    assert "--resume" in line


def test_without_the_option_a_flat_search_goes_on(tmp_path: Path) -> None:
    clock = Clock()
    ledger = ledger_in(tmp_path, clock, None, trials=24)
    run_all(ledger, clock, dict.fromkeys(("lenet5", "resnet8_small", "cnn5"), 1.0))
    assert (len(ledger.records), ledger.ended_by) == (24, None)

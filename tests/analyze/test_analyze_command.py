"""`medray analyze`: tables for people, JSON for programs, frames for files, one line for mistakes."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

import medray.analyze
from medray.analyze.analyze_command import analyze
from tests.analyze.conftest import edit


def ask(*arguments: object) -> Result:
    return CliRunner().invoke(analyze, [str(argument) for argument in arguments])


def test_tables_of_a_run_with_everything(run: Path, stop: Callable[[int, int], None]) -> None:
    stop(1, 12)
    edit(run / "trials/0003/trial.json", state="failed", reason="the loss became nan in epoch 3", objective=None)
    (run / "trials/0002/trial.json").unlink()
    result = ask(run)
    assert result.exit_code == 0, result.output
    for said in (
        "4 trials (1 finished, 1 stopped, 1 failed, 1 running), by auc on validation images",
        "Leaderboard, by auc on validation",
        "Baselines against the search on 24 validation images",
        "best baseline (plain)",
        "What ASHA stopped",
        "10 epochs were not trained",
        "an estimate by each trial's own seconds an epoch",
        "Importance of settings: 4 finished trials: at least 10 are needed",
        "the loss became nan in epoch 3",
        "Where the time went",
    ):
        assert said in result.stdout, said


def test_json_holds_the_tables(run: Path, stop: Callable[[int, int], None]) -> None:
    stop(1, 12)
    result = ask(run, "--json", "--filter", "trial < 2", "--columns", "trial,auc,patience")
    told = json.loads(result.stdout)
    (one,) = told["runs"]
    assert one["states"] == {"finished": 3, "stopped": 1, "failed": 0, "running": 0}
    assert one["stopped"]["epochs_saved"] == 10
    assert one["importance"]["why_not"] == "4 finished trials: at least 10 are needed"
    assert [row["trial"] for row in told["leaderboard"]] != []
    assert set(told["leaderboard"][0]) == {"trial", "auc", "patience"}
    assert told["leaderboard"][0]["patience"] is None


def test_several_runs_side_by_side(run: Path, tmp_path: Path) -> None:
    other = shutil.copytree(run, tmp_path / "other")
    edit(other / "data.json", fingerprint="another")
    result = ask(run, other, "--no-importance", "--top", 3)
    assert "Side by side" in result.stdout
    assert "These runs saw different data: their figures can't be compared." in result.stdout
    assert "5 more" not in result.stdout
    assert "Importance of settings: not asked for" in result.stdout


def test_frames_as_csv_and_parquet_are_those_of_python(analysed: Path, tmp_path: Path) -> None:
    wanted = medray.analyze.epochs(str(analysed))
    printed = ask(analysed, "--frame", "epochs")
    read = pd.read_csv(io.StringIO(printed.stdout))
    pd.testing.assert_frame_equal(read.astype(dict(wanted.dtypes)), wanted)
    csv, parquet = tmp_path / "a.csv", tmp_path / "a.parquet"
    result = ask(analysed, "--csv", csv, "--parquet", parquet)
    assert f"4 rows of {len(medray.analyze.trials(str(analysed)).columns)} columns: {csv}" in result.stderr
    pd.testing.assert_frame_equal(pd.read_parquet(parquet), medray.analyze.trials(str(analysed)))
    assert len(pd.read_csv(csv)) == 4
    some = ask(analysed, "--frame", "predictions", "--filter", "fold == None and trial == 1", "--top", 5, "--json")
    assert [row["source"] for row in json.loads(some.stdout)["rows"]] == ["val"] * 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.parquet"]


def test_nothing_is_left_of_a_filter_that_nothing_meets(analysed: Path) -> None:
    result = ask(analysed, "--filter", "auc > 2", "--no-importance")
    assert result.exit_code == 0
    assert "no trial is to be shown" in result.stdout


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--sort", "acu"], "--sort: unknown column 'acu' (did you mean 'auc'?)"),
        (["--filter", "auc.max() > 1"], "--filter: a function call is not allowed"),
        (["--frame", "trails"], "--frame: unknown frame 'trails' (did you mean 'trials'?)"),
        (["--frame", "epochs", "--columns", "los"], "--columns: unknown column 'los'"),
        (["--csv", "/dev/null/all.csv"], "/dev/null/all.csv can't be written"),
        (["--colums", "auc"], "unknown option '--colums' (did you mean '--columns'?)"),
        (["--top", "0"], "0 is not in the range"),
    ],
)
def test_mistakes_are_one_line(analysed: Path, options: list[str], says: str) -> None:
    result = ask(analysed, *options)
    assert result.exit_code == 2
    assert says in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.output
    as_json = ask(analysed, *options, "--json")
    assert says in json.loads(as_json.stdout)["error"]

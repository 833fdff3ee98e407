"""`medray study`: one line for all steps, which goes on wherever it stopped, and divides its hours."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from medray.runs.rundir import RunDir
from medray.runs.trial_record import FINISHED, TrialRecord
from medray.study.steps.share_time import END_S, FoldTimes, hours_of_search, seconds_for_folds, slots_used
from medray.study.study_command import study
from tests.conftest import write_npz

LINE = ("--trials", "2", "--max-epochs", "2", "--top", "1", "--folds", "2", "--local", "--sensitivity", "0.8")


def command(*arguments: object) -> Result:
    return CliRunner().invoke(study, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[str, ...], Result]:
    """A study of new images from an empty folder: its folder, its line, and what the command said."""
    folder = tmp_path_factory.mktemp("study")
    data = write_npz(folder / "corners.npz", train=96)
    line = ("corners", "--data", str(data), *LINE, "--positive", "0")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return folder, line, command(*line)


@pytest.fixture
def copied(
    studied: tuple[Path, tuple[str, ...], Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, tuple[str, ...]]:
    """A copy of the finished study, to go on with in the present folder: its run, and its line."""
    folder, line, _ = studied
    shutil.copytree(folder / "runs", tmp_path / "runs")
    shutil.copy(folder / "corners.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs/corners", line


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and "report" not in str(path)
    }


@pytest.mark.component
def test_one_line_leads_from_images_to_a_report(studied: tuple[Path, tuple[str, ...], Result]) -> None:
    folder, _, result = studied
    assert result.exit_code == 0, result.output
    run = RunDir(str(folder / "runs/corners"))
    assert (folder / "corners.yaml").is_file()
    assert len(list(run.records())) == 2
    assert run.crossval.read_plan().folds == 2
    selections = run.read_selections()
    assert selections is not None
    assert selections.of_ensemble.source == "folds"
    manifest = json.loads((folder / "runs/corners/ensemble/manifest.json").read_text())
    assert [point["rule"]["value"] for point in manifest["operating_points"]] == [0.8]
    assert (folder / "runs/corners/report/index.html").is_file()
    assert not (folder / "runs/corners/evaluation").exists()  # the test split stays sealed
    last = result.output.strip().splitlines()[-1]
    assert last == f"Next, and only when all is decided: medray evaluate {folder}/runs/corners"


@pytest.mark.component
def test_the_same_line_again_changes_nothing_but_the_report(
    studied: tuple[Path, tuple[str, ...], Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, line, _ = studied
    monkeypatch.chdir(folder)
    before = contents(folder / "runs")
    result = command(*line, "--json")
    assert result.exit_code == 0, result.output
    assert contents(folder / "runs") == before
    steps = json.loads(result.stdout)["steps"]
    assert list(steps) == ["data", "search", "folds", "ensemble", "report"]
    assert steps["data"] == "corners.yaml, which was there"


@pytest.mark.component
@pytest.mark.parametrize(
    "lost",
    [
        ("trials/0001/trial.json", "crossval", "ensemble", "selection.json"),  # in the search
        ("crossval/0000/fold_1/trial.json", "ensemble", "selection.json"),  # in the folds
        ("crossval/0000/summary.json", "crossval/label_issues.csv", "ensemble", "selection.json"),  # as they ended
        ("selection.json",),  # before the ensemble
    ],
)
def test_it_goes_on_wherever_it_was_broken_off(
    studied: tuple[Path, tuple[str, ...], Result], lost: tuple[str, ...], copied: tuple[Path, tuple[str, ...]]
) -> None:
    folder, (run, line) = studied[0], copied
    best = json.loads((run / "crossval/plan.json").read_text())["trials"][0]
    for name in lost:
        path = run / name.replace("crossval/0000", f"crossval/{best:04d}")
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    result = command(*line)
    assert result.exit_code == 0, result.output
    manifest, other = (
        json.loads((base / "ensemble/manifest.json").read_text()) for base in (run, folder / "runs/corners")
    )
    assert manifest["operating_points"] == other["operating_points"]
    assert [member["sha256"] for member in manifest["members"]] == [
        member["sha256"] for member in other["members"]
    ]


@pytest.mark.component
def test_folds_that_do_not_fit_are_left_out_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = write_npz(tmp_path / "corners.npz", train=96)
    line = ("corners", "--data", data, "--local", "--trials", 1, "--max-epochs", 1, "--hours", 0.004)
    result = command(*line)
    assert result.exit_code == 0, result.output
    assert "Folds are left out: those of the best setting take about " in result.output
    assert f"later: medray crossval {tmp_path}/runs/corners" in result.output
    assert not (tmp_path / "runs/corners/crossval").exists()
    assert (tmp_path / "runs/corners/report/index.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("organ",),
            "'organ' is no search space of medray's (did you mean 'organs'?), and there is no organ.yaml",
        ),
        (("missing.yaml",), "missing.yaml"),
        (("a b", "--data", "x.npz"), "'a b' is not a valid name (did you mean 'a-b'?)"),
        (("organs", "--positive", "liver"), "give --sensitivity, --youden or --cost-ratio with it"),
        (
            ("organs", "--sensitivity", "0.9"),
            "an operating point needs the class that it calls: add --positive CLASS",
        ),
        (("organs", "--youden", "--positive", "livr", "--data", "phantom?images=300"), "did you mean 'liver'?"),
        (("organs", "--local", "--address", "auto"), "--address"),
        (("organs", "--metric", "f1_macro"), "search_spaces/organs.yaml has the objective auc; change"),
        (("films", "--data", "phantom:skin", "--metric", "f1"), "unknown metric 'f1'"),
        (("organs", "--hours", "0"), "--hours"),
    ],
)
def test_what_can_not_be_is_one_line(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = command(*arguments)
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.component
def test_too_short_a_time_is_one_line_with_the_hours_of_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = write_npz(tmp_path / "corners.npz", train=96)
    result = command("corners", "--data", data, "--local", "--max-epochs", 2, "--hours", 2e-6)
    assert result.exit_code == 2, result.output
    line = result.stderr.strip().splitlines()[-1]
    assert "1e-06 hours, the search's part, are too short for a single trial" in line
    least = re.fullmatch(r".*; give --hours (\S+) or more", line)
    assert least is not None
    assert 2e-6 < float(least[1]) < 0.1


@pytest.mark.component
def test_another_class_or_more_of_a_step_is_done_and_what_contradicts_it_is_refused(
    copied: tuple[Path, tuple[str, ...]], tmp_path: Path
) -> None:
    run, line = copied
    assert command(*line, "--positive", "1").exit_code == 0
    (point,) = json.loads((run / "ensemble/manifest.json").read_text())["operating_points"]
    assert point["event"]["name"] == "1"
    assert command(*line, "--trials", "3").exit_code == 0
    assert len(list(RunDir(str(run)).records())) == 3
    assert command(*line, "--trials", "3", "--top", "2").exit_code == 0
    assert len(RunDir(str(run)).crossval.read_plan().trials) == 2
    for changed, problem in (
        (("--trials", "4", "--seed", "7"), "--seed 7: "),
        (("--seed", "7"), "--seed 7: "),  # also where nothing is left to do
        (("--max-epochs", "3"), "--max-epochs 3: "),
        (("--folds", "3"), "--folds 3: "),
    ):
        refused = command(*line, "--trials", "3", "--top", "2", *changed)
        assert refused.exit_code == 2
        assert problem in refused.stderr.strip().splitlines()[-1]
    space = tmp_path / "corners.yaml"
    space.write_text(re.sub(r"metric: \w+", "metric: auc", space.read_text()))
    refused = command(*line, "--trials", "3", "--top", "2")
    assert refused.exit_code == 2
    assert "is not the search space that" in refused.stderr


@pytest.mark.component
def test_what_a_longer_search_finds_is_folded_and_can_be_the_model(
    copied: tuple[Path, tuple[str, ...]], tmp_path: Path
) -> None:
    run, line = RunDir(str(copied[0])), copied[1]
    (first,) = run.crossval.read_plan().trials
    record = json.loads((path := tmp_path / f"runs/corners/trials/{first:04d}/trial.json").read_text())
    path.write_text(json.dumps(record | {"objective": 0.01}))  # the next best is better
    assert command(*line).exit_code == 0
    assert run.crossval.read_plan().trials == (first,)  # the search is the one that they are of
    found = command(*line, "--trials", "3")
    assert found.exit_code == 0, found.output
    plan = run.crossval.read_plan()
    assert plan.trials[0] == first
    assert len(plan.trials) == 2
    assert "2 settings on 2 folds" in found.output
    before = contents(tmp_path / "runs")
    assert command(*line, "--trials", "3").exit_code == 0
    assert contents(tmp_path / "runs") == before


@pytest.mark.component
def test_a_phantom_without_a_name_is_the_one_that_the_new_space_was_written_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = command(
        "tiny",
        "--data",
        "phantom?images=300",
        "--local",
        "--trials",
        1,
        "--max-epochs",
        1,
        "--top",
        1,
        "--folds",
        2,
    )
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "runs/tiny/run.json").read_text())["options"]["data"] == "phantom?images=300"


# -- the hours of the steps


def record(number: int, seconds: float, epochs: int, **settings: object) -> TrialRecord:
    given = {"optimizer": "adam", "epochs": 40, "patience": None, **settings}
    return TrialRecord(
        number, FINISHED, objective=0.5, best_epoch=5, epochs=epochs, seconds=seconds, settings=given
    )


def test_a_fold_lasts_as_long_as_its_trial_could_have() -> None:
    times = FoldTimes((), 5, growth=1.5, slots=2.0)
    assert times.fold_seconds(record(0, 10.0, 10)) == pytest.approx(
        60.0
    )  # 40 epochs of 1 s, half as many images again
    assert times.fold_seconds(record(0, 10.0, 10, patience=10)) == pytest.approx(22.5)
    assert times.fold_seconds(record(0, 3.0, 1, optimizer="lbfgs")) == pytest.approx(4.5)


@given(
    st.lists(st.floats(0.1, 100.0), min_size=1, max_size=3), st.integers(2, 10), st.floats(1.0, 8.0),
    st.floats(0.0, 5000.0),
)  # fmt: skip
def test_as_many_settings_are_folded_as_fit(seconds: list[float], folds: int, slots: float, left: float) -> None:
    times = FoldTimes(tuple(record(n, s, 10) for n, s in enumerate(seconds)), folds, 1.2, slots)
    top = times.that_fit(left)
    assert top == 0 or times.seconds(top) <= left
    assert top == len(seconds) or times.seconds(top + 1) > left
    assert np.all(np.diff([times.seconds(n) for n in range(len(seconds) + 1)]) >= 0)


@given(st.floats(0.001, 100.0))
def test_search_folds_and_end_share_the_hours(hours: float) -> None:
    search = hours_of_search(hours)
    assert search is not None
    left = seconds_for_folds(hours, used=search * 3600)
    assert 0 < left < 3600 * hours / 2
    assert 3600 * (hours - search) - left >= min(0.1 * 3600 * hours, END_S) - 1e-6
    assert hours_of_search(None) is None


def test_slots_are_those_that_the_search_used() -> None:
    records = [record(0, 30.0, 10), record(1, 50.0, 10)]
    assert slots_used(records, 40.0) == pytest.approx(2.0)
    assert slots_used(records, 100.0) == 1.0
    assert slots_used(records, 0.0) == 1.0

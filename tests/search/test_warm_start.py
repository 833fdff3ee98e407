"""Warm start: an earlier run's best settings go first and its trials inform the draws; numbers do not shift."""

import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from rich.console import Console

from medray.errors import MedrayError, RunError
from medray.runs.trial_record import TrialRecord
from medray.runs.warm_starts import EarlierRun, EarlierTrial, WarmStart
from medray.search.optuna_study import BestAndLatest, SpreadTPE, StudyFile
from medray.search.run_search import SearchResult, run_search
from medray.search.search_options import SearchOptions
from medray.search.warm_start import frozen_trials, is_same_data, is_same_training
from medray.space.loading import parse
from medray.stats.case_rule import CaseRule
from tests.conftest import write_npz
from tests.search.conftest import run_dir

SPACE = """
name: again
data: phantom
objective: {metric: auc}
budget: {trials: 5, max_epochs: 2, grace_epochs: 200, reduction_factor: 2, patience: null}
space:
  learning_rate: {log: [0.0005, 0.05]}
  optimizer: {choice: [adam, sgd]}
  momentum: {uniform: [0.5, 0.99], when: {optimizer: sgd}}
  transforms: {choice: [none, flip]}
fixed: {batch_size: 16}
transforms:
  flip: [{HorizontalFlip: {p: 0.5}}]
baselines:
  plain: {learning_rate: 0.005, optimizer: adam, transforms: none}
"""


def search(folder: Path, name: str, data: Path, text: str = SPACE, **options: Any) -> tuple[SearchResult, str]:
    space, stream = folder / f"{name}.yaml", io.StringIO()
    space.write_text(text)
    given = SearchOptions(str(space), data=str(data), out=str(folder / name), runner="local", **options)
    return run_search(given, Console(file=stream, width=400)), stream.getvalue()


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory, npz: Path) -> Path:
    folder = tmp_path_factory.mktemp("earlier")
    search(folder, "first", npz)
    return folder / "first"


@pytest.fixture
def best(earlier: Path) -> list[TrialRecord]:
    return sorted(run_dir(earlier).records(), key=lambda record: (-(record.objective or 0), record.number))


def searched(record: TrialRecord) -> dict[str, Any]:
    names = [
        "learning_rate",
        "optimizer",
        "transforms",
        *(["momentum"] if record.settings["optimizer"] == "sgd" else []),
    ]
    return {name: record.settings[name] for name in names}


@pytest.mark.component
def test_the_best_settings_go_first_after_the_baselines(
    earlier: Path, best: list[TrialRecord], npz: Path, tmp_path: Path
) -> None:
    result, printed = search(tmp_path, "second", npz, trials=6, warm_start=(str(earlier),))
    assert [record.number for record in result.records] == list(range(6))
    assert result.records[0].baseline == "plain"
    new = [record for record in best[:3] if record.baseline is None][:2]  # the baseline goes first anyway
    assert [searched(record) for record in result.records[1:3]] == [searched(record) for record in new]
    assert (
        f"warm start from {earlier}: its 3 best settings go first; 5 finished trials inform the draws" in printed
    )
    drawn = [searched(record) for record in result.records[3:]]
    assert not any(searched(record) in drawn for record in best)  # though the seed is the same
    assert run_dir(tmp_path / "second").read_facts().options.warm_start == (str(earlier),)
    trials = StudyFile(run_dir(tmp_path / "second")).open("max").trials
    assert len(trials) == 6  # the earlier trials are not among them
    sources = [trial.user_attrs.get("warm_start") for trial in trials]
    assert sources == [None, *(f"{earlier} trial {record.number}" for record in new), None, None, None]


@pytest.mark.component
def test_a_resumed_search_needs_neither_the_flag_nor_the_earlier_run(
    earlier: Path, npz: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(earlier, tmp_path / "copy")
    search(tmp_path, "broken", npz, trials=3, warm_start=(str(copy),))
    shutil.rmtree(copy)
    resumed, printed = search(tmp_path, "broken", npz, trials=7, resume=True)
    assert f"warm start from {copy}: its 3 best" in printed
    assert len(resumed.records) == 7
    trials = StudyFile(run_dir(tmp_path / "broken")).open("max").trials
    assert sum("warm_start" in trial.user_attrs for trial in trials) in (2, 3)  # one may be the baseline's
    message = "--warm-start: .* was started with .*/copy, which can't change on --resume"
    with pytest.raises(RunError, match=message):
        search(tmp_path, "broken", npz, resume=True, warm_start=(str(earlier),))


@pytest.mark.component
def test_of_other_data_or_trainings_only_the_settings_count(earlier: Path, npz: Path, tmp_path: Path) -> None:
    other = write_npz(tmp_path / "other.npz", seed=5)
    result, printed = search(tmp_path, "otherdata", other, trials=3, warm_start=(str(earlier),))
    assert "its 3 best settings go first; its objectives do not count, as its data or cases are others" in printed
    assert not run_dir(tmp_path / "otherdata").read_warm_start().runs[0].known
    assert len(result.records) == 3
    _, printed = search(tmp_path, "longer", npz, trials=1, max_epochs=1, warm_start=(str(earlier),))
    assert "as its trainings have other fixed settings or epochs" in printed


def test_cases_that_are_answered_otherwise_are_other_data(earlier: Path) -> None:
    data = run_dir(earlier).read_data()
    by_image, by_patient = replace(data, leaks=()), replace(data, cases=CaseRule("patient"))
    assert is_same_data(data, by_image)
    assert not is_same_data(data, by_patient)
    assert not is_same_data(by_patient, replace(by_patient, cases=CaseRule("patient", "attention")))


@pytest.mark.component
def test_settings_that_do_not_fit_are_left_out_and_said(earlier: Path, npz: Path, tmp_path: Path) -> None:
    narrow = SPACE.replace("[0.0005, 0.05]", "[0.06, 0.07]").replace(
        "learning_rate: 0.005", "learning_rate: 0.065"
    )
    _, printed = search(tmp_path, "narrow", npz, narrow, trials=1, warm_start=(str(earlier),))
    assert "none of its settings fits here" in printed
    assert printed.count("left out, trial ") == 3
    assert "is not from 0.06 to 0.07" in printed
    flipped = SPACE.replace("HorizontalFlip", "VerticalFlip").replace("transforms: none", "transforms: flip")
    _, printed = search(tmp_path, "flipped", npz, flipped, trials=1, warm_start=(str(earlier),))
    if any(r.settings["transforms"] == "flip" for r in run_dir(earlier).records()):
        assert "transforms flip is another pipeline" in printed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("metric: auc", "metric: accuracy"),
            "its metric is auc, that of .* is accuracy; give runs of the same metric",
        ),
        (("name: again", "name: again\ntask: ordered"), "its task is single, that of .* is ordered"),
    ],
)
def test_a_run_of_another_kind_is_one_line(
    earlier: Path, npz: Path, tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    with pytest.raises(RunError, match=f"^--warm-start {earlier}: {message}"):
        search(tmp_path, "new", npz, SPACE.replace(*change), warm_start=(str(earlier),))
    assert not (tmp_path / "new").exists()


def test_no_run_at_all_is_one_line_with_the_nearest(earlier: Path, npz: Path, tmp_path: Path) -> None:
    near = earlier.with_name("frist")
    with pytest.raises(RunError, match=r"frist is no run of medray.*did you mean 'first'\?"):
        search(tmp_path, "new", npz, warm_start=(str(near),))
    bare = shutil.copytree(earlier, tmp_path / "bare")
    shutil.rmtree(bare / "trials")
    with pytest.raises(RunError, match="none of its trials has an objective"):
        search(tmp_path, "new", npz, warm_start=(str(bare),))
    with pytest.raises(MedrayError, match="--baselines-only runs nothing else"):
        search(tmp_path, "new", npz, warm_start=(str(earlier),), baselines_only=True)


def test_only_trials_that_this_search_could_have_run_are_known(earlier: Path) -> None:
    space = parse(SPACE, "again.yaml")
    for record in run_dir(earlier).records():
        assert is_same_training(record, searched(record), space, 2)
        assert not is_same_training(record, searched(record), space, 1)
        other = parse(SPACE.replace("batch_size: 16", "batch_size: 8"), "again.yaml")
        assert not is_same_training(record, searched(record), other, 2)


def of(params: Iterator[dict[str, Any]] | list[dict[str, Any]], run: str = "a") -> EarlierRun:
    trials = tuple(EarlierTrial(n, 0.9 - n / 100, p) for n, p in enumerate(params))
    return EarlierRun(run, True, len(trials), trials, trials, ())


def test_runs_take_turns_and_the_same_settings_go_once() -> None:
    start = WarmStart((of([{"x": 1}, {"x": 2}], "a"), of([{"x": 1}, {"x": 3}, {"x": 4}], "b")))
    assert [(run.run, trial.params["x"]) for run, trial in start.in_turn()] == [
        ("a", 1),
        ("a", 2),
        ("b", 3),
        ("b", 4),
    ]
    assert WarmStart.from_dict(json.loads(json.dumps(start.to_dict()))) == start


def test_tpe_learns_from_earlier_trials_without_their_numbers() -> None:
    space = parse(SPACE, "again.yaml")
    rates = [0.0005 * 100 ** (i / 39) for i in range(40)]
    params = [{"learning_rate": rate, "optimizer": "adam", "transforms": "none"} for rate in rates]
    trials = tuple(
        EarlierTrial(n, 1 - abs(n - 20) / 40, p) for n, p in enumerate(params)
    )  # the best in the middle
    earlier = frozen_trials(WarmStart((EarlierRun("a", True, 40, (), trials, ()),)), space)
    assert [trial.number for trial in earlier] == list(range(-40, 0))

    def drawn(known: list[Any]) -> list[float]:
        study, values = optuna.create_study(direction="maximize"), []
        for number in range(8):
            study.sampler = SpreadTPE(0, number, number, BestAndLatest(study, known))
            trial = study.ask()
            assert trial.number == number
            values.append(space.draw(trial)["learning_rate"])
            study.tell(trial, None, state=TrialState.FAIL)
        assert len(study.trials) == 8
        return values

    middle = [0.002 < rate < 0.0125 for rate in drawn(earlier)]
    assert sum(middle) >= 7
    assert sum(0.002 < rate < 0.0125 for rate in drawn([])) <= 4

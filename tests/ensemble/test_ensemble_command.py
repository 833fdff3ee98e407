"""`medray ensemble`: what it prints and writes, and the one line that answers a mistake."""

import dataclasses
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from medray import Ensemble
from medray.data.dataset import ImageDataset
from medray.decisions.temperature import fit_temperature
from medray.decisions.thresholds import OperatingPoint, Rule
from medray.ensemble.averaging import average
from medray.ensemble.build_ensemble import EnsembleOptions, EnsembleResult, run_ensemble
from medray.ensemble.ensemble_command import ensemble
from medray.errors import ConfigError, MedrayError
from medray.runs.lock import held
from medray.runs.rundir import RunDir
from medray.runs.trial_record import FAILED
from tests.conftest import Command
from tests.ensemble.test_candidates import rewrite, stored


def make(run: Path, **options: Any) -> EnsembleResult:
    return run_ensemble(EnsembleOptions(str(run), **options), Console(file=io.StringIO()))


def typed(*arguments: object) -> Result:
    return CliRunner().invoke(ensemble, [str(argument) for argument in arguments])


def refused(result: Result) -> str:
    """The one line of a refusal: no stack trace, nothing else on stderr."""
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("medray: ")
    return lines[0].removeprefix("medray: ")


def manifest_of(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / "ensemble/manifest.json").read_text())
    return content


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


PLAN = '{"metric": "auc", "folds": 3, "seed": 0, "trials": [1], "data": "", "of_trials": 2}'
RULES = (Rule("sensitivity", 0.95), Rule("sensitivity", 0.5), Rule("youden"), Rule("cost", 3.0))


@pytest.fixture(scope="module")
def made(made_run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, EnsembleResult]:
    """A run with an ensemble of its best three trials with all that can be set."""
    run = Path(shutil.copytree(made_run, tmp_path_factory.mktemp("command") / "found"))
    return run, make(run, top_k=3, rules=RULES, positive="1", coverages=(0.8, 0.5, 0.8))


# -- what it leaves


def test_the_ensemble_answers_as_its_selection_did(
    made: tuple[Path, EnsembleResult], dataset: ImageDataset, tmp_path: Path
) -> None:
    """Copied elsewhere, on the validation images, up to the rounding of another batch."""
    run, result = made
    loaded = Ensemble.load(shutil.copytree(run / "ensemble", tmp_path / "copied"))
    images, labels = dataset.split("val").take(np.arange(24))
    answered = loaded.predict(images)
    assert np.array_equal(labels, result.selected.labels)
    assert np.abs(answered.probabilities - result.selected.calibrated).max() < 1e-5
    names = ["sensitivity 0.95", "sensitivity 0.5", "youden", "cost 3"]
    assert [point.name for point in loaded.operating_points] == names
    exact = result.selected.calibrated[:, 1].astype(np.float64)
    for name, point in zip(names, result.manifest.operating_points, strict=True):
        assert np.array_equal(answered.decide(name), exact >= point.threshold)
    assert np.array_equal(answered.decide(), answered.decide("sensitivity 0.95"))
    assert [conformal.coverage for conformal in loaded.conformal] == [
        0.8,
        0.5,
    ]  # what was asked for twice is there once
    for sets in result.manifest.conformal_sets:
        assert np.array_equal(answered.sets(sets.coverage), sets.sets(result.selected.calibrated))
        assert answered.sets(sets.coverage)[np.arange(24), labels].mean() >= sets.coverage
    assert len(answered.answers(0.8)) == 24


def test_operating_points_keep_what_they_promise(made: tuple[Path, EnsembleResult]) -> None:
    run, result = made
    for point, target in zip(result.manifest.operating_points[:2], (0.95, 0.5), strict=True):
        positive = result.selected.labels == 1
        called = result.selected.calibrated[positive, 1] >= point.threshold
        assert called.mean() == point.rates.sensitivity.value >= target
    written = [OperatingPoint.from_dict(content) for content in manifest_of(run)["operating_points"]]
    assert tuple(written) == result.manifest.operating_points
    assert {(p.positive, p.event.class_index, p.set_on, p.images) for p in written} == {("1", 1, "val", 24)}


def test_the_temperature_is_that_of_the_stored_predictions(made: tuple[Path, EnsembleResult]) -> None:
    run, result = made
    manifest = manifest_of(run)
    numbers = [member["trial"] for member in manifest["members"]]
    parts = [stored(RunDir(str(run)), number) for number in numbers]
    mean = average([part["probabilities"] for part in parts])
    assert manifest["temperatures"] == [fit_temperature(mean, parts[0]["labels"])]
    assert manifest["selected_on"]["scores"] == result.selected.calibrated_scores
    assert manifest["selected_on"]["scores_before_temperature"] == result.selected.scores
    assert (manifest["strategy"], manifest["selected_on"]["predictions"]) == ("top-k", "val")
    assert manifest["selected_on"]["images"] == 24


def test_members_are_the_best_trials_own_files(made: tuple[Path, EnsembleResult]) -> None:
    run, _ = made
    members = manifest_of(run)["members"]
    ranked = sorted(RunDir(str(run)).records(), key=lambda record: (-(record.objective or 0), record.number))
    assert [member["trial"] for member in members] == [record.number for record in ranked[:3]]
    assert sum(member["weight"] for member in members) == pytest.approx(1)
    for member in members:
        trial = run / f"trials/{member['trial']:04d}"
        assert (run / "ensemble" / member["file"]).read_bytes() == (trial / "weights.safetensors").read_bytes()
        assert member["config"] == json.loads((trial / "config.json").read_text())
        assert member["fold"] is None
    assert {member["baseline"] for member in members} <= {"plain", None}


def test_every_selection_is_written_down(made: tuple[Path, EnsembleResult]) -> None:
    run, result = made
    comparison = RunDir(str(run)).read_selections()
    assert comparison is not None
    assert comparison.of_ensemble is comparison.selections[1]
    assert comparison.selections == tuple(selection.facts() for selection in result.selections)
    assert [selection.strategy for selection in comparison.selections] == ["single", "top-k", "greedy"]
    assert [len(selection.members) for selection in comparison.selections[:2]] == [1, 3]


def test_without_options_it_averages_four_and_calibrates_for_two_coverages(finished_run: Path) -> None:
    result = make(finished_run)
    assert (result.selected.strategy, result.selected.source, len(result.selected.members)) == (
        "top-k",
        "trials",
        4,
    )
    assert [sets["coverage"] for sets in manifest_of(finished_run)["conformal_sets"]] == [0.9, 0.95]
    assert manifest_of(finished_run)["operating_points"] == []


def test_it_is_the_same_again(finished_run: Path) -> None:
    make(finished_run, strategy="greedy")
    first = content_of(finished_run / "ensemble") | content_of(finished_run)
    make(finished_run, strategy="greedy")
    assert content_of(finished_run / "ensemble") | content_of(finished_run) == first


# -- the command line


def test_the_table_shows_every_selection_beside_the_best_single_one(finished_run: Path) -> None:
    result = typed(finished_run)
    assert result.exit_code == 0, result.output
    rows = [line for line in result.stdout.splitlines() if " val (" in line]
    names = [row.replace("→", " ").split(" val ")[0].strip() for row in rows]
    assert names == ["best single trial", "top-k of trials", "greedy of trials"]
    assert ["→ top-k" in row for row in rows] == [False, True, False]
    assert all("val (24)" in row for row in rows)
    selected = make(finished_run).selected
    assert f"{selected.calibrated_scores['auc']:.4f}" in rows[1]
    assert f"{selected.scores['brier']:.3f} → {selected.calibrated_scores['brier']:.3f}" in rows[1]
    assert f"Ensemble:   {finished_run}/ensemble (top-k of trials, 4 members)" in result.stdout
    said = " ".join(result.stdout.split())
    assert "were all set on 24 validation images" in said
    assert "nothing is promised about new images" in said
    assert "-0.0000" not in result.stdout


def test_greedy_of_trials(finished_run: Path) -> None:
    result = typed(finished_run, "--strategy", "greedy", "--from", "trials")
    assert result.exit_code == 0, result.output
    assert "→ greedy" in result.stdout
    manifest = manifest_of(finished_run)
    assert manifest["strategy"] == "greedy"
    assert sum(member["weight"] for member in manifest["members"]) == pytest.approx(1)
    assert json.loads((finished_run / "selection.json").read_text())["selected"] == 2


def test_operating_points_that_promise_nothing_have_no_intervals(finished_run: Path) -> None:
    options = ("--sensitivity", 0.9, "--youden", "--cost-ratio", 10, "--sensitivity", 0.9, "--positive", "2")
    result = typed(finished_run, *options)
    assert result.exit_code == 0, result.output
    points = [OperatingPoint.from_dict(content) for content in manifest_of(finished_run)["operating_points"]]
    assert [point.name for point in points] == ["sensitivity 0.9", "youden", "cost 10"]
    for point in points:
        (row,) = (line for line in result.stdout.splitlines() if line.strip().startswith(f"{point.name} (2)"))
        assert f"{point.threshold:.4f}  " in row
        assert "nothing" in row
        assert "[" not in row
        assert (point.promised, point.set_on, point.rates.sensitivity.low) == (None, "val", None)


def test_too_few_images_for_a_coverage_are_told_of(finished_run: Path, dataset: ImageDataset) -> None:
    result = typed(finished_run, "--coverage", 0.995)
    assert (
        "Conformal sets at 99.5% coverage: 24 images are too few, so every set holds every class" in result.stdout
    )
    images, _ = dataset.split("val").take(np.arange(3))
    assert Ensemble.load(finished_run / "ensemble").predict(images).answers() == ["not sure"] * 3


def test_json_is_one_document_and_progress_goes_to_stderr(finished_run: Path) -> None:
    result = typed(finished_run, "--json", "--youden", "--positive", "0")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert result.stderr == "Comparing selections of members ...\n"
    assert answer["selected"] == {"strategy": "top-k", "source": "trials"}
    assert answer["selections"] == json.loads((finished_run / "selection.json").read_text())["selections"]
    assert answer["operating_points"] == manifest_of(finished_run)["operating_points"]
    assert answer["conformal_sets"] == manifest_of(finished_run)["conformal_sets"]
    assert answer["ensemble"] == f"{finished_run}/ensemble"
    assert (answer["run"], answer["metric"]) == (str(finished_run), "auc")


def test_a_refusal_as_json_is_one_document_too(finished_run: Path) -> None:
    result = typed(finished_run, "--json", "--strategy", "folds")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"].startswith("--strategy folds averages")


def test_as_a_process_of_its_own(command: Callable[..., Command], finished_run: Path) -> None:
    code, printed, complaints = command(finished_run, "--json", name="ensemble").finish()
    assert code == 0, complaints
    assert json.loads(printed)["metric"] == "auc"
    assert complaints == "Comparing selections of members ...\n"


# -- refusals: one line, and the ensemble that was there is as it was


def test_folds_need_a_cross_validation(finished_run: Path) -> None:
    line = refused(typed(finished_run, "--strategy", "folds"))
    assert line.endswith(f"it needs a cross-validation; first: medray crossval {finished_run}")
    line = refused(typed(finished_run, "--from", "folds"))
    assert "has no finished cross-validation" in line
    assert line.endswith(f"first: medray crossval {finished_run}")
    assert not (finished_run / "ensemble").exists()
    assert not (finished_run / "selection.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--youden",), "say by --positive which class an operating point calls; valid: 0, 1, 2"),
        (("--youden", "--positive", "3"), "unknown class '3'; valid: 0, 1, 2"),
        (("--positive", "1"), "--positive says what an operating point calls: give --sensitivity, --youden or"),
        (("--strategy", "folds", "--from", "trials"), "it needs a cross-validation; first: medray crossval"),
        (("--strategy", "best"), "'best' is not one of 'top-k', 'greedy', 'folds'"),
        (("--top-k", "0"), "--top-k"),
        (("--sensitivity", "0"), "--sensitivity"),
        (("--sensitivity", "1.1"), "--sensitivity"),
        (("--cost-ratio", "0"), "--cost-ratio"),
        (("--cost-ratio", "nan", "--positive", "1"), "rule 'cost' needs a number above 0, not nan"),
        (("--cost-ratio", "inf", "--positive", "1"), "rule 'cost' needs a number above 0, not inf"),
        (("--sensitivity", "nan", "--positive", "1"), "rule 'sensitivity' needs a number above 0 and at most 1"),
        (("--coverage", "1"), "--coverage"),
        (("--coverage", "nan"), "coverage is nan; it must lie between 0 and 1"),
        (("--sensitivty", "0.9"), "unknown option '--sensitivty' (did you mean '--sensitivity'?)"),
    ],
)
def test_what_can_not_be_is_refused_and_changes_nothing(
    made: tuple[Path, EnsembleResult], arguments: tuple[str, ...], message: str
) -> None:
    run, _ = made
    before = content_of(run)
    assert message in refused(typed(run, *arguments)), arguments
    assert content_of(run) == before


def test_an_unknown_strategy_or_source_is_is_refused_from_python(finished_run: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"unknown strategy 'gredy' \(did you mean 'greedy'\?\); valid: folds, greedy"
    ):
        make(finished_run, strategy="gredy")
    with pytest.raises(
        ConfigError, match=r"unknown source 'trial' \(did you mean 'trials'\?\); valid: folds, tri"
    ):
        make(finished_run, source="trial")


def test_a_place_without_a_run_names_the_nearest(finished_run: Path, tmp_path: Path) -> None:
    line = refused(typed(tmp_path / "fuond"))
    assert line == f"{tmp_path}/fuond is no run of medray: it has no run.json (did you mean 'found'?)"
    (tmp_path / "empty").mkdir()
    assert refused(typed(tmp_path / "empty")).endswith("it has no run.json; runs there: found")
    assert refused(typed(finished_run / "trials/0001")).endswith("0001 is no run of medray: it has no run.json")
    assert "it has no run.json" in refused(typed("/nowhere/at/all"))


def test_an_unfinished_search_is_refused(finished_run: Path) -> None:
    (finished_run / "trials/0002/trial.json").unlink()
    line = refused(typed(finished_run))
    assert f"the search in {finished_run} has not finished: 1 of 4 trials are left" in line
    assert f"medray search found --resume --out {finished_run}" in line


def test_predictions_that_are_no_numbers_are_refused(finished_run: Path) -> None:
    probabilities = stored(RunDir(str(finished_run)), 3)["probabilities"]
    probabilities[7] = np.nan
    rewrite(RunDir(str(finished_run)), 3, probabilities=probabilities)
    assert f"{finished_run}/trials/0003/val_predictions.npz is damaged: probabilities of image 7" in refused(
        typed(finished_run)
    )


def fail_trials(run: Path, *numbers: int) -> None:
    for number in numbers:
        folder = RunDir(str(run)).trial(number)
        record = folder.record()
        assert record is not None
        folder.write_record(dataclasses.replace(record, state=FAILED, reason="the loss became nan", objective=9.0))


def test_failed_trials_are_never_members(finished_run: Path) -> None:
    fail_trials(finished_run, 0, 2)
    for strategy in ("top-k", "greedy"):
        result = make(finished_run, strategy=strategy)
        assert {member.record.number for member, _ in result.selected.members} <= {1, 3}
        assert len(result.selections[1].members) == 2


def test_a_run_of_failures_is_refused(finished_run: Path) -> None:
    fail_trials(finished_run, 0, 1, 2, 3)
    assert refused(typed(finished_run)) == f"{finished_run} has no trial to average: all of them failed"


# -- making it anew


def test_another_ensemble_replaces_the_one_that_was_there(finished_run: Path) -> None:
    make(finished_run, rules=(Rule("youden"),), positive="0")
    assert len(list((finished_run / "ensemble/members").iterdir())) == 4
    (finished_run / "ensemble/members/0009.safetensors.partial-1").write_bytes(b"of a command that was killed")
    make(finished_run, top_k=2)
    manifest = manifest_of(finished_run)
    names = {member["file"].removeprefix("members/") for member in manifest["members"]}
    assert {path.name for path in (finished_run / "ensemble/members").iterdir()} == names
    assert len(names) == 2
    assert manifest["operating_points"] == []
    assert len(Ensemble.load(finished_run / "ensemble").networks) == 2


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 1, "members": []}', ""])
def test_a_damaged_ensemble_is_made_anew(finished_run: Path, content: str) -> None:
    (finished_run / "ensemble").mkdir()
    (finished_run / "ensemble/manifest.json").write_text(content)
    make(finished_run, top_k=1)
    assert len(Ensemble.load(finished_run / "ensemble").networks) == 1


@pytest.mark.parametrize("damage", ["missing", "torn", "text", "no config"])
def test_a_member_that_can_not_be_had_leaves_the_old_ensemble(finished_run: Path, damage: str) -> None:
    best = make(finished_run, top_k=1).selected.members[0][0].record.number
    before = content_of(finished_run / "ensemble")
    trial = finished_run / f"trials/{next(number for number in range(4) if number != best):04d}"
    weights = trial / "weights.safetensors"
    if damage == "missing":
        weights.unlink()
    elif damage == "torn":
        weights.write_bytes(weights.read_bytes()[:-9])
    elif damage == "text":
        weights.write_text("no weights")
    else:
        (trial / "config.json").unlink()
    line = refused(typed(finished_run))
    assert str(trial / ("config.json" if damage == "no config" else "weights.safetensors")) in line
    assert (finished_run / "ensemble/manifest.json").read_bytes() == before["manifest.json"]
    assert len(Ensemble.load(finished_run / "ensemble").networks) == 1


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("run.json", "{", "run.json is damaged"),
        ("run.json", "{}", "run.json: damaged: it has no 'medray'"),
        ("run.json", "[]", "run.json: damaged: [] is not a mapping"),
        ("data.json", "{", "data.json is damaged"),
        ("data.json", "{}", "data.json: damaged: it has no 'source'"),
        ("data.json", "[]", "data.json: damaged: [] is not a mapping"),
        ("data.json", None, "data.json is missing"),
        ("space.yaml", None, "space.yaml can't be read"),
        ("space.yaml", "name: [", "space.yaml"),
        ("trials/0001/trial.json", "{", "trial.json is damaged"),
        ("trials/0001/trial.json", "{}", "trial.json: damaged: it has no 'number'"),
        ("crossval/plan.json", "{", "plan.json is damaged"),
        ("crossval/plan.json", "{}", "plan.json: damaged: it has no 'metric'"),
        ("crossval/plan.json", PLAN.replace("auc", "acu"), "plan.json: damaged: unknown metric 'acu'"),
        ("crossval/plan.json", PLAN, "folds.json is missing"),
    ],
)
def test_a_damaged_run_is_refused_in_one_line(
    finished_run: Path, file: str, content: str | None, message: str
) -> None:
    if content is None:
        (finished_run / file).unlink()
    else:
        (finished_run / file).parent.mkdir(exist_ok=True)
        (finished_run / file).write_text(content)
    line = refused(typed(finished_run))
    assert message in line
    assert str(finished_run) in line
    assert not (finished_run / "ensemble").exists()


def test_a_run_that_another_command_is_working_in_is_refused(finished_run: Path) -> None:
    with held(RunDir(str(finished_run)), Console(quiet=True)):
        assert refused(typed(finished_run)) == f"another command is working in {finished_run}"


def test_the_data_need_not_be_there(finished_run: Path, tmp_path: Path) -> None:
    """Predictions are all that is read, never the test split."""
    moved = json.loads((finished_run / "run.json").read_text())
    moved["options"]["data"] = str(tmp_path / "gone.npz")
    (finished_run / "run.json").write_text(json.dumps(moved))
    assert make(finished_run).manifest.data.source.endswith("corners.npz")


def test_trials_that_no_strategy_looks_at_are_not_read(
    finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medray.ensemble.build_ensemble.LIBRARY", 2)
    ranked = sorted(
        RunDir(str(finished_run)).records(), key=lambda record: (-(record.objective or 0), record.number)
    )
    RunDir(str(finished_run)).trial(ranked[-1].number).delete("val_predictions.npz")
    assert len(make(finished_run, top_k=3).selected.members) == 3
    with pytest.raises(MedrayError, match=r"val_predictions\.npz can't be read"):
        make(finished_run, top_k=4)

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from rich.console import Console

import medray.analyze
from medray import Ensemble
from medray.data.load_data import load_data
from medray.errors import MedrayError
from medray.runs.trial_record import FAILED, FINISHED, STOPPED
from medray.search.run_search import SearchResult, run_search
from medray.search.search_options import SearchOptions

pytestmark = pytest.mark.component


def search_locally(space: Path, data: Path, out: Path, **options: object) -> SearchResult:
    """Search without Ray, which leaves the same files and figures (`test_run_local.py`)."""
    given = {"space": str(space), "data": str(data), "out": str(out), "runner": "local", **options}
    return run_search(SearchOptions(**given), Console(file=io.StringIO()))  # type: ignore[arg-type]


# -- what a search with Ray leaves


@pytest.fixture(scope="module")
def finished(ray_address: str, npz: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[SearchResult, Path]:
    from tests.search.conftest import SPACE

    folder = tmp_path_factory.mktemp("finished")
    (folder / "corners.yaml").write_text(SPACE)
    space = str(folder / "corners.yaml")
    options = SearchOptions(space, data=str(npz), storage=folder.as_uri(), trials=9, top_k=2)
    return run_search(options, Console(file=io.StringIO())), folder / "corners"


def test_every_trial_is_accounted_for(finished: tuple[SearchResult, Path]) -> None:
    result, out = finished
    assert sorted(record.number for record in result.records) == list(range(9))
    assert {record.state for record in result.records} <= {FINISHED, STOPPED, FAILED}
    assert not result.interrupted
    for record in result.records:
        files = {path.name for path in (out / f"trials/{record.number:04d}").iterdir()}
        assert {"config.json", "trial.json"} <= files
        assert "checkpoint.safetensors" not in files
        assert not any(name.endswith(".partial") for name in files)
        if record.state != FAILED:
            assert {"epochs.jsonl", "weights.safetensors", "val_predictions.npz"} <= files


def test_what_a_search_leaves_can_be_analysed(finished: tuple[SearchResult, Path]) -> None:
    result, out = finished
    trials = medray.analyze.trials(str(out))
    assert trials.attrs["notes"] == []
    assert trials["state"].tolist() == [record.state for record in result.records]
    board = list(csv.DictReader((out / "leaderboard.csv").read_text().splitlines()))
    ranked = trials.dropna(subset="rank").sort_values("rank")
    assert ranked["trial"].astype(str).tolist() == [row["trial"] for row in board if row["rank"]]
    assert medray.analyze.epochs(str(out)).groupby("trial").size().sum() == trials["epochs"].sum()
    assert len(medray.analyze.study(str(out)).trials) == len(trials)
    grid = medray.analyze.result_grid(str(out))
    assert grid.get_best_result().path == str(out / f"trials/{ranked['trial'].iloc[0]:04d}")
    predicted = medray.analyze.predictions(str(out))
    assert set(predicted["trial"]) >= set(ranked["trial"])
    assert predicted["position"].notna().all()


def test_baselines_run_first_in_the_files_order_on_at_most_half_the_trials(
    finished: tuple[SearchResult, Path],
) -> None:
    result, _ = finished
    names = {record.number: record.baseline for record in result.records}
    assert [names[number] for number in range(9)] == ["plain", "diverging", "elsewhere"] + [None] * 6


def test_a_diverging_trial_fails_with_its_reason_and_ends_nothing(finished: tuple[SearchResult, Path]) -> None:
    result, _ = finished
    failed = next(record for record in result.records if record.baseline == "diverging")
    assert failed.state == FAILED
    assert failed.reason is not None
    assert "the loss" in failed.reason or "NaN" in failed.reason
    assert sum(record.state != FAILED for record in result.records) >= 4


def test_the_study_is_an_ordinary_one_that_tells_ends_apart(finished: tuple[SearchResult, Path]) -> None:
    result, out = finished
    storage = JournalStorage(JournalFileBackend(str(out / "study.journal")))
    study = optuna.load_study(study_name="medray", storage=storage)
    meant = {FINISHED: TrialState.COMPLETE, STOPPED: TrialState.PRUNED, FAILED: TrialState.FAIL}
    assert len(study.trials) == 9
    for record in result.records:
        trial = study.trials[record.number]
        assert trial.state == meant[record.state]
        assert trial.user_attrs.get("baseline") == record.baseline
        if record.state != FAILED:
            assert trial.value == pytest.approx(record.objective)
            assert max(trial.intermediate_values) == record.epochs
        for name, value in trial.params.items():
            assert record.settings[name] == value
        if trial.params.get("optimizer") == "adam":
            assert "momentum" not in trial.params


def test_the_leaderboard_ranks_by_validation(finished: tuple[SearchResult, Path]) -> None:
    result, out = finished
    table = pd.read_csv(out / "leaderboard.csv")
    assert len(table) == 9
    ranked = table[table["rank"].notna()]
    assert ranked["val_auc"].is_monotonic_decreasing
    assert set(table[table["state"] == "failed"]["trial"]) == {
        r.number for r in result.records if r.state == FAILED
    }


def test_the_ensemble_holds_the_best_and_predicts(finished: tuple[SearchResult, Path], npz: Path) -> None:
    result, out = finished
    ensemble = Ensemble.load(out / "ensemble")
    images, labels = load_data(str(npz)).split("val").take(np.arange(24))
    prediction = ensemble.predict(images)
    assert prediction.probabilities.shape == (24, 3)
    assert result.ensemble is not None
    assert result.ensemble.selected_on.scores["accuracy"] == pytest.approx((prediction.labels == labels).mean())
    objectives = sorted((r.objective for r in result.records if r.objective is not None), reverse=True)
    scores = [member.scores["auc"] for member in ensemble.manifest.members]
    assert len(scores) == 2
    assert scores[0] == objectives[0]


def test_a_run_describes_itself(finished: tuple[SearchResult, Path], npz: Path) -> None:
    _, out = finished
    data = json.loads((out / "data.json").read_text())
    assert data["fingerprint"] == load_data(str(npz)).fingerprint
    assert data["splits"]["train"]["classes"] == [16, 16, 16]
    assert json.loads((out / "splits.json").read_text())["val"] == list(range(48, 72))
    assert json.loads((out / "run.json").read_text())["options"]["trials"] == 9


def test_more_trials_can_be_asked_for_afterwards(finished: tuple[SearchResult, Path], npz: Path) -> None:
    before, out = finished
    kept = {
        record.number: (out / f"trials/{record.number:04d}/trial.json").read_bytes() for record in before.records
    }
    result = run_search(
        SearchOptions(space="corners", out=str(out), resume=True, trials=11), Console(file=io.StringIO())
    )
    assert sorted(record.number for record in result.records) == list(range(11))
    for number, content in kept.items():
        assert (out / f"trials/{number:04d}/trial.json").read_bytes() == content


@pytest.mark.usefixtures("ray_address")
def test_trials_cannot_write_to_the_shared_images(npz: Path) -> None:
    import ray

    @ray.remote
    def write(dataset: object) -> str:
        try:
            dataset.images[0] = 0  # type: ignore[attr-defined]
        except ValueError as error:
            return str(error)
        return "written"

    reference = ray.put(load_data(str(npz)))
    assert "read-only" in ray.get(write.remote(reference))


# -- what a search decides, whichever runner trains


def test_only_baselines(space: Path, npz: Path, tmp_path: Path) -> None:
    result = search_locally(space, npz, tmp_path / "run", baselines_only=True, max_epochs=2)
    assert [record.baseline for record in result.records] == ["plain", "diverging", "elsewhere"]
    assert [record.epochs for record in result.records if record.state == FINISHED] == [2, 2]


def test_the_test_split_changes_nothing(space: Path, npz: Path, tmp_path: Path) -> None:
    """The same search on data whose test images and labels are others finds the same."""
    with np.load(npz) as file:
        arrays = dict(file)
    arrays["test_images"] = 255 - arrays["test_images"]
    arrays["test_labels"] = (arrays["test_labels"] + 1) % 3
    np.savez(tmp_path / "other.npz", **arrays)
    searches = []
    for name, data in (("a", npz), ("b", tmp_path / "other.npz")):
        result = search_locally(space, data, tmp_path / name, trials=4)
        assert result.ensemble is not None
        members = [(m.trial, m.best_epoch, m.scores) for m in result.ensemble.members]
        searches.append((members, [(r.number, r.objective, r.settings) for r in result.records]))
    assert searches[0] == searches[1]


def test_a_class_that_validation_lacks_is_refused_whatever_the_metric(
    space: Path, npz: Path, tmp_path: Path
) -> None:
    with np.load(npz) as file:
        arrays = dict(file)
    arrays["val_labels"][arrays["val_labels"] == 2] = 1
    np.savez(tmp_path / "lacking.npz", **arrays)
    space.write_text(space.read_text().replace("metric: auc", "metric: accuracy"))
    with pytest.raises(MedrayError, match="split 'val' has no image of 2"):
        search_locally(space, tmp_path / "lacking.npz", tmp_path / "run", trials=1, max_epochs=1)
    assert not (tmp_path / "run/trials").exists()


def test_more_trials_bring_the_baselines_they_make_room_for_and_no_draw_twice(
    space: Path, npz: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    first = search_locally(space, npz, out, trials=3, max_epochs=1)
    assert [r.baseline for r in first.records if r.baseline] == ["plain"]
    result = search_locally(space, npz, out, trials=9, resume=True)
    records = sorted(result.records, key=lambda record: record.number)
    assert sorted(r.baseline for r in records if r.baseline) == ["diverging", "elsewhere", "plain"]
    drawn = [r.settings["learning_rate"] for r in records if r.baseline is None]
    assert len(drawn) == len(set(drawn)) == 6


def test_a_resume_names_the_runs_own_space(
    finished: tuple[SearchResult, Path], space: Path, npz: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(finished[1], tmp_path / "run"))
    space.write_text(space.read_text().replace("[0.0005, 10.0]", "[0.0004, 10.0]"))
    with pytest.raises(MedrayError, match="is not the search space that"):
        search_locally(space, npz, out, trials=10, resume=True)
    with pytest.raises(MedrayError, match="unknown search space 'nonsense'"):
        search_locally(Path("nonsense"), npz, out, resume=True)


def test_an_ensemble_that_was_made_since_is_kept_until_a_trial_comes_to_it(
    finished: tuple[SearchResult, Path], tmp_path: Path, npz: Path
) -> None:
    from medray.ensemble.build_ensemble import EnsembleOptions, run_ensemble

    run = Path(shutil.copytree(finished[1], tmp_path / "run"))
    space = run.parent / "corners.yaml"
    space.write_text((run / "space.yaml").read_text())
    run_ensemble(EnsembleOptions(str(run), strategy="greedy", source="trials"), Console(file=io.StringIO()))
    made = (run / "ensemble/manifest.json").read_bytes()
    search_locally(space, npz, run, resume=True)
    assert (run / "ensemble/manifest.json").read_bytes() == made
    more = len(list((run / "trials").glob("*/trial.json"))) + 1
    search_locally(space, npz, run, resume=True, trials=more)
    assert json.loads((run / "ensemble/manifest.json").read_text())["strategy"] == "top-k"
    assert not (run / "selection.json").exists()

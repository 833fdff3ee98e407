"""`medray evaluate`: what it measures, that it reads the test split once and chooses nothing, refusals."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from medray import Ensemble
from medray.data.dataset import Array, ImageDataset
from medray.evaluate import driver
from medray.evaluate.compare import NOT_SHOWN
from medray.evaluate.scores import MODES
from medray.runs import RunDir
from medray.storage import Folder
from tests.conftest import Command, make_run
from tests.evaluate.conftest import FEW, answer, ask, content, make_ensemble, refused

WithData = Callable[..., Path]
AFTERWARDS = "evaluation"


def predicted(run: Path, dataset: ImageDataset) -> tuple[Array, Array]:
    """What the ensemble's own folder says of the test images, and their labels."""
    images, labels = dataset.split("test").take(np.arange(len(dataset.splits["test"])))
    return Ensemble.load(run / "ensemble").predict(images).probabilities, labels


def own_readings(run: Path) -> list[str]:
    return sorted(path.name for path in (run / AFTERWARDS).glob("*"))


# -- what is measured


def test_the_ensemble_is_measured_as_it_would_answer_in_use(run: Path, hard: ImageDataset) -> None:
    probabilities, labels = predicted(run, hard)
    assert 0.4 < (probabilities.argmax(axis=1) == labels).mean() < 0.95  # else a mix-up would go unseen
    exact, called = probabilities.astype(np.float64), probabilities.argmax(axis=1)
    expected = {
        "auc": sklearn_metrics.roc_auc_score(labels, probabilities, multi_class="ovr"),
        "accuracy": sklearn_metrics.accuracy_score(labels, called),
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(labels, called),
        "f1_macro": sklearn_metrics.f1_score(labels, called, average="macro", zero_division=0),
        "f1_weighted": sklearn_metrics.f1_score(labels, called, average="weighted", zero_division=0),
        "log_loss": sklearn_metrics.log_loss(labels, exact / exact.sum(axis=1, keepdims=True)),
        "brier": ((exact - np.eye(3)[labels]) ** 2).sum(axis=1).mean(),
    }
    found = answer(run)
    scores = found["models"][0]["scores"]
    assert found["models"][0]["name"] == "ensemble"
    assert {name: scores[name]["value"] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert set(scores) == set(MODES)
    assert found["confusion_matrix"] == sklearn_metrics.confusion_matrix(labels, called).tolist()
    for c, row in enumerate(found["per_class"]):
        assert row["auc"] == pytest.approx(
            sklearn_metrics.roc_auc_score(labels == c, probabilities[:, c]), abs=1e-6
        )
        assert row["recall"] == pytest.approx((called == c)[labels == c].mean(), abs=1e-6)
        assert row["specificity"] == pytest.approx((called != c)[labels != c].mean(), abs=1e-6)


def test_every_model_is_there_once_and_compared_with_the_ensemble(run: Path) -> None:
    found = answer(run)
    names = [model["name"] for model in found["models"]]
    single = next(name for name in names if name.startswith("best single"))
    assert names == ["ensemble", single, "greedy of trials", "baseline plain (trial 0)"]
    assert found["models"][0]["networks"] == 3
    pairs = [(row["reference"], row["other"], row["metric"]) for row in found["comparisons"]]
    assert pairs == [("ensemble", other, metric) for other in names[1:] for metric in ("auc", "accuracy")]
    for model in found["models"]:
        for name, score in model["scores"].items():
            if name == "calibration_error":
                assert score["low"] is score["high"] is None
            else:
                assert score["low"] <= score["value"] <= score["high"], (model["name"], name)


def test_the_best_single_and_baselines_are_those_of_the_leaderboard(run: Path, hard: ImageDataset) -> None:
    """Each is one network as it is; the single one is that with the best validation AUC."""
    from medray.config import TrainConfig
    from medray.training.loop import predict_probabilities
    from medray.training.weights import load_network, weights_from_bytes

    trials = [json.loads((run / f"trials/{n:04d}/trial.json").read_text()) for n in range(4)]
    best = max(trials, key=lambda trial: trial["objective"])["number"]
    (
        run / "ways.json"
    ).unlink()  # as the search leaves it: no way to compare, and no temperature of the single one
    models = {model["name"]: model["scores"] for model in answer(run)["models"]}
    assert list(models) == ["ensemble", f"best single (trial {best})", "baseline plain (trial 0)"]
    test = hard.split("test")
    for name, number in ((f"best single (trial {best})", best), ("baseline plain (trial 0)", 0)):
        folder = RunDir(str(run)).trial(number)
        tensors, _ = weights_from_bytes(folder.read(folder.WEIGHTS), "weights")
        network = load_network(TrainConfig.from_dict(folder.read_json(folder.CONFIG)), (12, 12, 1), 3, tensors, "")
        probabilities = predict_probabilities(network, test, __import__("torch").device("cpu"))
        expected = sklearn_metrics.roc_auc_score(test.own_labels, probabilities, multi_class="ovr")
        assert models[name]["auc"]["value"] == pytest.approx(expected, abs=1e-6)


def test_a_model_like_the_ensemble_shows_no_difference(found: Path) -> None:
    make_ensemble(found, top_k=1)
    answered = answer(found)
    rows = [row for row in answered["comparisons"] if row["other"].startswith("best single")]
    assert len(rows) == 2
    for row in rows:
        assert (row["difference"], row["low"], row["high"], row["p"]) == (0.0, 0.0, 0.0, 1.0)
        assert row["verdict"] == NOT_SHOWN
    assert rows[1]["mcnemar_p"] == 1.0
    assert answered["models"][0]["scores"] == answered["models"][1]["scores"]


def test_an_ensemble_of_folds_is_measured(folded_run: Path, dataset: ImageDataset, tmp_path: Path) -> None:
    run = Path(shutil.copytree(folded_run, tmp_path / "folded"))
    make_ensemble(run)
    probabilities, labels = predicted(run, dataset)
    found = answer(run)
    assert found["models"][0]["networks"] == 6
    expected = sklearn_metrics.roc_auc_score(labels, probabilities, multi_class="ovr")
    assert found["models"][0]["scores"]["auc"]["value"] == pytest.approx(expected, abs=1e-6)
    names = {model["name"] for model in found["models"]}
    assert {"folds of folds", "greedy of folds", "top-k of trials", "greedy of trials"} <= names


def test_the_same_seed_gives_the_same_intervals(run: Path) -> None:
    first, second, other = answer(run), answer(run, "--again"), answer(run, "--again", "--seed", 7)
    assert first["models"] == second["models"]
    values = [[m["scores"]["auc"]["value"] for m in found["models"]] for found in (first, other)]
    assert values[0] == values[1]
    assert first["models"] != other["models"]


# -- nothing is chosen on the test split


def test_thresholds_and_sets_are_those_that_were_set_before(run: Path, hard: ImageDataset) -> None:
    before = content(run)
    manifest = json.loads(before["ensemble/manifest.json"])
    found = answer(run)
    assert content(run, AFTERWARDS) == before
    probabilities, labels = predicted(run, hard)
    assert len(found["operating_points"]) == len(manifest["operating_points"]) == 2
    for shown, was_set in zip(found["operating_points"], manifest["operating_points"], strict=True):
        assert {name: shown[name] for name in was_set} == was_set
        called, positive = probabilities[:, 1].astype(np.float64) >= was_set["threshold"], labels == 1
        assert shown["test"]["tp"] == (called & positive).sum()
        assert shown["test"]["fp"] == (called & ~positive).sum()
        assert shown["test"]["sensitivity"]["value"] == pytest.approx(called[positive].mean())
        assert shown["test"]["specificity"]["value"] == pytest.approx((~called)[~positive].mean())
    ensemble = Ensemble.load(run / "ensemble")
    for shown, was_set, own in zip(
        found["conformal_sets"], manifest["conformal_sets"], ensemble.conformal, strict=True
    ):
        assert {name: shown[name] for name in was_set} == was_set
        sets = own.sets(probabilities)
        assert shown["test"]["covered"]["value"] == pytest.approx(sets[np.arange(len(labels)), labels].mean())
        assert shown["test"]["mean_size"] == pytest.approx(sets.sum(axis=1).mean())


def test_the_test_split_reaches_nothing_but_the_evaluation(npz: Path, tmp_path: Path) -> None:
    """Two data sets that differ in their test labels alone, searched and ensembled from scratch."""
    with np.load(npz) as file:
        arrays = dict(file)
    arrays["test_labels"] = np.random.default_rng(0).permutation(arrays["test_labels"])
    np.savez(tmp_path / "permuted.npz", **arrays)
    runs = [
        make_run(tmp_path / "a", npz, trials=2, epochs=1),
        make_run(tmp_path / "b", tmp_path / "permuted.npz", trials=2, epochs=1),
    ]
    files = []
    for run in runs:
        make_ensemble(run)
        own = content(run)
        for name in ("run.json", "data.json"):  # they name the data
            del own[name]
        epochs = [name for name in own if name.endswith(("epochs.jsonl", "trial.json"))]
        for name in epochs:  # they hold seconds
            del own[name]
        manifest = json.loads(own.pop("ensemble/manifest.json"))
        files.append((own, {**manifest, "data": None}))
    assert files[0] == files[1]
    assert any(name.startswith("ensemble/members/") for name in files[0][0])
    first, second = (answer(run) for run in runs)
    assert first["models"] != second["models"]
    stored = [np.load(run / "evaluation/reading_0001/test_predictions.npz") for run in runs]
    assert (stored[0]["model_0"] == stored[1]["model_0"]).all()
    assert (stored[0]["labels"] != stored[1]["labels"]).any()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_other_test_labels_change_the_figures_and_nothing_else(
    run: Path, with_data: WithData, hard_npz: Path, seed: int
) -> None:
    with np.load(hard_npz) as file:
        labels = np.random.default_rng(seed).permutation(file["test_labels"])
    with_data(test_labels=labels)
    before = content(run)
    found = answer(run)
    assert content(run, AFTERWARDS) == before
    with np.load(run / "evaluation/reading_0001/test_predictions.npz") as stored:
        assert (stored["labels"] == labels[:, 0]).all()
        probabilities = stored["model_0"]
    accuracy = (probabilities.argmax(axis=1) == labels[:, 0]).mean()
    assert found["models"][0]["scores"]["accuracy"]["value"] == pytest.approx(accuracy)
    assert found["models"][0]["scores"]["auc"]["value"] == pytest.approx(
        sklearn_metrics.roc_auc_score(labels[:, 0], probabilities, multi_class="ovr"), abs=1e-6
    )


# -- read once


def test_a_second_call_answers_from_the_store(run: Path, with_data: WithData) -> None:
    data = with_data()
    first = ask(run)
    assert "The test split of this run has been read once." in first.stdout
    assert "From the store" not in first.stdout
    data.write_bytes(b"no longer images")
    kept = content(run)
    second = ask(run)
    assert second.exit_code == 0, second.output
    told, _, rest = second.stdout.partition("\n")
    assert told.startswith("From the store: the test split was read on 20")
    assert "is not read again" in told
    assert first.stdout.endswith(rest.lstrip("\n"))
    assert "The test split of this run has been read once." in second.stdout
    data.unlink()
    document = answer(run)
    assert (document["from_store"], document["times_read"]) == (True, 1)
    assert content(run) == kept
    assert own_readings(run) == ["reading_0001"]


def test_again_reads_anew_and_is_counted(run: Path) -> None:
    first = answer(run)
    kept = content(run)
    result = ask(run, "--again")
    assert "has been read 2 times." in result.stdout
    assert own_readings(run) == ["reading_0001", "reading_0002"]
    after = content(run)
    assert {name: after[name] for name in kept} == kept
    document = answer(run)
    assert (document["from_store"], document["times_read"], document["reading"]) == (True, 2, 2)
    assert document["models"] == first["models"]


def test_a_reading_that_broke_off_counts(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(driver, "all_figures", interrupted)
        result = ask(run)
    assert result.exit_code == 130
    assert "interrupted; a reading that was begun is counted" in result.stderr
    assert [path.name for path in (run / "evaluation/reading_0001").iterdir()] == ["begun.json"]
    line = refused(ask(run))
    assert "which broke off: --again reads it once more" in line
    document = answer(run, "--again")
    assert (document["times_read"], document["reading"]) == (2, 2)
    assert "has been read 2 times" in ask(run).stdout


def test_what_goes_wrong_before_the_labels_are_looked_at_is_not_counted(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(driver, "predict_members", interrupted)
        assert ask(run).exit_code == 130
    assert own_readings(run) == []
    assert answer(run)["times_read"] == 1


def test_another_ensemble_is_not_given_the_figures_of_the_first(run: Path) -> None:
    first = answer(run)
    before = (run / "ensemble/manifest.json").read_bytes()
    make_ensemble(run, way="greedy")
    assert (run / "ensemble/manifest.json").read_bytes() != before
    line = refused(ask(run))
    assert "for another ensemble than the present one; those figures are in " in line
    assert "reading_0001; --again reads it once more, and is counted" in line
    second = answer(run, "--again")
    assert (second["times_read"], second["from_store"]) == (2, False)
    assert "top-k of trials" in [model["name"] for model in second["models"]]
    assert answer(run)["models"] == second["models"]
    make_ensemble(run, top_k=3)  # the first one again: its figures are still there
    assert (run / "ensemble/manifest.json").read_bytes() == before
    back = answer(run)
    assert (back["from_store"], back["reading"], back["models"]) == (True, 1, first["models"])


def test_another_seed_is_not_answered_from_the_store(run: Path) -> None:
    answer(run, "--seed", 3)
    assert "the stored intervals are of --seed 3, not 4" in refused(ask(run, "--seed", 4))
    assert answer(run, "--seed", 3)["from_store"]
    assert answer(run)["seed"] == 3


# -- bad input: one line, nothing lost


def test_no_run_is_named_with_the_nearest(run: Path) -> None:
    line = refused(ask(run.parent / "ensembeld"))
    assert "is no run of medray: it has no run.json (did you mean 'ensembled'?)" in line


def test_a_run_without_an_ensemble_is_told_how_to_get_one(found: Path) -> None:
    line = refused(ask(found))
    assert f"has no ensemble; first: python -m medray.ensemble {found}" in line
    assert own_readings(found) == []


def test_other_data_is_refused(run: Path, hard_npz: Path, tmp_path: Path) -> None:
    with np.load(hard_npz) as file:
        arrays = {**file, "test_images": file["test_images"] ^ 1}
    np.savez(tmp_path / "other.npz", **arrays)
    line = refused(ask(run, "--data", tmp_path / "other.npz"))
    assert "other.npz is not the data of " in line
    assert "no such file: " in refused(ask(run, "--data", tmp_path / "nowhere.npz"))
    assert own_readings(run) == []
    moved = shutil.copy(hard_npz, tmp_path / "moved.npz")
    assert answer(run, "--data", moved)["times_read"] == 1


def test_an_empty_test_split_is_refused(run: Path, with_data: WithData) -> None:
    with_data(test_images=np.zeros((0, 12, 12), np.uint8), test_labels=np.zeros((0, 1), np.int64))
    assert "split 'test' is empty" in refused(ask(run))
    assert own_readings(run) == []


def test_one_test_image_is_refused(run: Path, with_data: WithData) -> None:
    with_data(test_images=np.zeros((1, 12, 12), np.uint8), test_labels=np.zeros((1, 1), np.int64))
    assert "1 image to draw from: a bootstrap needs at least two" in refused(ask(run))
    assert own_readings(run) == []


def test_a_class_without_test_images_leaves_gaps_and_no_nan(
    run: Path, with_data: WithData, hard_npz: Path
) -> None:
    with np.load(hard_npz) as file:
        images, labels = file["test_images"], file["test_labels"]
    there = labels[:, 0] != 1  # the class that the operating points call
    with_data(test_images=images[there], test_labels=labels[there])
    found = answer(run)
    assert found["models"][0]["scores"]["auc"] == {"value": None, "low": None, "high": None, "resamples_used": 0}
    assert found["models"][0]["scores"]["accuracy"]["value"] is not None
    assert [row["auc"] is None for row in found["per_class"]] == [False, True, False]
    assert found["operating_points"][0]["test"]["sensitivity"]["value"] is None
    assert found["operating_points"][0]["test"]["specificity"]["value"] is not None
    undefined = next(row for row in found["comparisons"] if row["metric"] == "auc")
    assert undefined["difference"] is undefined["p"] is None
    shown = ask(run)
    assert shown.exit_code == 0, shown.output
    row = next(line for line in shown.stdout.splitlines() if line.startswith(" ensemble (3 networks)"))
    assert row.split()[3] == "–"
    assert "nan" not in shown.stdout.lower()


def member(run: Path) -> Path:
    """The weights of the ensemble's first member, where it was trained."""
    first = json.loads((run / "ensemble/manifest.json").read_text())["members"][0]
    return run / f"trials/{first['trial']:04d}/weights.safetensors"


def test_missing_and_damaged_weights_are_named(run: Path) -> None:
    weights = member(run)
    whole = weights.read_bytes()
    weights.unlink()
    assert f"{weights} is missing" in refused(ask(run))
    weights.write_bytes(whole[:-4] + b"\x00\x00\x00\x01")
    assert f"{weights} is not what the ensemble was made of" in refused(ask(run))
    weights.write_bytes(whole)
    baseline = run / "trials/0000/weights.safetensors"
    if baseline != weights:
        baseline.write_bytes(b"short")
        assert f"{baseline} holds no weights of medray" in refused(ask(run))
    assert own_readings(run) == []


def test_weights_of_another_trial_are_not_measured_in_a_baselines_name(run: Path) -> None:
    """Trial 2 has the baseline's architecture, so that its weights would fit."""
    trial = run / "trials/0000/trial.json"
    trial.write_text(json.dumps({**json.loads(trial.read_text()), "objective": 0.0}))  # no member, by any way
    make_ensemble(run, top_k=1)
    weights = run / "trials/0000/weights.safetensors"
    assert weights != member(run)
    shutil.copy(run / "trials/0002/weights.safetensors", weights)
    assert f"{weights} is of another training than " in refused(ask(run))
    assert own_readings(run) == []


@pytest.mark.parametrize("damage", ["{", "[]", "{}", '{"ensemble": "x"}', ""])
def test_damaged_figures_are_named_and_can_be_read_anew(run: Path, damage: str) -> None:
    answer(run)
    scores = run / "evaluation/reading_0001/scores.json"
    scores.write_text(damage)
    assert f"{scores} is damaged: " in refused(ask(run))
    assert answer(run, "--again")["times_read"] == 2
    assert answer(run)["from_store"]  # the damaged one is not in the way of the good one


def test_figures_that_are_damaged_further_down_are_named(run: Path) -> None:
    found = answer(run)
    scores = run / "evaluation/reading_0001/scores.json"
    stored = json.loads(scores.read_text())
    del stored["models"][0]["scores"]["auc"]
    scores.write_text(json.dumps(stored))
    assert f"{scores} is damaged: KeyError('auc')" in refused(ask(run))
    assert found["times_read"] == 1


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("ensemble/manifest.json", "members"),
        ("ensemble/manifest.json", "temperature"),
        ("ensemble/manifest.json", "operating_points"),
        ("ways.json", "ways"),
        ("ways.json", "chosen"),
    ],
)
def test_a_damaged_ensemble_is_named(run: Path, name: str, key: str) -> None:
    stored = json.loads((run / name).read_text())
    del stored[key]
    (run / name).write_text(json.dumps(stored))
    line = refused(ask(run))
    assert f"{run / name} is damaged: " in line
    assert f"'{key}'" in line
    (run / name).write_text("[]")
    assert f"{run / name} is " in refused(ask(run))
    assert own_readings(run) == []


def test_ways_of_another_ensemble_are_refused(run: Path) -> None:
    """As `search --resume` leaves them, or a crash between the two files."""
    old = (run / "ways.json").read_bytes()
    make_ensemble(run, way="greedy")
    (run / "ways.json").write_bytes(old)
    line = refused(ask(run))
    assert "ways.json is of another ensemble than the one in " in line
    assert f"make both anew: python -m medray.ensemble {run}" in line
    assert own_readings(run) == []


@pytest.mark.parametrize(("full_at", "counted"), [("begun.json", 0), ("scores.json", 1)])
def test_a_full_disk_is_one_line(run: Path, monkeypatch: pytest.MonkeyPatch, full_at: str, counted: int) -> None:
    before = content(run)
    write = Folder.write

    def full(self: Folder, name: str, data: bytes) -> None:
        if name == full_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, name, data)

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "write", full)
        assert "No space left on device" in refused(ask(run))
    assert content(run, AFTERWARDS) == before
    assert answer(run, *(["--again"] * counted))["times_read"] == counted + 1


def test_a_file_in_the_place_of_the_folder_is_one_line(run: Path) -> None:
    (run / AFTERWARDS).write_text("mine")
    refused(ask(run))
    assert (run / AFTERWARDS).read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes to a read-only folder all the same")
def test_a_read_only_run_is_one_line(run: Path) -> None:
    run.chmod(0o555)
    try:
        assert "can't be written" in refused(ask(run))
    finally:
        run.chmod(0o755)


def test_a_run_in_which_another_command_works_is_left_alone(run: Path) -> None:
    with RunDir(str(run)).claimed():
        assert "another command is working in " in refused(ask(run))
    assert own_readings(run) == []


# -- patients and subgroups


def test_whole_patients_are_drawn_where_they_are_known(run: Path, with_data: WithData) -> None:
    plain = answer(run)
    groups = {split: np.arange(count) // 4 for split, count in (("train", 48), ("val", 24), ("test", 24))}
    with_data(train_groups=groups["train"], val_groups=groups["val"] + 100, test_groups=groups["test"] + 200)
    found = answer(run, "--again")
    assert (found["images"], found["patients"]) == (24, 6)
    of_ensemble = [document["models"][0]["scores"]["auc"] for document in (plain, found)]
    assert of_ensemble[0]["value"] == of_ensemble[1]["value"]
    assert of_ensemble[0] != of_ensemble[1]  # other intervals
    assert all(row["mcnemar_p"] is None for row in found["comparisons"])  # it would take images to be independent
    shown = ask(run).stdout
    assert "24 test images of 6 patients; 95 % intervals, from 40 resamples of patients" in shown
    assert "McNemar" not in shown
    assert "take images, not patients, to be independent" in shown


def test_a_patient_who_is_not_known_is_refused_before_the_reading(run: Path, with_data: WithData) -> None:
    test = np.array(["a", ""] * 12)
    with_data(train_groups=np.array(["x"] * 48), val_groups=np.array(["y"] * 24), test_groups=test)
    assert "12 of 24 images have no patient" in refused(ask(run))
    assert own_readings(run) == []


def test_subgroups_have_a_table_each(run: Path, with_data: WithData) -> None:
    columns = {}
    for split, count in (("train", 48), ("val", 24), ("test", 24)):
        columns[f"{split}_subgroup_sex"] = np.where(np.arange(count) < 21, "f", "m")
        columns[f"{split}_subgroup_scanner"] = np.arange(count) % 2
    with_data(**columns)
    found = answer(run)["subgroups"]
    assert {name: [row["value"] for row in rows] for name, rows in found.items()} == {
        "scanner": ["0", "1"],
        "sex": ["f", "m"],
    }
    assert [(row["images"], row["flag"]) for row in found["sex"]] == [(21, None), (3, "too few to tell")]
    with np.load(run / "evaluation/reading_0001/test_predictions.npz") as stored:
        right = stored["model_0"].argmax(axis=1) == stored["labels"]
    assert found["sex"][0]["accuracy"]["value"] == pytest.approx(right[:21].mean())
    shown = ask(run).stdout
    assert "The ensemble by sex" in shown
    assert "The ensemble by scanner" in shown
    assert "too few to tell" in shown


# -- the command line


def test_json_is_one_document_and_progress_is_on_stderr(run: Path) -> None:
    result = ask(run, "--json")
    document = json.loads(result.stdout)
    assert (document["resamples"], document["images"], document["from_store"]) == (FEW, 24, False)
    assert result.stderr.splitlines() == [
        "Asking 4 networks about 24 test images ...",
        "Measuring 4 models, each 1000 times resampled ...",
    ]
    stored = json.loads((run / "evaluation/reading_0001/scores.json").read_text())
    assert {name: document[name] for name in stored} == stored


def test_the_module_runs_as_a_command(run: Path, command: Callable[..., Command]) -> None:
    first = answer(run)
    code, out, err = command(run, "--json", name="evaluate").finish()
    assert (code, err) == (0, "")
    assert json.loads(out) == {**first, "from_store": True}


def test_a_refusal_is_json_where_json_was_asked_for(found: Path) -> None:
    result = ask(found, "--json")
    assert refused(result)
    assert "has no ensemble" in json.loads(result.stdout)["error"]


def test_help_has_examples_and_unknown_options_name_the_nearest() -> None:
    result = ask("--help")
    assert result.exit_code == 0
    assert "Examples:" in result.output
    assert "medray evaluate runs/organs --again" in result.output
    assert "unknown option '--agian' (did you mean '--again'?)" in refused(ask("x", "--agian"))
    assert "Missing argument 'RUN'" in refused(ask())
    assert "--seed" in refused(ask("x", "--seed", -1))

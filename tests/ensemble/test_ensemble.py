"""The ensemble's folder: loaded anywhere, asked, and refused where it is damaged."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medray import Ensemble
from medray.data.dataset import ImageDataset
from medray.data.load_data import load_data
from medray.decisions.conformal import ConformalSets, calibrate
from medray.decisions.thresholds import Rule, set_point
from medray.ensemble import Prediction
from medray.ensemble.candidates import trial_pool
from medray.ensemble.selection import make_selection
from medray.ensemble.write_ensemble import write_ensemble
from medray.errors import ConfigError, DataError, MedrayError, RunError, WeightsError
from medray.runs.run_facts import DataFacts
from medray.runs.rundir import RunDir
from medray.runs.selection_facts import TOP_K

NAMES = ("liver", "spleen", "heart")


@pytest.fixture(scope="module")
def run(made_run: Path, npz: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run with an ensemble of its best three trials, not calibrated, as a search leaves it."""
    run = RunDir(shutil.copytree(made_run, tmp_path_factory.mktemp("model") / "found").as_posix())
    pool = trial_pool(run, list(run.records()), "max", limit=3)
    selection = make_selection(TOP_K, pool, [(candidate, 1.0) for candidate in pool.candidates[:3]])
    write_ensemble(run, selection, data=DataFacts.of(load_data(str(npz))), metric="auc")
    return run


@pytest.fixture
def folder(run: RunDir, tmp_path: Path) -> Path:
    """The ensemble alone, copied elsewhere."""
    return Path(shutil.copytree(Path(run.location) / "ensemble", tmp_path / "copied"))


def test_it_gives_the_average_of_its_members(folder: Path, run: RunDir, dataset: ImageDataset) -> None:
    ensemble = Ensemble.load(folder)
    images, labels = dataset.split("val").take(np.arange(24))
    prediction = ensemble.predict(images)
    stored = [
        np.load(Path(run.location) / f"trials/{member.trial:04d}/val_predictions.npz")["probabilities"]
        for member in ensemble.manifest.members
    ]
    assert len(stored) == 3
    assert np.allclose(prediction.probabilities, np.mean(stored, axis=0), atol=1e-6)
    assert prediction.probabilities.shape == (24, 3)
    assert prediction.probabilities.dtype == np.float32
    assert np.allclose(prediction.probabilities.sum(axis=1), 1, atol=1e-6)
    accuracy = (prediction.labels == labels).mean()
    assert ensemble.manifest.selected_on.scores["accuracy"] == pytest.approx(accuracy)
    assert prediction.names[0] == ensemble.class_names[prediction.labels[0]]


def test_weights_and_temperature_are_those_of_the_manifest(folder: Path, dataset: ImageDataset) -> None:
    images, _ = dataset.split("val").take(np.arange(24))
    parts = [outputs.probabilities for outputs in Ensemble.load(folder).member_outputs(images)]
    change(folder, lambda m: m["members"][0].update(weight=5) or m.update(temperatures=[2.0]))
    probabilities = Ensemble.load(folder).predict(images).probabilities
    exact = sum(weight * part.astype(np.float64) for weight, part in zip((5, 1 / 3, 1 / 3), parts, strict=True))
    root = np.sqrt(exact / (5 + 2 / 3))
    assert np.allclose(probabilities, root / root.sum(axis=1, keepdims=True), atol=1e-5)


def test_images_of_another_kind_are_refused(folder: Path) -> None:
    ensemble = Ensemble.load(folder)
    for images in (np.zeros((2, 13, 12, 1), np.uint8), np.zeros((2, 12, 12), np.uint8), np.zeros((2, 12, 12, 1))):
        with pytest.raises(DataError, match=r"not uint8 \(N, 12, 12, 1\)"):
            ensemble.predict(images)
    assert ensemble.predict(np.zeros((0, 12, 12, 1), np.uint8)).probabilities.shape == (0, 3)


# -- what is said of an image


def prediction() -> Prediction:
    probabilities = np.array([[0.9, 0.1, 0.0], [0.4, 0.35, 0.25], [0.05, 0.45, 0.5]], dtype=np.float32)
    labels = np.array([0, 1, 2])
    points = [set_point(rule, probabilities, labels, NAMES, "spleen", "val") for rule in (Rule("youden"),
              Rule("sensitivity", 1.0))]  # fmt: skip
    sets = [calibrate(probabilities, labels, coverage, "lac") for coverage in (0.5, 0.75, 0.9)]
    return Prediction(probabilities, NAMES, tuple(points), tuple(sets))


def test_an_operating_point_is_found_by_its_name() -> None:
    answer = prediction()
    threshold = answer.operating_points[1].threshold
    assert answer.decide("sensitivity 1").tolist() == (answer.probabilities[:, 1] >= threshold).tolist()
    assert answer.decide().tolist() == answer.decide("youden").tolist()
    with pytest.raises(
        ConfigError, match=r"unknown operating point 'yuoden' \(did you mean 'youden'\?\); valid: s"
    ):
        answer.decide("yuoden")
    with pytest.raises(ConfigError, match="has no operating point; set one by"):
        Prediction(answer.probabilities, NAMES).decide()


def test_sets_are_found_by_their_coverage() -> None:
    """Three images are too few for 90 %: then every class may be it."""
    answer = prediction()
    assert answer.sets(0.5).tolist() == answer.sets().tolist()
    assert answer.answers(0.5) == ["liver", "liver", "heart"]
    assert answer.sets(0.75).tolist() == [[True, False, False], [True, True, False], [False, True, True]]
    assert answer.answers(0.75) == ["liver", "liver or spleen", "spleen or heart"]
    assert answer.answers(0.9) == ["not sure"] * 3
    with pytest.raises(ConfigError, match=r"no conformal sets for 0\.8; this ensemble has: 0\.5, 0\.75, 0\.9$"):
        answer.sets(0.8)
    with pytest.raises(ConfigError, match="no conformal sets for any coverage; this ensemble has: none"):
        Prediction(answer.probabilities, NAMES).answers()


def test_sets_of_grades_are_said_as_ranges() -> None:
    names = ("0", "1", "2", "3", "4")
    table = np.array([[0.1, 0.3, 0.4, 0.15, 0.05], [0, 0, 0, 0.45, 0.55], [0.9, 0.1, 0, 0, 0], [0.2] * 5])
    sets = ConformalSets("interval", 0.8, 0.8, 50, 50.0, "val", None, None)
    assert Prediction(table, names, (), (sets,)).answers() == ["1 to 3", "3 or 4", "0", "not sure"]


# -- damage


def change(folder: Path, how: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    how(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def refusal(folder: Path) -> MedrayError:
    with pytest.raises(MedrayError) as caught:
        Ensemble.load(folder)
    assert "\n" not in str(caught.value)
    return caught.value


def test_members_that_are_not_those_of_the_manifest_are_refused(folder: Path) -> None:
    member = next((folder / "members").glob("*.safetensors"))
    content = member.read_bytes()
    member.write_bytes(content[:-4] + b"\x00\x00\x00\x01")
    assert "its SHA-256 differs" in str(refusal(folder))
    member.unlink()
    error = refusal(folder)
    assert f"{member.name} is missing" in str(error)
    assert isinstance(error, WeightsError)


def test_a_folder_without_a_manifest_is_none(folder: Path, tmp_path: Path) -> None:
    (folder / "manifest.json").unlink()
    (tmp_path / "empty").mkdir()
    for none in (folder, tmp_path / "empty", tmp_path / "nowhere"):
        assert str(refusal(none)) == f"{none} is no ensemble: it has no manifest.json"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is damaged"),
        ("", "is damaged"),
        ("[]", "is of format None; this medray reads 9"),
        ("{}", "is of format None; this medray reads 9"),
        ('{"format": 99}', "is of format 99; this medray reads 9"),
        ('{"format": 9}', "damaged: it has no 'medray'"),
    ],
)
def test_a_manifest_that_is_none_is_refused(folder: Path, content: str, message: str) -> None:
    (folder / "manifest.json").write_text(content)
    error = refusal(folder)
    assert isinstance(error, RunError)
    assert str(error).replace(": damaged", " damaged").startswith(f"{folder}/manifest.json {message}")


LACKING = (
    "class_names",
    "data",
    "image_aspect",
    "ood",
    "strategy",
    "image_shape",
    "members",
    "temperatures",
    "operating_points",
    "conformal_sets",
)
MEMBER_LACKING = ("trial", "fold", "file", "sha256", "weight", "config")


@pytest.mark.parametrize("key", LACKING)
def test_a_manifest_that_lacks_something_is_refused(folder: Path, key: str) -> None:
    change(folder, lambda manifest: manifest.pop(key))
    assert f"manifest.json: damaged: it has no '{key}'" in str(refusal(folder))


@pytest.mark.parametrize("key", MEMBER_LACKING)
def test_a_member_that_lacks_something_is_refused(folder: Path, key: str) -> None:
    change(folder, lambda manifest: manifest["members"][1].pop(key))
    assert f"manifest.json: members[1]: damaged: it has no '{key}'" in str(refusal(folder))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (lambda m: m.update(temperatures=[0]), "damaged: the temperatures are [0.0]; they must be above 0"),
        (lambda m: m.update(temperatures=["1"]), "damaged: '1' is not a number"),
        (lambda m: m.update(temperatures=[float("nan")]), "damaged: nan is not a number"),
        (lambda m: m["members"].clear(), "it has no members"),
        (lambda m: m["members"].append(3), "members[3]: damaged: 3 is not a mapping"),
        (
            lambda m: m["members"][0].update(weight=-1),
            "members[0]: damaged: the weight is -1.0; it must be above 0",
        ),
        (lambda m: m["members"][0].update(weight=None), "members[0].weight: damaged: None is not a number"),
        (lambda m: m["image_shape"].pop(), "image_shape: damaged: 2 values, not 3"),
        (lambda m: m["members"][0]["config"].update(epochs=-1), "manifest.json: members[0]: damaged: epochs: "),
    ],
)
def test_a_manifest_with_wrong_values_is_refused(
    folder: Path, how: Callable[[dict[str, Any]], object], message: str
) -> None:
    change(folder, how)
    assert message in str(refusal(folder))

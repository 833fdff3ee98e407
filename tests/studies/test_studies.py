"""The six studies that ship, each from its search to its service, as a person types them; on few, small drawings.

No weights can be fetched here: `MEDRAY_WEIGHTS` holds resnet18's alone, drawn at random, so the search does without any
other published backbone, and a baseline of one fails with its reason.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import psutil
import pytest
from click.testing import CliRunner
from PIL import Image

from medray.config import TrainConfig
from medray.crossval.crossval_command import crossval
from medray.data.dataset import ImageDataset
from medray.data.folds import GIVEN, GROUPED, Folds
from medray.data.load_data import load_data
from medray.ensemble.ensemble import Ensemble
from medray.ensemble.ensemble_command import ensemble
from medray.evaluate.evaluate_command import evaluate
from medray.predict.predict_command import predict
from medray.runs.trial_record import FAILED, FINISHED
from medray.search.search_command import search
from medray.space.loading import load_space
from tests.serving.conftest import png
from tests.serving.running import started

Told = dict[str, Any]
IMAGES = 12  # files to predict


@dataclass(frozen=True)
class Study:
    """What is typed: drawings as `options` say, so many `trials` and `epochs`; `failing` are the trials' backbones
    that can't be had. `least_auc` of the test split is asked for where that is large enough to tell.
    """

    name: str
    options: str
    positive: str
    least_auc: float = 0.0
    epochs: int = 2
    seed: int = 0
    trials: int = 3
    folds: int | None = 2
    source: str = "folds"
    failing: dict[int, str] = field(default_factory=dict)

    def load(self) -> ImageDataset:
        return load_data(self.data)

    @property
    def event(self) -> str:
        """What the operating point calls: of ordered grades, `positive` and above."""
        return self.positive + (" or more" if load_space(self.name).task == "ordered" else "")

    @property
    def data(self) -> str:
        return f"phantom:{self.name}?{self.options}"


STUDIES = (
    Study("organs", "images=600", "liver", 0.7, epochs=3),
    Study("covid", "images=240", "COVID"),
    Study(
        "glaucoma", "images=120&size=32", "Abnormal", trials=4, folds=None, source="trials",
        failing={0: "efficientnet_b0", 1: "efficientnet_b0"},
    ),
    Study("bloodcells", "images=200", "EOSINOPHIL"),
    Study("skin", "images=200&size=32", "melanoma"),
    Study("retinopathy", "images=240&size=32", "2"),
)  # fmt: skip
pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("ray_address")]
CASES = [
    pytest.param(study, id=study.name, marks=pytest.mark.slow if study.name == "organs" else pytest.mark.nightly)
    for study in STUDIES
]


@pytest.mark.parametrize("study", CASES)
def test_a_study_from_its_search_to_its_service(study: Study, tmp_path: Path, weights_folder: Path) -> None:
    if study.failing:
        write_weights(weights_folder / "resnet18.safetensors")
    run, dataset = tmp_path / study.name, study.load()
    searched(study, run)
    crossvalidated(study, run, dataset)
    threshold = averaged(study, run)
    evaluated(study, run, dataset, threshold)
    files, wanted = predicted(run, dataset, tmp_path)
    served(run, tmp_path / "home", files[0], wanted[0])


def ask(command: click.Command, *arguments: object) -> Told:
    result = CliRunner().invoke(command, [*map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def write_weights(path: Path) -> None:
    import timm
    from safetensors.torch import save_file

    save_file(timm.create_model("resnet18", num_classes=10).state_dict(), path)


# -- the steps


def searched(study: Study, run: Path) -> None:
    """Every trial ends and is ranked, or fails with a line that says what to do."""
    limits = ("--trials", study.trials, "--max-epochs", study.epochs, "--seed", study.seed)
    found = ask(search, study.name, "--data", study.data, *limits, "--out", run)
    states = {trial["number"]: trial["state"] for trial in found["trials"]}
    assert states == {n: FAILED if n in study.failing else FINISHED for n in range(study.trials)}
    board = pd.read_csv(run / "leaderboard.csv")
    assert board["rank"].dropna().tolist() == list(range(1, study.trials - len(study.failing) + 1))
    for number, backbone in study.failing.items():
        (reason,) = board[board.trial == number].reason
        assert f"{backbone}.safetensors does not exist, and timm's hub does not give them" in reason
        assert reason.endswith("give a local file in `weights`, or `pretrained: false`")
    assert (run / "space.yaml").read_text() == load_space(study.name).text
    for number in set(states) - set(study.failing):
        config = TrainConfig.from_dict(json.loads((run / f"trials/{number:04d}/config.json").read_text()))
        assert config.freeze_epochs < config.epochs <= study.epochs


def crossvalidated(study: Study, run: Path, dataset: ImageDataset) -> None:
    """The best setting, on folds that hold out each image of train and val once, and see none of test."""
    found = ask(crossval, run, "--top", 1, *(("--folds", study.folds) if study.folds else ()))
    best = pd.read_csv(run / "leaderboard.csv").trial[0]
    assert [trial["trial"] for trial in found["trials"]] == [best]
    folds = Folds.from_dict(json.loads((run / "crossval/folds.json").read_text()), "folds.json")
    assert (folds.kind, len(folds)) == ((GROUPED, study.folds) if study.folds else (GIVEN, 10))
    pool = np.sort(np.concatenate([dataset.splits["train"], dataset.splits["val"]]))
    assert np.array_equal(np.sort(np.concatenate([fold.val for fold in folds.folds])), pool)
    for fold in folds.folds:
        assert not np.intersect1d(fold.train, dataset.splits["test"]).size
        assert not np.intersect1d(dataset.groups[fold.train], dataset.groups[fold.val]).size
    assert found["unfinished"] == {}
    assert len(pd.read_csv(run / "crossval/scores.csv")) == len(folds) + 2


def averaged(study: Study, run: Path) -> float:
    """Members, temperature and threshold are chosen on held-out images; return the threshold."""
    found = ask(ensemble, run, "--from", study.source, "--sensitivity", 0.9, "--positive", study.positive)
    manifest = json.loads((run / "ensemble/manifest.json").read_text())
    assert found["selected"]["source"] == study.source
    networks = study.folds if study.source == "folds" else study.trials - len(study.failing)
    assert len(manifest["members"]) == networks
    assert manifest["data"]["fingerprint"] == study.load().fingerprint
    (point,) = found["operating_points"]
    assert manifest["operating_points"] == [point]
    assert (point["event"]["name"], point["set_on"]) == (study.event, "out-of-fold" if study.folds else "val")
    assert point["rates"]["sensitivity"]["value"] >= 0.9
    assert 0 <= point["threshold"] < 1
    return float(point["threshold"])


def evaluated(study: Study, run: Path, dataset: ImageDataset, threshold: float) -> None:
    """The test split is read once; the figures are those of the ensemble as anybody would compute them."""
    first, again = ask(evaluate, run), ask(evaluate, run)
    assert (first["from_store"], again["from_store"]) == (False, True)
    assert first["times_read_by_run"] == again["times_read_by_run"] == 1
    test = dataset.split("test")
    prediction = Ensemble.load(run / "ensemble").predict(dataset.images[dataset.splits["test"]])
    scores = first["models"][0]["scores"]
    right = prediction.probabilities.argmax(1) == test.own_labels
    assert scores["accuracy"]["value"] == pytest.approx(right.mean())
    assert scores["auc"]["value"] >= study.least_auc
    (point,) = first["operating_points"]
    assert point["threshold"] == threshold


def predicted(run: Path, dataset: ImageDataset, folder: Path) -> tuple[list[Path], np.ndarray]:
    """Image files without labels become rows of a table; return the files and what the ensemble says of them."""
    files = [folder / "films" / f"{number:02}.png" for number in range(IMAGES)]
    images = dataset.images[dataset.splits["test"][:IMAGES]]
    files[0].parent.mkdir()
    for file, image in zip(files, images, strict=True):
        file.write_bytes(png(image))
    assert np.array_equal(np.asarray(Image.open(files[1])).reshape(images[1].shape), images[1])
    table = folder / "predicted.csv"
    result = CliRunner().invoke(predict, [str(run), str(files[0].parent), "--csv", str(table)])
    assert result.exit_code == 0, result.output
    rows, wanted = pd.read_csv(table, dtype={"label": str}), Ensemble.load(run / "ensemble").predict(images)
    assert rows.file.tolist() == [str(file) for file in files]
    assert rows.label.tolist() == wanted.names
    assert rows.decision.astype(bool).tolist() == wanted.decide().tolist()
    assert np.allclose(rows[list(dataset.class_names)], wanted.probabilities, atol=1e-5)
    return files, wanted.probabilities


def served(run: Path, home: Path, file: Path, wanted: np.ndarray) -> None:
    """The service says the same of a file, and leaves nothing behind when it is told to end."""
    with started(run, home, "--no-audit") as service:
        family = service.family()
        with service.client() as client:
            told = client.post("/predict", content=file.read_bytes(), headers={"content-type": "image/png"})
        assert told.status_code == 200, told.text
        (answer,) = told.json()["predictions"]
        assert list(answer["probabilities"].values()) == pytest.approx(wanted, abs=1e-5)
        service.process.terminate()
        service.process.wait(60)
    assert service.process.returncode == 0, "".join(service.said)
    assert psutil.wait_procs(family, 20)[1] == []

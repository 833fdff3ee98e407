"""The package as a whole: its public names, and what using them imports."""

from pathlib import Path

import numpy as np
import pytest

import medray
from medray.config import TrainConfig
from medray.data.dataset import ImageDataset
from medray.ensemble.candidates import TRIALS, Candidate, Member, Pool
from medray.ensemble.selection import make_selection
from medray.ensemble.write_ensemble import write_ensemble
from medray.runs.run_facts import DataFacts
from medray.runs.rundir import RunDir
from medray.runs.selection_facts import TOP_K
from medray.runs.trial_record import FINISHED, TrialRecord
from tests.test_layers import loaded

pytestmark = pytest.mark.component


def test_public_names_are_all_there() -> None:
    assert {"Ensemble", "fit", "load_data"} <= set(medray.__all__)
    for name in medray.__all__:
        assert getattr(medray, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Ensembel'"):
        _ = medray.Ensembel  # type: ignore[attr-defined]


@pytest.fixture
def ensemble_folder(tmp_path: Path) -> Path:
    """An ensemble of one untrained network."""
    from medray.training.models import build_network
    from medray.training.weights import write_weights

    config, shape = TrainConfig(), (16, 16, 1)
    run = RunDir(str(tmp_path))
    trial = run.trial(0)
    tensors = build_network(config, shape, 2).state_dict()
    trial.write_by(trial.WEIGHTS, lambda path: write_weights(path, tensors, {}))
    trial.write_json(trial.CONFIG, config.to_dict())
    record = TrialRecord(0, FINISHED, objective=0.5, best_epoch=1)
    probabilities = np.full((4, 2), 0.5, dtype=np.float32)
    classes = ("a", "b")
    labels = np.arange(len(classes))
    images = np.zeros((len(labels), *shape), dtype=np.uint8)
    data = DataFacts.of(ImageDataset(images, labels, classes, {}, "test"))
    candidate = Candidate(0, (Member(record, trial),), probabilities, 0.5)
    selection = make_selection(TOP_K, Pool(TRIALS, [candidate], np.array([0, 1, 0, 1])), [(candidate, 1.0)])
    write_ensemble(run, selection, data=data, metric="accuracy")
    return tmp_path / "ensemble"


def test_an_ensemble_predicts_without_ray(ensemble_folder: Path) -> None:
    code = f"""
import numpy as np
from medray import Ensemble
ensemble = Ensemble.load({str(ensemble_folder)!r})
assert ensemble.predict(np.zeros((3, 16, 16, 1), dtype=np.uint8)).probabilities.shape == (3, 2)
"""
    packages = loaded(code)
    assert "torch" in packages
    assert not packages & {"ray", "optuna", "pandas", "albumentations", "timm", "medmnist", "sklearn"}

"""A linear head is the logistic regression that scikit-learn fits, on whatever scale the features are."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from medray.config import TrainConfig
from medray.data.dataset import ImageDataset
from medray.errors import ConfigError
from medray.training.linear import fit_last_layer
from medray.training.loop import fit

pytestmark = pytest.mark.component


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 999), classes=st.integers(2, 4), strength=st.floats(1e-4, 0.1),
    scale=st.sampled_from([1e-3, 1.0, 300.0]),
)  # fmt: skip
def test_it_is_scikit_learns_logistic_regression(seed: int, classes: int, strength: float, scale: float) -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(seed)
    labels = np.arange(80) % classes
    features = (
        rng.normal(size=(80, 12)) * rng.uniform(1, 2, 12) + 5 + rng.normal(size=(classes, 12))[labels]
    ) * scale
    layer = nn.Linear(12, classes)
    inputs, target = torch.from_numpy(features).float(), torch.from_numpy(labels)
    fit_last_layer(layer, None, inputs, lambda logits: F.cross_entropy(logits, target), strength)
    found = layer(inputs).softmax(dim=1).detach().numpy()

    deviation = features.std(axis=0)
    standard = (features - features.mean(axis=0)) / np.maximum(deviation, np.sort(deviation)[5])
    if classes == 2:  # scikit-learn has one logit there, which equals two with half the penalty each
        model = LogisticRegression(C=2 / (12 * strength * 80), max_iter=5000, tol=1e-8).fit(standard, labels)
    else:
        model = LogisticRegression(C=1 / (12 * strength * 80), max_iter=5000, tol=1e-8).fit(standard, labels)
    assert np.abs(found - model.predict_proba(standard)).max() < 2e-3


def test_a_feature_that_never_varies_has_no_weight() -> None:
    layer, target = nn.Linear(3, 2), torch.tensor([0, 1] * 10)
    inputs = torch.stack([target.float() + 0.1 * torch.rand(20), torch.full((20,), 7.0), torch.rand(20)], dim=1)
    fit_last_layer(layer, None, inputs, lambda logits: F.cross_entropy(logits, target), 0.01)
    assert layer.weight[:, 1].abs().max() < 1e-4
    assert torch.isfinite(layer(inputs)).all()


def trained(dataset: ImageDataset, **values: Any) -> Any:
    config = TrainConfig.from_dict(
        {"backbone": "resnet8_small", "optimizer": "lbfgs", "trainable_blocks": 0, "weight_decay": 0.01, **values}
    )
    return list(fit(config, dataset.split("train"), dataset.split("val")))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"class_balance": "loss", "label_smoothing": 0.1},
        {"class_balance": "sampler"},
        {"pipeline": ({"HorizontalFlip": {}},), "views": 2},
        {"task": "ordered", "loss": "cumulative"},
        {"task": "ordered", "loss": "corn"},
    ],
)
def test_a_training_is_one_epoch_that_beats_chance(dataset: ImageDataset, values: dict[str, Any]) -> None:
    (result,) = trained(dataset, **values)
    assert result.ended_by == "converged"
    assert result.metrics["auc"] > (0.7 if values.get("loss") != "cumulative" else 0.6)  # classes lie on no line


def test_a_resume_finds_it_done(dataset: ImageDataset, tmp_path: Path) -> None:
    from medray.training.weights import state_from_bytes, write_state

    (result,) = trained(dataset)
    write_state(tmp_path / "state", result.state(), {})
    state, _ = state_from_bytes((tmp_path / "state").read_bytes(), "checkpoint")
    config = TrainConfig(backbone="resnet8_small", optimizer="lbfgs", trainable_blocks=0, weight_decay=0.01)
    assert list(fit(config, dataset.split("train"), dataset.split("val"), resume=state)) == []


def test_a_head_of_several_layers_is_refused(dataset: ImageDataset) -> None:
    with pytest.raises(ConfigError, match="optimizer: lbfgs fits one dense layer"):
        trained(dataset, backbone="lenet5")


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"trainable_blocks": 1}, "trainable_blocks"),
        ({"trainable_blocks": None}, "trainable_blocks"),
        ({"mixup": 0.2}, "mixup"),
        ({"dropout": 0.1}, "dropout"),
        ({"head_width": 8}, "head_width"),
        ({"freeze_epochs": 1}, "freeze_epochs"),
        ({"pipeline": ({"HorizontalFlip": {}},), "views": None}, "views"),
    ],
)
def test_what_it_has_not_is_refused(values: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        TrainConfig.from_dict({"optimizer": "lbfgs", "trainable_blocks": 0, "epochs": 5, **values})

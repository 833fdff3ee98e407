"""A training by three processes gives the figures of one."""

from typing import Any

import numpy as np
import pytest

from medray.config import TrainConfig
from medray.data.dataset import ImageDataset, LabelledImages
from tests.label_set_images import LABELS, label_set_arrays
from tests.training.parallel.ranks import Case, Figures, train, train_together
from tests.training.test_case_attention import sign_images

pytestmark = pytest.mark.component

TRANSFORMS = (
    {"HorizontalFlip": {"p": 0.5}},
    {"Rotate": {"limit": 20, "p": 0.7}},
    {"GaussNoise": {"p": 0.5}},
    {"CoarseDropout": {"fill": "random", "p": 0.5}},
)
#: Of 48 images: 15 in a batch leave one of 3, 47 one that joins the others, and 4 more than one for each process.
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {"batch_size": 15, "schedule": "cosine", "precision": "float32"},
    "transforms and mixup": {"pipeline": TRANSFORMS, "mixup": 0.4, "label_smoothing": 0.1, "batch_size": 15},
    "class weights": {"class_balance": "loss", "gradient_clip": 0.5, "batch_size": 47},
    "sampler": {"class_balance": "sampler", "batch_size": 4, "schedule": "plateau", "epochs": 2},
    "fewer images than processes": {"batch_size": 2, "epochs": 1},
    # Adam makes whole steps of gradients that are rounding, as it does with another number of threads.
    "batch norm": {"backbone": "resnet8_small", "optimizer": "sgd", "learning_rate": 0.01, "batch_size": 15},
    "batch norm behind mixup": {
        "backbone": "lenet5_wide_bn", "mixup": 0.4, "optimizer": "sgd", "learning_rate": 0.01, "batch_size": 17,
    },
    "two stages": {
        "backbone": "resnet8_small", "freeze_epochs": 1, "trainable_blocks": 1, "fine_tune_rate": 0.005,
        "optimizer": "sgd", "batch_size": 15,
    },
    "at once": {"backbone": "resnet8_small", "trainable_blocks": 0, "optimizer": "lbfgs", "weight_decay": 0.01},
    "patience": {"epochs": 30, "patience": 2, "min_delta": 1.0, "batch_size": 15},
}  # fmt: skip


def label_sets(count: int, seed: int, unknown: float) -> LabelledImages:
    return LabelledImages(*label_set_arrays(count, seed, unknown), np.arange(count), LABELS)


def rare_first(images: LabelledImages) -> LabelledImages:
    """Two images of the first class, and all others."""
    of_class = images.positions[images.own_labels == 0]
    return LabelledImages(
        images.images, images.labels, np.setdiff1d(images.positions, of_class[2:]), images.class_names
    )


@pytest.fixture(scope="module")
def cases(dataset: ImageDataset) -> dict[str, Case]:
    train, val = dataset.split("train"), dataset.split("val")
    common = {"epochs": 3, "learning_rate": 0.003}
    made: dict[str, Case] = {
        name: (TrainConfig.from_dict({**common, **given}), train, val) for name, given in SETTINGS.items()
    }
    made["class weights"] = (made["class weights"][0], rare_first(train), val)
    several = TrainConfig.from_dict({**common, "task": "several", "class_balance": "loss", "mixup": 0.2})
    made["label sets, some unknown"] = several, label_sets(100, 0, 0.4), label_sets(40, 1, 0.0)
    made["attention"] = TrainConfig.from_dict(common), sign_images(40, 0), sign_images(20, 1)
    return made


@pytest.fixture(scope="module")
def by_three(cases: dict[str, Case], tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Figures]]:
    return train_together(3, tmp_path_factory.mktemp("three"), cases)


@pytest.mark.parametrize("name", [*SETTINGS, "label sets, some unknown", "attention"])
def test_three_processes_give_the_figures_of_one(
    cases: dict[str, Case], by_three: dict[str, list[Figures]], name: str
) -> None:
    alone, together = train(cases[name]), by_three[name]
    for figures in together:
        for key, values in figures.items():
            assert np.array_equal(values, together[0][key]), "each decides by the same figures"
    assert together[0]["ended"] == alone["ended"]
    assert together[0]["losses"] == pytest.approx(alone["losses"], abs=1e-5)
    assert together[0]["probabilities"] == pytest.approx(alone["probabilities"], abs=1e-4)
    assert together[0]["scores"] == pytest.approx(alone["scores"], abs=1e-3)

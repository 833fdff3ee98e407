import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from medray.config import OPTIMIZERS, SCHEDULES, TrainConfig
from medray.data.dataset import ImageDataset, LabelledImages
from medray.errors import TrainingDiverged
from medray.training.loop import EpochResult, fit
from medray.training.predict import predict_images
from medray.training.weights import load_network, state_from_bytes, write_state

pytestmark = pytest.mark.component

FLIP = ({"HorizontalFlip": {"p": 0.5}},)


def train(dataset: ImageDataset, **settings: object) -> list[EpochResult]:
    config = TrainConfig.from_dict({"batch_size": 16, **settings})
    return list(fit(config, dataset.split("train"), dataset.split("val")))


def figures(results: list[EpochResult]) -> list[tuple[object, ...]]:
    return [(r.epoch, r.train_loss, r.metrics, r.learning_rate, r.best_epoch) for r in results]


def test_it_learns(dataset: ImageDataset) -> None:
    last = train(dataset, epochs=8, learning_rate=0.005)[-1]
    assert last.best["auc"] > 0.95
    assert last.ended_by == "epochs"


def test_the_same_seed_gives_the_same_figures_and_another_seed_others(dataset: ImageDataset) -> None:
    settings = {"epochs": 3, "dropout": 0.3, "mixup": 0.4, "pipeline": FLIP, "backbone": "resnet8_small"}
    first, again = train(dataset, **settings, seed=1), train(dataset, **settings, seed=1)
    assert figures(first) == figures(again)
    for name, tensor in first[-1].best_network.items():
        assert torch.equal(tensor, again[-1].best_network[name])
    assert figures(first) != figures(train(dataset, **settings, seed=2))


def test_two_trainings_in_one_process_do_not_disturb_each_other(dataset: ImageDataset) -> None:
    config = TrainConfig(batch_size=16, epochs=3, dropout=0.5, mixup=0.2)
    slices = dataset.split("train"), dataset.split("val")
    alone = figures(list(fit(config, *slices)))
    pairs = list(zip(fit(config, *slices), fit(dataclasses.replace(config, seed=9), *slices), strict=True))
    assert figures([pair[0] for pair in pairs]) == alone


@pytest.mark.parametrize(("optimizer", "schedule"), list(itertools.product(OPTIMIZERS, SCHEDULES)))
def test_a_resumed_training_gives_the_figures_of_an_unbroken_one(
    dataset: ImageDataset, optimizer: str, schedule: str, tmp_path: Path
) -> None:
    config = TrainConfig(
        backbone="lenet5_wide_bn" if optimizer in ("adam", "sgd") else "lenet5",
        optimizer=optimizer, schedule=schedule, epochs=4, batch_size=16, dropout=0.3, mixup=0.2,
        class_balance="sampler", pipeline=FLIP, gradient_clip=1.0, learning_rate=0.002,
    )  # fmt: skip
    slices = dataset.split("train"), dataset.split("val")
    unbroken = list(fit(config, *slices))
    broken = fit(config, *slices)
    next(broken)
    write_state(tmp_path / "checkpoint", next(broken).state(), {"note": 1})
    state, facts = state_from_bytes((tmp_path / "checkpoint").read_bytes(), "checkpoint")
    assert facts == {"note": 1}
    resumed = list(fit(config, *slices, resume=state))
    assert figures(resumed) == figures(unbroken[2:])
    assert np.array_equal(resumed[-1].best_outputs.probabilities, unbroken[-1].best_outputs.probabilities)


def test_best_epoch_is_the_best_and_its_weights_are_kept(dataset: ImageDataset) -> None:
    config = TrainConfig(batch_size=16, epochs=6, learning_rate=0.02, monitor="accuracy")
    val = dataset.split("val")
    results = list(fit(config, dataset.split("train"), val))
    last = results[-1]
    assert last.best["accuracy"] == max(r.metrics["accuracy"] for r in results)
    assert last.best == results[last.best_epoch - 1].metrics
    network = load_network(config, dataset.shape, 3, last.best_network, "best")
    assert np.array_equal(
        predict_images(network, val, torch.device("cpu")).probabilities,
        results[last.best_epoch - 1].best_outputs.probabilities,
    )


def test_a_minimised_metric_keeps_the_lowest(dataset: ImageDataset) -> None:
    results = train(dataset, epochs=5, monitor="log_loss", learning_rate=0.01)
    assert results[-1].best["log_loss"] == min(r.metrics["log_loss"] for r in results)


def test_patience_counts_epochs_that_bring_less_than_min_delta(dataset: ImageDataset) -> None:
    results = train(dataset, epochs=50, patience=3, min_delta=1.0, monitor="accuracy")
    assert len(results) == 4  # the first sets the mark, three do not beat it by 1.0
    assert results[-1].ended_by == "patience"
    assert [r.ended_by for r in results[:-1]] == [None] * 3


def test_batch_norm_is_judged_by_statistics_of_its_present_weights(dataset: ImageDataset) -> None:
    """Running averages would still be at their start after the 3 batches of an epoch."""
    first = train(dataset, backbone="lenet5_wide_bn", epochs=1, learning_rate=0.003)[0]
    assert first.metrics["log_loss"] < 1.5 * first.train_loss
    assert first.metrics["auc"] > 0.8


@pytest.mark.parametrize("settings", [{"optimizer": "sgd", "learning_rate": 10.0, "momentum": 0.99}])
def test_a_diverging_loss_ends_the_training_with_its_reason(
    dataset: ImageDataset, settings: dict[str, object]
) -> None:
    with pytest.raises(TrainingDiverged, match=r"(exploded|became nan|became NaN|became inf)"):
        train(dataset, epochs=30, backbone="lenet5_wide", **settings)


def imbalanced(dataset: ImageDataset) -> tuple[LabelledImages, LabelledImages]:
    whole = dataset.split("train")
    rare = [p for p in whole.positions if dataset.labels[p] != 0] + [
        p for p in whole.positions if dataset.labels[p] == 0
    ][:2]
    return dataclasses.replace(whole, positions=np.array(rare)), dataset.split("val")


@pytest.mark.parametrize("balance", ["loss", "sampler"])
def test_balancing_raises_the_probability_of_the_rare_class(dataset: ImageDataset, balance: str) -> None:
    def trust(class_balance: str) -> float:
        train_split, val = imbalanced(dataset)
        config = TrainConfig(batch_size=8, epochs=6, class_balance=class_balance, monitor="log_loss")
        last = list(fit(config, train_split, val))[-1]
        return float(last.best_outputs.probabilities[val.own_labels == 0, 0].mean())

    assert trust(balance) > trust("none")


def test_nothing_writes_to_the_shared_images(dataset: ImageDataset) -> None:
    before = dataset.images.copy()
    train(dataset, epochs=2, pipeline=({"HorizontalFlip": {"p": 1.0}},), mixup=0.5)
    assert np.array_equal(dataset.images, before)


@pytest.mark.parametrize("batch_size", [1, 47, 48, 500])
def test_any_batch_size_trains_with_batch_norm(dataset: ImageDataset, batch_size: int) -> None:
    if batch_size == 1:
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            train(dataset, epochs=1, batch_size=1, backbone="lenet5_wide_bn")
        return
    assert len(train(dataset, epochs=1, batch_size=batch_size, backbone="lenet5_wide_bn")) == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_it_learns_on_a_gpu(dataset: ImageDataset) -> None:
    config = TrainConfig(batch_size=16, epochs=8, learning_rate=0.005)
    results = list(fit(config, dataset.split("train"), dataset.split("val"), device="cuda"))
    assert results[-1].best["auc"] > 0.95

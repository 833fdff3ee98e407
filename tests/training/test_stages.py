"""A frozen backbone, then fine-tuning: what learns when, at which rate, and that a resume changes nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from medray.config import OPTIMIZERS, SCHEDULES, TrainConfig
from medray.data.dataset import ImageDataset
from medray.errors import ConfigError
from medray.training.loop import EpochResult, fit
from medray.training.models import build_network, parts_of
from medray.training.stages import stages_of
from medray.training.state import TrainState
from medray.training.weights import state_from_bytes, write_state

pytestmark = pytest.mark.component

FLIP = ({"HorizontalFlip": {"p": 0.5}},)


def slices(dataset: ImageDataset) -> tuple[Any, Any]:
    return dataset.split("train"), dataset.split("val")


def snapshots(dataset: ImageDataset, config: TrainConfig) -> Iterator[dict[str, Tensor]]:
    """The backbone after each epoch."""
    for result in fit(config, *slices(dataset)):
        network = result.state().network
        yield {n.removeprefix("backbone."): t.clone() for n, t in network.items() if n.startswith("backbone.")}


def donor(folder: Path, backbone: str) -> dict[str, Tensor]:
    """A file of starting weights whose normalisations have seen something."""
    network = build_network(TrainConfig(backbone=backbone), (12, 12, 1), 3).train()
    network(torch.rand(32, 1, 12, 12))
    tensors = network.get_submodule("backbone").state_dict()
    save_file(tensors, folder / f"{backbone}.safetensors")
    return tensors


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    backbone=st.sampled_from(["lenet5", "lenet5_wide_bn", "resnet8_small"]),
    optimizer=st.sampled_from(OPTIMIZERS),
    freeze_epochs=st.integers(0, 2),
    trainable_blocks=st.none() | st.integers(0, 2),
)
def test_what_is_frozen_does_not_change_by_a_bit_and_all_else_learns(
    dataset: ImageDataset, tmp_path: Path, backbone: str, optimizer: str, freeze_epochs: int, trainable_blocks: int | None
) -> None:  # fmt: skip
    before = donor(tmp_path, backbone)
    config = TrainConfig(
        backbone=backbone, weights=str(tmp_path), optimizer=optimizer, freeze_epochs=freeze_epochs, epochs=3,
        trainable_blocks=trainable_blocks, weight_decay=0.1, batch_size=16, dropout=0.2, mixup=0.2, learning_rate=0.003,
    )  # fmt: skip
    parts = parts_of(build_network(config, dataset.shape, 3).get_submodule("backbone"))
    for epoch, after in enumerate(snapshots(dataset, config), start=1):
        frozen = parts.frozen(0 if epoch <= freeze_epochs else trainable_blocks)
        for name, tensor in after.items():
            if name in frozen:
                assert torch.equal(tensor, before[name]), (epoch, name)
            elif tensor.ndim > 1 or name.endswith("running_mean"):  # a bias before a BatchNorm need not move
                assert not torch.equal(tensor, before[name]), (epoch, name)
        before = after


@pytest.mark.parametrize(("freeze_epochs", "trainable_blocks"), [(0, 0), (1, 0), (1, 1), (2, None)])
def test_what_no_epoch_changes_is_named_and_not_copied(
    dataset: ImageDataset, tmp_path: Path, freeze_epochs: int, trainable_blocks: int | None
) -> None:
    donor(tmp_path, "lenet5_wide_bn")
    config = TrainConfig(
        backbone="lenet5_wide_bn", weights=str(tmp_path), freeze_epochs=freeze_epochs, epochs=3, batch_size=16,
        trainable_blocks=trainable_blocks, learning_rate=0.01,
    )  # fmt: skip
    results = [(r, r.state().network) for r in fit(config, *slices(dataset))]
    frozen = parts_of(build_network(config, dataset.shape, 3).get_submodule("backbone")).frozen(trainable_blocks)
    for result, network in results:
        assert result.untrained == {f"backbone.{name}" for name in frozen}
        for name, tensor in result.best_network.items():
            assert (tensor.data_ptr() == network[name].data_ptr()) == (name in result.untrained), name


@pytest.mark.parametrize("trainable_blocks", [0, 2])
def test_networks_of_timm_are_frozen_and_thawed_by_their_stages(
    dataset: ImageDataset, tmp_path: Path, trainable_blocks: int
) -> None:
    before = donor(tmp_path, "resnet10t")
    config = TrainConfig(
        backbone="resnet10t", weights=str(tmp_path), freeze_epochs=1, epochs=2, batch_size=16, head_width=4,
        trainable_blocks=trainable_blocks, learning_rate=0.01,
    )  # fmt: skip
    head, last = snapshots(dataset, config)
    thawed = ("fc.", "layer4.", "layer3.")[: trainable_blocks + 1]
    moved = {name for name, tensor in last.items() if not torch.equal(tensor, head[name])}
    assert moved
    assert all(name.startswith(thawed) for name in moved)
    assert all(torch.equal(head[name], tensor) for name, tensor in before.items() if not name.startswith("fc."))
    assert (f"{thawed[-1]}0.bn1.running_mean" in moved) == bool(trainable_blocks)


def resumed(config: TrainConfig, dataset: ImageDataset, state: TrainState, path: Path) -> Iterator[EpochResult]:
    """Go on from a state that was written and read again."""
    write_state(path, state, {})
    read, _ = state_from_bytes(path.read_bytes(), "checkpoint")
    return fit(config, *slices(dataset), resume=read)


@pytest.mark.parametrize(
    ("schedule", "optimizer", "trainable_blocks"),
    [*((schedule, "adamw", 1) for schedule in SCHEDULES), ("one_cycle", "sgd", None), ("cosine", "rmsprop", 0)],
)
def test_a_resume_before_at_and_after_the_change_of_stage_changes_nothing(
    dataset: ImageDataset, tmp_path: Path, schedule: str, optimizer: str, trainable_blocks: int | None
) -> None:
    config = TrainConfig(
        backbone="lenet5_wide_bn", optimizer=optimizer, schedule=schedule, epochs=5, freeze_epochs=2, batch_size=16,
        trainable_blocks=trainable_blocks, fine_tune_rate=0.0005, learning_rate=0.002, mixup=0.2, dropout=0.3,
        class_balance="sampler", pipeline=FLIP, gradient_clip=1.0, step_epochs=1, patience=4,
    )  # fmt: skip
    unbroken, states = [], []
    for number, result in enumerate(fit(config, *slices(dataset)), start=1):
        unbroken.append((figures(result), result.best_network))
        path = tmp_path / f"{number}"
        write_state(path, result.state(), {})
        states.append(path.read_bytes())
    for number in (1, 2, 3):
        state, _ = state_from_bytes(states[number - 1], "checkpoint")
        found = list(fit(config, *slices(dataset), resume=state))
        assert [figures(r) for r in found] == [wanted for wanted, _ in unbroken[number:]]
        assert same(found[-1].best_network, unbroken[-1][1])
    # Interrupted after every epoch.
    result = next(fit(config, *slices(dataset)))
    for wanted, best in unbroken[1:]:
        result = next(resumed(config, dataset, result.state(), tmp_path / "each"))
        assert figures(result) == wanted
        assert same(result.best_network, best)


def figures(result: EpochResult) -> tuple[object, ...]:
    return (
        result.epoch,
        result.train_loss,
        result.metrics,
        result.learning_rate,
        result.best_epoch,
        result.ended_by,
    )


def same(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> bool:
    return found.keys() == wanted.keys() and all(torch.equal(t, wanted[n]) for n, t in found.items())


def rates(dataset: ImageDataset, **given: Any) -> list[float]:
    config = TrainConfig(batch_size=16, learning_rate=0.01, **given)
    return [result.learning_rate for result in fit(config, *slices(dataset))]


def test_each_stage_has_its_rate_and_its_schedule_begins_anew(dataset: ImageDataset) -> None:
    assert rates(dataset, epochs=4, freeze_epochs=2, fine_tune_rate=0.001) == [0.01, 0.01, 0.001, 0.001]
    assert rates(dataset, epochs=3, freeze_epochs=1) == [0.01, 0.01, 0.01]
    cosine = rates(dataset, epochs=4, freeze_epochs=2, fine_tune_rate=0.001, schedule="cosine")
    assert cosine == pytest.approx([0.01, 0.005, 0.001, 0.0005])


def test_a_step_every_so_many_epochs(dataset: ImageDataset) -> None:
    """Report 004: a lower rate every 7 epochs."""
    found = rates(dataset, epochs=15, schedule="step", step_epochs=7, step_factor=0.5, optimizer="sgd")
    assert found == pytest.approx([0.01] * 7 + [0.005] * 7 + [0.0025])
    thirds = rates(dataset, epochs=6, schedule="step")
    assert thirds == pytest.approx([0.01, 0.01, 0.001, 0.001, 0.0001, 0.0001])
    staged = rates(dataset, epochs=5, freeze_epochs=2, schedule="step", step_epochs=2)
    assert staged == pytest.approx([0.01, 0.01, 0.01, 0.01, 0.001])


def test_patience_begins_with_the_first_epoch_of_fine_tuning(dataset: ImageDataset) -> None:
    config = TrainConfig(batch_size=16, epochs=50, freeze_epochs=6, patience=2, min_delta=1.0, monitor="accuracy")
    results = list(fit(config, *slices(dataset)))
    assert len(results) == 6 + 3  # the seventh sets the mark, two do not beat it by 1.0
    assert results[-1].ended_by == "patience"


def test_the_best_epoch_is_the_best_of_both_stages(dataset: ImageDataset) -> None:
    config = TrainConfig(
        batch_size=16, epochs=6, freeze_epochs=4, learning_rate=0.01, fine_tune_rate=0.06, optimizer="adam",
        monitor="log_loss",
    )  # fmt: skip
    results = list(fit(config, *slices(dataset)))
    losses = [result.metrics["log_loss"] for result in results]
    assert results[-1].best_epoch == losses.index(min(losses)) + 1
    assert results[-1].best_epoch <= 4


def test_all_parameters_are_counted_frozen_or_not(dataset: ImageDataset) -> None:
    frozen = TrainConfig(batch_size=16, epochs=1, trainable_blocks=0)
    (result,) = fit(frozen, *slices(dataset))
    assert result.parameters == build_network(frozen, dataset.shape, 3).parameter_count()


def test_more_blocks_than_there_are_end_a_training_before_it_begins(dataset: ImageDataset) -> None:
    config = TrainConfig(trainable_blocks=3, freeze_epochs=2, epochs=9)
    with pytest.raises(ConfigError, match="trainable_blocks: 3, but the backbone has 2"):
        next(fit(config, *slices(dataset)))


@given(freeze_epochs=st.integers(0, 50), after=st.integers(1, 50), tuned=st.none() | st.floats(1e-6, 1.0))
def test_the_stages_are_all_the_epochs(freeze_epochs: int, after: int, tuned: float | None) -> None:
    tuned = tuned if freeze_epochs else None
    config = TrainConfig(epochs=freeze_epochs + after, freeze_epochs=freeze_epochs, fine_tune_rate=tuned)
    stages = stages_of(config)
    assert sum(stage.epochs for stage in stages) == config.epochs
    assert stages[-1].rate == (tuned or config.learning_rate)
    assert [stage.trainable_blocks for stage in stages] == ([0, None] if freeze_epochs else [None])

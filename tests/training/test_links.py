"""Links: log-probabilities of ordered grades, against their formulas and at their extremes, and in trainings."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medray._types import Array
from medray.config import TrainConfig
from medray.tasks import ORDERED
from medray.training.loop import fit
from medray.training.models.links import LEAST_GAP, LINKS, SPEED, Corn, Cumulative, Link
from medray.training.weights import load_network, state_from_bytes, write_state
from tests.graded_samples import graded

EVERY_LINK = pytest.mark.parametrize("name", LINKS)
EVERY_LOSS = pytest.mark.parametrize("loss", ORDERED.losses)
GRADES = st.integers(3, 8)
SEEDS = st.integers(0, 2**32 - 1)


def sigmoid(values: Array) -> Array:
    return 1 / (1 + np.exp(-values))


def drawn(name: str, grades: int, seed: int) -> tuple[Link, torch.Tensor]:
    """A link with drawn parameters, and scores for it."""
    generator = torch.Generator().manual_seed(seed)
    link = LINKS[name](grades)
    with torch.no_grad():
        for parameter in link.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    return link, 3 * torch.randn((20, link.outputs), generator=generator)


def cut_points(link: Cumulative) -> Array:
    gaps = np.logaddexp(0, SPEED * link.gaps.detach().double().numpy()) + LEAST_GAP
    return SPEED * link.first.item() + np.concatenate([[0.0], gaps.cumsum()])


def by_formula(link: Link, scores: Array) -> Array:
    """Probabilities as the papers write them: differences and products of sigmoids, float64 (n, grades)."""
    cumulative = isinstance(link, Cumulative)
    above = sigmoid(scores - cut_points(link)) if cumulative else sigmoid(scores).cumprod(axis=1)
    return -np.diff(np.column_stack([np.ones(len(scores)), above, np.zeros(len(scores))]), axis=1)


@EVERY_LINK
@settings(max_examples=40)
@given(grades=GRADES, seed=SEEDS)
def test_probabilities_are_those_of_the_formulas_and_sum_to_1(name: str, grades: int, seed: int) -> None:
    link, scores = drawn(name, grades, seed)
    log_probabilities = link(scores)
    assert log_probabilities.dtype == torch.float32
    assert log_probabilities.shape == (20, grades)
    probabilities = log_probabilities.exp().detach().double().numpy()
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(20), abs=1e-5)
    assert probabilities == pytest.approx(by_formula(link, scores.double().numpy()), abs=1e-6)
    assert log_probabilities.softmax(1).detach().numpy() == pytest.approx(probabilities, abs=1e-5)


@EVERY_LINK
@pytest.mark.parametrize("size", [0.0, 30.0, 1e3, 1e4])
def test_extreme_scores_have_finite_losses_and_gradients_for_every_grade(name: str, size: float) -> None:
    for grade in range(5):
        link = LINKS[name](5)
        scores = torch.cat([torch.full((1, link.outputs), sign * size) for sign in (-1, 1)]).requires_grad_()
        loss = torch.nn.functional.cross_entropy(link(scores), torch.full((2,), grade))
        loss.backward()
        assert torch.isfinite(loss)
        for tensor in (scores, *link.parameters()):
            assert tensor.grad is not None
            assert torch.isfinite(tensor.grad).all()


@settings(max_examples=40)
@given(grades=GRADES, seed=SEEDS, size=st.sampled_from([0.1, 10.0, 1000.0]))
def test_cut_points_rise_whatever_the_parameters_so_a_higher_score_is_a_higher_grade(
    grades: int, seed: int, size: float
) -> None:
    link, _ = drawn("cumulative", grades, seed)
    assert isinstance(link, Cumulative)
    with torch.no_grad():
        link.gaps.mul_(size)
    assert (np.diff(cut_points(link)) > 0.99 * LEAST_GAP).all()
    above = 1 - link(torch.linspace(-6, 6, 25)[:, None]).exp().detach().double().numpy().cumsum(axis=1)[:, :-1]
    assert (np.diff(above, axis=0) >= -1e-6).all()
    assert (np.diff(above, axis=1) <= 1e-6).all()


@settings(max_examples=40)
@given(st.lists(st.integers(5, 60), min_size=3, max_size=8))
def test_a_score_of_0_starts_with_each_grades_share_of_the_training_images(counts: list[int]) -> None:
    shares = torch.tensor(counts) / sum(counts)
    link = Cumulative(len(counts))
    link.start(shares)
    assert link(torch.zeros(1, 1)).exp()[0].detach().numpy() == pytest.approx(shares.numpy(), abs=0.011)


def test_a_grade_of_nearly_no_image_starts_with_room() -> None:
    link = Cumulative(4)
    link.start(torch.tensor([0.5, 0.0, 0.0, 0.5]))
    probabilities = link(torch.zeros(1, 1)).exp()[0]
    assert torch.isfinite(link.gaps).all()
    assert (probabilities > 0).all()


def test_corn_has_no_parameters_and_a_logit_less_than_grades() -> None:
    assert list(Corn(5).parameters()) == []
    assert Corn(5).outputs == 4


# -- trainings


@pytest.mark.component
@EVERY_LOSS
def test_every_loss_learns_easy_grades(loss: str) -> None:
    dataset = graded()
    config = TrainConfig(
        task="ordered", loss=loss, monitor="quadratic_kappa", batch_size=16, epochs=10, learning_rate=0.005
    )  # fmt: skip
    last = list(fit(config, dataset.split("train"), dataset.split("val")))[-1]
    assert last.best["quadratic_kappa"] > 0.9
    assert last.best_outputs.probabilities.sum(axis=1) == pytest.approx(np.ones(24), abs=1e-5)
    network = load_network(config, dataset.shape, 4, last.best_network, "best")
    assert ("link" in dict(network.named_children())) == (loss in LINKS)


@pytest.mark.component
@EVERY_LOSS
def test_a_resumed_training_gives_the_figures_of_an_unbroken_one(loss: str, tmp_path: Path) -> None:
    dataset = graded()
    config = TrainConfig(
        task="ordered", loss=loss, monitor="grade_error", backbone="lenet5_wide_bn", batch_size=16, epochs=4,
        dropout=0.3, mixup=0.2, class_balance="loss", learning_rate=0.002, gradient_clip=1.0,
    )  # fmt: skip
    slices = dataset.split("train"), dataset.split("val")
    unbroken = list(fit(config, *slices))
    broken = fit(config, *slices)
    next(broken)
    write_state(tmp_path / "checkpoint", next(broken).state(), {})
    state, _ = state_from_bytes((tmp_path / "checkpoint").read_bytes(), "checkpoint")
    resumed = list(fit(config, *slices, resume=state))
    assert [(r.train_loss, r.metrics) for r in resumed] == [(r.train_loss, r.metrics) for r in unbroken[2:]]
    assert np.array_equal(resumed[-1].best_outputs.probabilities, unbroken[-1].best_outputs.probabilities)


@pytest.mark.component
def test_losses_differ_in_the_network_that_they_make() -> None:
    dataset = graded(48)
    config = TrainConfig(task="ordered", monitor="quadratic_kappa", batch_size=16, epochs=1)
    counts = {}
    for loss in ORDERED.losses:
        fitted = fit(dataclasses.replace(config, loss=loss), dataset.split("train"), dataset.split("val"))
        counts[loss] = list(fitted)[-1].parameters
    assert counts["cross_entropy"] > counts["corn"] > counts["cumulative"]

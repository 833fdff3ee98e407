"""The loss of several labels an image: what is unknown teaches nothing, a weight moves no probability."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from medray.config import TrainConfig
from medray.data.dataset import ImageDataset, LabelledImages
from medray.errors import DataError
from medray.training.check import check_classes
from medray.training.check_slices import check_slices
from medray.training.loop import fit
from medray.training.optim import MOST_WEIGHT, epoch_order, label_weights, loss_weight, mixed_loss
from tests.label_set_images import LABELS, label_set_arrays

PLAIN = TrainConfig(task="several")


def slice_of(labels: np.ndarray) -> LabelledImages:
    images = np.zeros((len(labels), 8, 8, 1), dtype=np.uint8)
    return LabelledImages(images, labels, np.arange(len(labels)), tuple("abcdef"[: labels.shape[1]]))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(0, 0.2))
def test_it_is_the_mean_over_the_answers_that_are_known(seed: int, smoothing: float) -> None:
    rng = np.random.default_rng(seed)
    labels = torch.from_numpy(rng.integers(-1, 2, size=(5, 3)))
    logits = torch.from_numpy(rng.normal(size=(5, 3))).requires_grad_()
    config = TrainConfig(task="several", label_smoothing=smoothing)
    loss = mixed_loss(torch.nn.Identity(), logits, labels, config, None, 1.0)
    known = labels >= 0
    targets = labels.clamp_min(0).float() * (1 - smoothing) + smoothing / 2
    expected = F.binary_cross_entropy_with_logits(logits.float()[known], targets[known]) if known.any() else 0.0
    assert float(loss.detach()) == pytest.approx(float(torch.as_tensor(expected).detach()), rel=1e-5)
    loss.backward()
    assert logits.grad is not None
    assert (logits.grad[~known] == 0).all()


def test_a_rare_label_weighs_more_and_its_probability_stays_its_share() -> None:
    labels = np.zeros((1000, 2), dtype=np.int64)
    labels[:50, 0] = labels[:400, 1] = 1
    train = slice_of(labels)
    weight = loss_weight(TrainConfig(task="several", class_balance="loss"), train, torch.device("cpu"))
    assert weight is not None
    assert weight.tolist() == pytest.approx([19.0, 1.5])
    bias = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.LBFGS([bias], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = mixed_loss(torch.nn.Identity(), bias.expand(1000, 2), torch.from_numpy(labels), PLAIN, weight, 1.0)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    assert bias.detach().sigmoid().tolist() == pytest.approx([0.05, 0.4], abs=1e-3)


def test_weights_are_bounded_and_1_where_a_label_is_not_told() -> None:
    labels = np.zeros((500, 3), dtype=np.int64)
    labels[0, 0] = 1
    labels[:, 2] = -1
    assert label_weights(slice_of(labels)).tolist() == [MOST_WEIGHT, 1.0, 1.0]


def test_the_sampler_draws_rare_labels_and_images_of_none() -> None:
    labels = np.zeros((1000, 2), dtype=np.int64)
    labels[:10, 0] = labels[100:700, 1] = 1
    config = TrainConfig(task="several", class_balance="sampler")
    order = epoch_order(config, slice_of(labels), np.random.default_rng(0))
    assert np.mean(order < 10) > 0.2
    assert np.mean(labels[order].sum(axis=1) == 0) > 0.15


def test_a_fold_may_lack_a_label_but_a_search_may_not() -> None:
    images, labels = label_set_arrays(60)
    labels[:40, 2] = 0
    parts = {"train": np.arange(40), "val": np.arange(40, 60)}
    dataset = ImageDataset(images, labels, LABELS, parts, "marks")
    with pytest.raises(DataError, match="split 'train' has no image of stripe, so no model can be trained on it"):
        check_classes(dataset)
    check_slices(dataset.split("train"), dataset.split("val"), "auc")
    config = TrainConfig(task="several", backbone="resnet8_small", epochs=1, batch_size=16)
    (epoch,) = list(fit(config, dataset.split("train"), dataset.split("val")))
    assert 0 < epoch.metrics["auc"] < 1
    labels[:] = 0
    with pytest.raises(DataError, match="split 'train': no label has images with it and images without it"):
        check_slices(dataset.split("train"), dataset.split("val"), "auc")

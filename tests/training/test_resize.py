"""A network that sees images at a size of its own: the same input from kept images and from the data set's."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from medray._types import Array
from medray.config import TrainConfig
from medray.data.dataset import ImageDataset
from medray.data.resampling import shrink, shrinks
from medray.data.smaller_images import keep_smaller
from medray.training.images import evaluation_batch, to_input
from medray.training.loop import EpochResult, fit
from medray.training.models import Resize, build_network
from medray.training.predict import predict_images
from medray.training.weights import load_network

CPU = torch.device("cpu")
SIDES = st.integers(1, 70)


def noise(count: int, height: int, width: int, channels: int = 1, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, channels), dtype=np.uint8)


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from([1, 3]), st.integers(0, 99), st.booleans())
def test_an_image_that_shrinks_is_to_the_last_bit_the_one_that_is_kept(
    height: int, width: int, h: int, w: int, channels: int, seed: int, known: bool
) -> None:
    images, before = noise(2, height, width, channels, seed), (height, width)
    resized = Resize(before if known else (9, 9), (h, w))(to_input(images, CPU))
    assert resized.shape == (2, channels, h, w)
    assert resized.dtype == torch.float32
    if shrinks(before, (h, w)):
        assert torch.equal(resized, to_input(shrink(images, (h, w)), CPU))
    else:
        assert 0 <= resized.min() <= resized.max() <= 1 + 1e-6


@settings(max_examples=30, deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 255))
def test_an_image_of_one_level_stays_one(height: int, width: int, h: int, w: int, level: int) -> None:
    image = np.full((1, height, width, 1), level, dtype=np.uint8)
    assert torch.allclose(
        Resize((height, width), (h, w))(to_input(image, CPU)), torch.tensor(level / 255), atol=1e-6
    )


def test_enlarging_is_bilinear_and_the_size_itself_passes_unchanged() -> None:
    images = to_input(noise(3, 12, 10, 3), CPU)
    expected = nn.functional.interpolate(images, (30, 25), mode="bilinear", align_corners=False)
    assert torch.allclose(Resize((12, 10), (30, 25))(images), expected, atol=2e-5)
    assert Resize((40, 30), (12, 10))(images) is images


def test_autocast_does_not_touch_it() -> None:
    images, resize = noise(2, 50, 40, 3), Resize((50, 40), (31, 22))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(resize(to_input(images, CPU)), to_input(shrink(images, (31, 22)), CPU))
        enlarged = Resize((50, 40), (70, 60))(to_input(images, CPU))
    assert torch.allclose(enlarged, Resize((50, 40), (70, 60))(to_input(images, CPU)), atol=1e-6)


def test_its_weights_are_no_part_of_the_file_and_the_description_tells_sizes_apart() -> None:
    plain, sized = (build_network(TrainConfig(image_size=s), (12, 12, 1), 3) for s in (None, 8))
    assert plain.state_dict().keys() == sized.state_dict().keys()
    assert str(sized) != str(build_network(TrainConfig(image_size=8), (16, 16, 1), 3))
    assert (plain.input_size((12, 12)), sized.input_size((12, 12))) == ((12, 12), (8, 8))
    wide = build_network(TrainConfig(image_size=20), (30, 40, 3), 2)
    assert wide.input_size((30, 40)) == (15, 20)


def test_the_batch_of_an_evaluation_follows_the_larger_size() -> None:
    sizes = (None, 14, 224)
    plain, small, large = (
        build_network(TrainConfig(backbone="resnet10t", image_size=s), (28, 28, 1), 2) for s in sizes
    )
    assert [evaluation_batch(n, (28, 28, 1)) for n in (plain, small, large)] == [256, 256, 16]


def last(config: TrainConfig, dataset: ImageDataset) -> EpochResult:
    return list(fit(config, dataset.split("train"), dataset.split("val")))[-1]


@pytest.mark.parametrize("more", [{}, {"mixup": 0.4, "pipeline": ({"HorizontalFlip": {"p": 0.5}},)}])
def test_a_training_is_the_same_whether_a_smaller_size_is_kept_or_not(
    dataset: ImageDataset, more: dict[str, Any]
) -> None:
    config = TrainConfig(image_size=7, epochs=2, batch_size=16, **more)
    by_hand, kept = last(config, dataset), last(config, keep_smaller(dataset, [7]))
    assert by_hand.train_loss == kept.train_loss
    assert by_hand.metrics == kept.metrics
    assert all(torch.equal(tensor, kept.best_network[name]) for name, tensor in by_hand.best_network.items())
    assert last(TrainConfig(epochs=2, batch_size=16, **more), dataset).train_loss != kept.train_loss


@pytest.mark.parametrize("image_size", [7, 12, 20, None])
def test_a_trained_network_answers_images_of_the_data_sets_size_as_validation_measured(
    dataset: ImageDataset, image_size: int | None
) -> None:
    config = TrainConfig(image_size=image_size, epochs=1, batch_size=16)
    result = last(config, keep_smaller(dataset, [7]))
    network = load_network(config, dataset.shape, 3, result.best_network, "it")
    again = predict_images(network, dataset.split("val"), CPU).probabilities
    assert (again == result.best_outputs.probabilities).all()


def test_transforms_see_the_networks_size_where_it_is_smaller_and_the_images_where_it_is_larger(
    dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medray.training import feeds

    seen = set()
    transform = feeds.Augmenter.__call__

    def watched(self: Any, images: Array, seed: int, rows: Array | None = None) -> Array:
        seen.add(images.shape[1:])
        return transform(self, images, seed, rows)

    monkeypatch.setattr(feeds.Augmenter, "__call__", watched)
    for image_size, shape in ((7, (7, 7, 1)), (20, (12, 12, 1))):
        last(TrainConfig(image_size=image_size, epochs=1), dataset)
        assert seen == {shape}
        seen.clear()

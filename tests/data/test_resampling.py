"""The triangle filter: what it keeps, and that it is PIL's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medray._types import Array
from medray.data.resampling import UNIT, ShrunkImages, limited, shrink, sized, triangle_weights

SIDES = st.integers(1, 90)


def noise(count: int, height: int, width: int, channels: int = 1, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, channels), dtype=np.uint8)


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES)
def test_weights_are_units_that_sum_to_one_and_lie_around_their_pixel(before: int, after: int) -> None:
    weights = triangle_weights(before, after).astype(np.float64)
    assert weights.shape == (after, before)
    assert (weights >= 0).all()
    assert (weights.sum(axis=1) == 1).all()
    assert (weights * UNIT == np.rint(weights * UNIT)).all()
    centres = weights @ (np.arange(before) + 0.5) / before
    assert (np.diff(centres) >= -1e-6).all()
    inside = np.abs(centres - (np.arange(after) + 0.5) / after)
    assert inside.max() <= 0.5 * max(1 / before, 1 / after) + 1e-3


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, st.data(), st.integers(0, 255), st.sampled_from([1, 3]))
def test_an_image_of_one_level_keeps_it(
    height: int, width: int, data: st.DataObject, level: int, channels: int
) -> None:
    size = (data.draw(st.integers(1, height)), data.draw(st.integers(1, width)))
    small = shrink(np.full((2, height, width, channels), level, dtype=np.uint8), size)
    assert small.shape == (2, *size, channels)
    assert (small == level).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(2, 6), st.integers(0, 99))
def test_shrinking_by_a_whole_number_keeps_the_mean(height: int, width: int, factor: int, seed: int) -> None:
    images = noise(1, height * factor, width * factor, seed=seed)
    centre = np.pad(
        images, ((0, 0), (2 * factor, 2 * factor), (2 * factor, 2 * factor), (0, 0)), constant_values=90
    )
    small = shrink(centre, (height + 4, width + 4))  # of a border pixel less than its share is inside
    assert abs(small.mean() - centre.mean()) < 0.51


@settings(max_examples=40, deadline=None)
@given(SIDES, SIDES, st.data(), st.sampled_from([1, 3]), st.integers(0, 99))
def test_it_is_pils_filter_to_a_level(
    height: int, width: int, data: st.DataObject, channels: int, seed: int
) -> None:
    size = (data.draw(st.integers(1, height)), data.draw(st.integers(1, width)))
    (image,) = noise(1, height, width, channels, seed)
    pil = Image.fromarray(image[:, :, 0] if channels == 1 else image)
    expected = np.asarray(pil.resize(size[::-1], Image.Resampling.BILINEAR)).reshape(*size, channels)
    small = shrink(image, size)
    assert np.abs(small.astype(int) - expected).max() <= 1
    # And these are exact sums, whose order does not matter: whole numbers give the same.
    rows, columns = (
        (triangle_weights(*s) * UNIT).astype(np.int64) for s in zip((height, width), size, strict=True)
    )
    levels = (np.einsum("yxc,vx->yvc", image.astype(np.int64), columns) + UNIT // 2) // UNIT
    assert (small == (np.einsum("yvc,uy->uvc", levels, rows) + UNIT // 2) // UNIT).all()


def test_images_that_are_shrunk_as_they_are_read_are_those_that_were_shrunk_at_once() -> None:
    images = noise(7, 20, 30, 3)
    read, at_once = ShrunkImages(images, (10, 15)), shrink(images, (10, 15))
    assert (len(read), read.shape, read.dtype, read.ndim) == (7, at_once.shape, at_once.dtype, 4)
    assert (read[np.array([4, 0, 4])] == at_once[[4, 0, 4]]).all()
    assert (read[3] == at_once[3]).all()
    assert (shrink(images, (20, 30)) == images).all()


@pytest.mark.parametrize(
    ("size", "image_size", "expected"),
    [((100, 75), 64, (64, 48)), ((75, 100), 200, (150, 200)), ((28, 28), None, (28, 28)), ((300, 1), 30, (30, 1))],
)
def test_the_other_side_is_in_proportion(
    size: tuple[int, int], image_size: int | None, expected: tuple[int, int]
) -> None:
    assert sized(size, image_size) == expected
    assert sized(expected, image_size) == expected
    assert limited(size, image_size) == (expected if image_size and image_size < max(size) else size)

"""Masks have two grey levels, also where JPEG blurred them; images have more, also dark and hard ones."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from medray._types import Array
from medray.data.decoding import decode
from medray.data.decoding.grey_levels import count_levels


def ellipse(size: int, radius: float, low: int = 0, high: int = 255) -> Array:
    """A mask of one ellipse."""
    rows, columns = np.mgrid[:size, :size] - size / 2 + 3
    return np.where(rows**2 + 1.7 * columns**2 < (radius * size) ** 2, high, low).astype(np.uint8)


def stored(image: Image.Image, form: str, quality: int = 75) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, form, quality=quality)
    return Image.open(stream)


@pytest.mark.parametrize("size", [28, 48, 200, 512])
@pytest.mark.parametrize("radius", [0.08, 0.2, 0.4])
@pytest.mark.parametrize(("form", "quality"), [("PNG", 0), ("JPEG", 95), ("JPEG", 75), ("JPEG", 50)])
def test_a_mask_has_two_levels(size: int, radius: float, form: str, quality: int) -> None:
    mask = Image.fromarray(ellipse(size, radius))
    assert count_levels(stored(mask, form, quality)) == 2
    assert count_levels(stored(mask.convert("RGB"), form, quality)) == 2


def test_a_mask_of_any_two_values_and_a_black_one() -> None:
    assert count_levels(Image.fromarray(ellipse(64, 0.2, 0, 1))) == 2
    assert count_levels(Image.fromarray(ellipse(64, 0.2) > 0)) == 2  # of one bit
    assert count_levels(Image.fromarray(np.zeros((64, 64), np.uint8))) == 1
    assert count_levels(Image.fromarray(ellipse(15, 0.2))) == 0  # too small to say


@pytest.mark.parametrize("size", [64, 300])
def test_hard_images_are_no_masks(size: int) -> None:
    generator = np.random.default_rng(0)
    spots = np.zeros((size, size), np.uint8)
    spots[tuple(generator.integers(0, size, (2, 20)))] = 255
    blurred = np.asarray(Image.fromarray(spots).filter(ImageFilter.GaussianBlur(3))).astype(float)
    stars = (blurred / blurred.max() * 255).astype(np.uint8)  # dark, with bright points, as fluorescence
    film = ellipse(size, 0.4, 0, 120) + generator.integers(0, 60, (size, size), dtype=np.uint8)
    three = np.where(ellipse(size, 0.1) > 0, 127, ellipse(size, 0.4))
    for image in (stars, film, three.astype(np.uint8), generator.integers(0, 256, (size, size), dtype=np.uint8)):
        assert count_levels(Image.fromarray(image)) == 0


@given(st.lists(st.integers(0, 255), min_size=3, max_size=6, unique=True), st.integers(16, 90))
def test_three_levels_of_equal_area_are_more_than_two(levels: list[int], side: int) -> None:
    low, high = min(levels), max(levels)
    image = np.resize(np.array(levels, np.uint8), (side, side))
    middle = [level for level in levels if low + (high - low) / 3 < level < high - (high - low) / 3]
    if middle or high - low < 128:
        assert count_levels(Image.fromarray(image)) == 0


def test_decoding_says_it_whatever_the_models_shape() -> None:
    stream = io.BytesIO()
    Image.fromarray(ellipse(200, 0.2)).save(stream, "PNG")
    assert [decode(stream.getvalue(), (side, side, 3)).levels for side in (8, 64, 200, 224)] == [2] * 4

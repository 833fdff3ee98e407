"""Centre crops of one image in two data sets: paired, and no other images are."""

import numpy as np
import pytest
from PIL import Image

from medray._types import Array
from medray.data.similarity.centre_crops import centre_cropped_pairs
from medray.data.similarity.measures import measure_all


def scenes(count: int, seed: int) -> Array:
    """Smooth random pictures, uint8 (count, 128, 128)."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, size=(count, 9, 9)).astype(np.uint8)
    return np.stack([np.asarray(Image.fromarray(s).resize((128, 128), Image.Resampling.BICUBIC)) for s in small])


def thumbnails(pictures: Array, box: tuple[int, int, int, int], size: int) -> Array:
    resized = [np.asarray(Image.fromarray(p).resize((size, size), box=box)) for p in pictures]
    return measure_all(np.stack(resized)[..., None]).thumbnail


@pytest.mark.parametrize("share", [0.62, 0.77, 0.9])
@pytest.mark.parametrize("upright", [True, False])
def test_an_image_and_its_centre_crop_are_paired_and_others_are_not(share: float, upright: bool) -> None:
    pictures = scenes(60, 1)
    margin = round(64 * (1 - share))
    box = (0, margin, 128, 128 - margin) if upright else (margin, 0, 128 - margin, 128)
    stretched = thumbnails(pictures, (0, 0, 128, 128), 56)
    cropped = thumbnails(np.concatenate([pictures[30:], scenes(30, 2)]), box, 28)
    for first, second, turned in ((stretched, cropped, False), (cropped, stretched, True)):
        i, j = centre_cropped_pairs(first, second)
        pairs = {*zip(*((j.tolist(), i.tolist()) if turned else (i.tolist(), j.tolist())), strict=True)}
        expected = {(30 + k, k) for k in range(30)}
        assert pairs <= expected
        assert len(pairs) >= 27

"""A photograph of skin is cut to its lesion; one without a lesion is not cut."""

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medray._types import Array
from medray.data.arrays.resize import resize_dataset
from medray.data.decoding import decode
from medray.data.decoding.lesion import SIDE, find_lesion, otsu
from medray.data.phantoms import load_phantom
from medray.errors import ConfigError
from medray.space.preparation import LESION, PADDED, Images, Preparation

SKIN, DARK, MOLE = (220, 170, 150), (20, 15, 15), (30, 60, 150)  # blue: no mixture of the other two


def skin(
    size: tuple[int, int], centre: tuple[float, float], radius: tuple[float, float], *, corners: bool = False
) -> Array:
    """Return a photograph (H, W, 3) of skin with an elliptic mole at shares of its (height, width), and dark corners."""
    height, width = size
    y, x = (np.arange(height)[:, None] + 0.5) / height, (np.arange(width) + 0.5) / width
    image = np.empty((height, width, 3))
    image[:] = SKIN
    if corners:
        image[(x - 0.5) ** 2 + (y - 0.5) ** 2 > 0.34] = DARK
    image[((y - centre[0]) / radius[0]) ** 2 + ((x - centre[1]) / radius[1]) ** 2 <= 1] = MOLE
    noise = np.random.default_rng(0).normal(0, 6, image.shape)
    return (image + noise).clip(0, 255).astype(np.uint8)


def saved(image: Array, kind: str = "PNG", orientation: int = 1) -> bytes:
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(image).save(stream, kind, exif=exif)
    return stream.getvalue()


def is_mole(pixels: Array) -> Array:
    return pixels[..., 2].astype(int) - pixels[..., 0] > 50


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.floats(0.35, 0.65), st.floats(0.35, 0.65)),
    st.tuples(st.floats(0.06, 0.25), st.floats(0.06, 0.25)),
    st.booleans(),
    st.sampled_from(["PNG", "JPEG"]),
    st.sampled_from([1, 6, 3]),
)
def test_the_lesion_fills_the_image_and_is_whole(
    centre: tuple[float, float], radius: tuple[float, float], corners: bool, kind: str, orientation: int
) -> None:
    content = saved(skin((300, 400), centre, radius, corners=corners), kind, orientation)
    decoded = decode(content, (64, 64, 3), aspect=LESION)
    assert "cropped" in decoded.notes
    rows, columns = (np.flatnonzero(is_mole(decoded.pixels).any(axis=axis)) for axis in (1, 0))
    # 15 % margin on each side of the longer one, so about 10 of 13 of it are lesion; the border is a pixel or two.
    assert 0.6 <= max(np.ptp(rows), np.ptp(columns)) / 64 <= 0.9
    for indices in (rows, columns):
        assert indices[0] > 0
        assert indices[-1] < 63


@pytest.mark.parametrize("kind", ["L", "RGB", "LA", "RGBA"])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_without_a_lesion_stays_whole(kind: str, channels: int) -> None:
    image = np.full((60, 90, 3), 180, np.uint8) + np.random.default_rng(0).integers(0, 5, (60, 90, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(image).convert(kind).save(stream, "PNG")
    padded, cropped = (decode(stream.getvalue(), (32, 32, channels), aspect=aspect) for aspect in (PADDED, LESION))
    assert np.array_equal(padded.pixels, cropped.pixels)
    assert padded.notes == cropped.notes


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["noise", "steps", "constant", "spot"]))
def test_a_box_lies_within_the_image(seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    image = {
        "noise": rng.integers(0, 256, (SIDE, SIDE)),
        "steps": np.tile(np.sort(rng.integers(0, 256, SIDE)), (SIDE, 1)),
        "constant": np.full((SIDE, SIDE), rng.integers(0, 256)),
        "spot": np.where(rng.random((SIDE, SIDE)) < 0.01, 0, 255),
    }[kind].astype(np.uint8)
    box = find_lesion(image)
    if box is not None:
        left, upper, right, lower = box
        assert 0 <= left < right <= 1
        assert 0 <= upper < lower <= 1


def test_otsus_threshold_parts_two_heaps() -> None:
    values = np.concatenate([np.full(30, 40.0), np.full(70, 200.0)])
    assert 40 <= otsu(values) < 200


def test_drawn_lesions_are_found() -> None:
    """The phantom's lesions lie in the middle, under hairs, beside rulers and in round frames."""
    images = load_phantom("skin", size=96, images=100).images
    boxes = [find_lesion(np.asarray(Image.fromarray(image).convert("L"))) for image in images]
    middle = [box is not None and box[0] < 0.5 < box[2] and box[1] < 0.5 < box[3] for box in boxes]
    assert sum(middle) >= 99


def test_arrays_are_cut_too_even_where_they_have_the_size(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    """What a service does to an image must have been done to those that it was trained on."""
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path))
    drawn = load_phantom("skin", size=64, images=100)
    dataset = replace(drawn, images=np.stack([skin((64, 64), (0.5, 0.4), (0.15, 0.2))] * len(drawn)))
    cut = resize_dataset(dataset, Images(image_size=(64, 64), aspect=LESION))
    again = decode(saved(dataset.images[0]), (64, 64, 3), aspect=LESION)
    assert np.array_equal(cut.images[0], again.pixels)
    assert cut.aspect == LESION


def test_a_lesion_needs_a_size() -> None:
    with pytest.raises(ConfigError, match=r"images\.aspect: lesion leaves images of all sizes"):
        Preparation.from_dict({"images": {"aspect": "lesion"}})

"""Contact sheets, opened again: their size, the pixels of each tile, and the captions under them."""

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFont

from medray._types import Array
from medray.errors import ConfigError, DataError, MedrayError
from medray.pictures.contact_sheet import ELLIPSIS, GAP, caption_lines, contact_sheet, fitted, shortened

FONT = ImageFont.load_default(size=11)


def opened(png: bytes) -> Array:
    """The pixels of a PNG, uint8 (H, W, 3)."""
    image = Image.open(io.BytesIO(png))
    assert (image.format, image.mode) == ("PNG", "RGB")
    return np.asarray(image)


def noise(count: int, height: int, width: int, channels: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, channels), dtype=np.uint8)


def row_height(tile: int) -> int:
    """The pixels that one more row takes."""
    single, double = (opened(contact_sheet(noise(n, 4, 4, 1), [""] * n, columns=1, tile=tile)) for n in (1, 2))
    return len(double) - len(single)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("count", "columns"), [(1, 8), (3, 8), (8, 8), (9, 8), (7, 3), (2, 1)])
def test_every_image_stands_in_its_tile(count: int, columns: int, channels: int) -> None:
    images, tile = noise(count, 16, 16, channels), 64
    sheet = opened(contact_sheet(images, [f"image {i}" for i in range(count)], columns=columns, tile=tile))
    used, rows, height = min(columns, count), -(-count // columns), row_height(tile)
    assert sheet.shape == (GAP + rows * height, used * (tile + GAP) + GAP, 3)
    for i, image in enumerate(images):
        top, left = GAP + i // columns * height, GAP + i % columns * (tile + GAP)
        pixels = sheet[top : top + tile, left : left + tile]
        assert (pixels == image.repeat(4, axis=0).repeat(4, axis=1)).all()  # nearest neighbour: 4 x 4 a pixel
        under = sheet[top + tile + 2 : top + height - GAP, left : left + tile]
        assert under.min() < 100  # ink
        assert under.max() == 255
    assert (sheet[:, : GAP - 1] == 255).all()


def test_a_large_image_shrinks_to_the_mean_of_what_it_shows_and_keeps_its_aspect() -> None:
    image = np.zeros((150, 224, 3), dtype=np.uint8)
    image[:, :112] = (200, 40, 90)
    image[:, 112:] = (10, 120, 60)
    sheet = opened(contact_sheet(image[None], ["two halves"], tile=112))
    top = GAP + 112 - 75  # it stands right above its caption
    pixels = sheet[top : top + 75, GAP : GAP + 112]
    assert (pixels[:, :50] == (200, 40, 90)).all()
    assert (pixels[:, 62:] == (10, 120, 60)).all()
    assert (sheet[GAP : top - 1, GAP : GAP + 112] == 255).all()  # white above it


def test_shrinking_averages_rather_than_skips_pixels() -> None:
    board = (np.indices((256, 256)).sum(axis=0) % 2 * 255).astype(np.uint8)[..., None]
    pixels = np.asarray(fitted(board, 64)).astype(int)
    assert abs(pixels[4:-4, 4:-4] - 127).max() < 10


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 400), st.integers(1, 400), st.sampled_from([32, 100, 128]), st.sampled_from([1, 3]))
def test_a_fitted_image_fills_one_side_and_keeps_its_aspect(
    height: int, width: int, tile: int, channels: int
) -> None:
    picture = fitted(np.zeros((height, width, channels), dtype=np.uint8), tile)
    assert max(picture.size) == tile
    assert abs(min(picture.size) - max(1, tile * min(height, width) / max(height, width))) <= 0.5
    assert (
        height == width or (picture.height > picture.width) == (height > width) or picture.height == picture.width
    )


def test_a_white_image_has_an_edge() -> None:
    sheet = opened(contact_sheet(np.full((1, 8, 8, 3), 255, dtype=np.uint8), [""], tile=64))
    inside = sheet[GAP - 1 : GAP + 65, GAP - 1 : GAP + 65]
    assert (inside[0] < 230).all()
    assert (inside[:, 0] < 230).all()
    assert (inside[-1] < 230).all()
    assert (inside[:, -1] < 230).all()
    assert (inside[1:-1, 1:-1] == 255).all()


def test_a_title_stands_above_and_widens_a_narrow_sheet() -> None:
    images, title = noise(1, 16, 16, 1), "Labels that the folds doubt: the first 1 of 1"
    plain = opened(contact_sheet(images, ["a"], tile=64))
    titled = opened(contact_sheet(images, ["a"], tile=64, title=title))
    added = len(titled) - len(plain)
    assert added > 10
    assert titled.shape[1] > plain.shape[1]
    assert titled[:added].min() < 100
    assert (titled[:, -GAP:] == 255).all()  # all of the title has found room
    assert (titled[added + GAP :, : plain.shape[1]] == plain[GAP:]).all()
    longest = opened(contact_sheet(images, ["a"], tile=64, columns=4, title="word " * 200))
    assert longest.shape[1] <= 4 * (64 + GAP) + GAP


def test_the_same_images_make_the_same_file() -> None:
    images = noise(3, 28, 28, 1)
    assert contact_sheet(images, ["a", "b", "c"]) == contact_sheet(images.copy(), ["a", "b", "c"])


def test_captions_do_not_reach_into_a_neighbours() -> None:
    images = np.full((2, 8, 8, 1), 255, dtype=np.uint8)
    sheet = opened(contact_sheet(images, ["W" * 80 + "\n" + "W" * 80] * 2, tile=64))
    between = sheet[GAP + 66 :, GAP + 64 + GAP // 4 + 1 : GAP + 64 + 3 * GAP // 4 - 1]
    assert (between == 255).all()
    assert (sheet[-GAP // 2 :] == 255).all()


# -- captions

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=60)


@settings(deadline=None, max_examples=80)
@given(TEXT, st.integers(30, 200))
def test_no_caption_is_wider_than_its_tile_or_has_a_third_line(caption: str, width: int) -> None:
    lines = caption_lines(caption, FONT, width)
    assert 1 <= len(lines) <= 2
    assert all(FONT.getlength(line) <= width for line in lines)


@settings(deadline=None, max_examples=80)
@given(st.text("abc W", max_size=60), st.integers(30, 200))
def test_a_text_is_shortened_only_where_it_is_too_wide(text: str, width: int) -> None:
    result = shortened(text, FONT, width)
    assert (result == text) == (FONT.getlength(text) <= width)
    if result != text:
        start, end = result.split(ELLIPSIS)
        assert text.startswith(start)
        assert text.endswith(end)


def test_a_long_name_is_shortened_before_its_number() -> None:
    (_, second) = caption_lines("tubular\ninvasive ductal carcinoma 0.93", FONT, 120)
    assert second.startswith("invasive duct")
    assert second.endswith(f"{ELLIPSIS} 0.93")
    assert shortened("invasive ductal carcinoma", FONT, 60).endswith(ELLIPSIS)


def test_a_caption_of_one_line_is_broken_between_words() -> None:
    assert [line for line in caption_lines("liver", FONT, 120) if line] == ["liver"]
    assert caption_lines("invasive ductal carcinoma", FONT, 100) == ["invasive ductal", "carcinoma"]
    assert caption_lines("a\nb\nc", FONT, 100) == ["a", "b c"]


def test_what_the_font_lacks_is_spelt_with_what_it_has() -> None:
    assert caption_lines("Übergröße →\ncafé 細胞 ≥ 2 …", FONT, 200) == ["Ubergrosse ->", "cafe ?? >= 2 …"]


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"columns": 0}, ConfigError, "columns is 0; at least 1 is needed"),
        ({"tile": 8}, ConfigError, "tile is 8 pixels; at least 32 are needed"),
        ({"images": noise(2, 8, 8, 1) / 255}, DataError, r"images are float64 \(2, 8, 8, 1\), not uint8"),
        (
            {"images": noise(2, 8, 8, 4)},
            DataError,
            r"images are uint8 \(2, 8, 8, 4\), not uint8 \(n, H, W, 1 or 3\)",
        ),
        ({"images": noise(2, 8, 8, 1)[..., 0]}, DataError, r"images are uint8 \(2, 8, 8\), not"),
        ({"images": noise(0, 8, 8, 1), "captions": []}, DataError, "there is none to draw"),
        ({"captions": ["a"]}, DataError, "1 captions for 2 images; each needs one"),
    ],
)
def test_input_that_can_not_be_drawn_is_refused_in_one_line(
    changed: dict[str, Any], error: type[MedrayError], message: str
) -> None:
    with pytest.raises(error, match=message):
        contact_sheet(**{"images": noise(2, 8, 8, 1), "captions": ["a", "b"]} | changed)


def test_images_of_different_sizes_and_gaps_stand_in_their_places() -> None:
    wide, high = np.zeros((10, 40, 1), np.uint8), np.zeros((40, 10, 3), np.uint8)
    page = contact_sheet([wide, None, high], ["a", "", "b"], columns=3, tile=64)
    pixels = np.asarray(Image.open(io.BytesIO(page)).convert("L"))
    dark = [int((pixels[:100, 16 + 80 * column : 80 + 80 * column] < 10).sum()) for column in range(3)]
    assert dark[0] >= 64 * 16
    assert dark[1] == 0
    assert dark[2] >= 64 * 16
    with pytest.raises(DataError, match="there is no image to draw"):
        contact_sheet([None], ["a"])
    with pytest.raises(DataError, match="an image is float64"):
        contact_sheet([np.zeros((3, 3, 1))], ["a"])

"""Contact sheet: many images on one page, each with a caption, as PNG.

Small images grow by nearest neighbour, so that their pixels can be seen; large ones shrink by Lanczos. The
font is the one that Pillow carries, which knows little beyond ASCII: letters lose their accents, and what
it still can't draw shows as a question mark.
"""

import io
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from medray._types import Array
from medray.errors import ConfigError, DataError

GAP = 16  # pixels between tiles, and around all of them
LINES = 2
SMALLEST_TILE = 32
INK, EDGE = "black", (200, 200, 200)
ELLIPSIS = "…"
SPELT = {"→": "->", "←": "<-", "–": "-", "—": "-", "−": "-", "≥": ">=", "≤": "<=", "ß": "ss", "ø": "o", "ł": "l"}

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def contact_sheet(
    images: Array | Sequence[Array | None],
    captions: Sequence[str],
    *,
    columns: int = 8,
    tile: int = 128,
    title: str | None = None,
) -> bytes:
    """Draw images uint8 (n, H, W, C), of 1 or 3 channels, in rows of `columns` and return the PNG's bytes.

    Images of different sizes are given one by one, (H, W, C) each; None leaves its place empty.

    Each is scaled to fit a square of `tile` pixels, keeping its aspect, and stands on its lower edge over its
    caption in two lines at most: those that it has, or else broken between words. What is too wide is
    shortened with an ellipsis, before its last word where that is short. Where there are fewer images than
    `columns`, the sheet is as narrow as they and the title allow.

    Raises:
        ConfigError: there is no column, or a tile is too small to have a caption.
        DataError: images are not of that form, there are none, or not a caption for each.
    """
    _check(images, captions, columns, tile)
    font, title_font = _font(max(9.0, tile / 12)), _font(max(14.0, tile / 8))
    cell, text_height = tile + GAP, _line_height(font)
    heading = shortened(_drawable(title or ""), title_font, columns * cell - GAP)
    top = GAP + (_line_height(title_font) if heading else 0)
    row = tile + LINES * text_height + GAP
    used = min(columns, len(images))
    width = max(used * cell - GAP, round(title_font.getlength(heading))) + 2 * GAP
    sheet = Image.new("RGB", (width, top + -(-len(images) // used) * row), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, GAP // 2), heading, fill=INK, font=title_font)
    for i, (image, caption) in enumerate(zip(images, captions, strict=True)):
        left, upper = GAP + i % used * cell, top + i // used * row
        if image is not None:
            _paste(draw, sheet, fitted(image, tile), (left, upper), tile)
        for number, line in enumerate(caption_lines(caption, font, tile + GAP // 2)):
            place = (left + tile / 2, upper + tile + 3 + number * text_height)
            draw.text(place, line, fill=INK, font=font, anchor="ma")
    stream = io.BytesIO()
    sheet.save(stream, format="PNG")
    return stream.getvalue()


def fitted(image: Array, tile: int) -> Image.Image:
    """Scale an image uint8 (H, W, C) so that its longer side has `tile` pixels, the other at least one."""
    height, width, channels = image.shape
    scale = tile / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    how = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
    return Image.fromarray(image[..., 0] if channels == 1 else image).resize(size, how)


def caption_lines(caption: str, font: Font, width: float) -> list[str]:
    """Set a caption in two lines at most, none wider than `width` pixels.

    Its own line breaks are kept; without any it is broken between words where it is too wide for one line.
    """
    lines = [_drawable(line) for line in caption.strip().split("\n")]
    if len(lines) == 1 and font.getlength(lines[0]) > width:
        lines = _broken(lines[0], font, width)
    kept = [*lines[: LINES - 1], " ".join(lines[LINES - 1 :])]
    return [shortened(line, font, width) for line in kept]


def shortened(text: str, font: Font, width: float) -> str:
    """Return `text`, or as much of it as `width` pixels hold, with an ellipsis for what was left out.

    A last word that takes a third of the width or less is kept, as it mostly is a number.
    """
    if font.getlength(text) <= width:
        return text
    start, space, last = text.rpartition(" ")
    tail = space + last if font.getlength(space + last) <= width / 3 else ""
    start = start if tail else text

    def cut(length: int) -> str:
        return start[:length].rstrip() + ELLIPSIS + tail

    length = bisect_right(range(len(start) + 1), width, key=lambda n: font.getlength(cut(n))) - 1
    while length > 0 and font.getlength(cut(length)) > width:  # kerning may make a longer text narrower
        length -= 1
    return cut(max(length, 0))


def _broken(text: str, font: Font, width: float) -> list[str]:
    """Break a text after as many words as `width` holds, but after one at least."""
    words = text.split(" ")
    count = next(n for n in range(len(words), 0, -1) if n == 1 or font.getlength(" ".join(words[:n])) <= width)
    return [" ".join(words[:count]), " ".join(words[count:])]


def _paste(
    draw: ImageDraw.ImageDraw, sheet: Image.Image, picture: Image.Image, corner: tuple[int, int], tile: int
) -> None:
    """Put a picture at the foot of the tile at `corner`, with an edge around: it may be white itself."""
    left, upper = corner[0] + (tile - picture.width) // 2, corner[1] + tile - picture.height
    draw.rectangle((left - 1, upper - 1, left + picture.width, upper + picture.height), outline=EDGE)
    sheet.paste(picture, (left, upper))


@cache
def _font(size: float) -> Font:
    return ImageFont.load_default(size=size)


def _line_height(font: Font) -> int:
    """Pixels from one line to the next."""
    _, upper, _, lower = font.getbbox("Ág|")
    return round(lower - min(upper, 0)) + 2


@cache
def _can_draw(character: str) -> bool:
    """Whether the font has the character, and not only its box for those that it lacks."""
    font = _font(16)
    return bytes(font.getmask(character)) != bytes(font.getmask("\uffff"))


@cache
def _spelt(character: str) -> str:
    """Spell a character with those that the font has."""
    if _can_draw(character):
        return character
    plain = SPELT.get(character) or unicodedata.normalize("NFKD", character)
    return "".join(c if _can_draw(c) else "?" for c in plain if not unicodedata.combining(c))


def _drawable(text: str) -> str:
    """Spell a text with the characters that the font has, as one line with one space between words."""
    return "".join(_spelt(c) for c in " ".join(text.split()))


def _check(images: Array | Sequence[Array | None], captions: Sequence[str], columns: int, tile: int) -> None:
    if columns < 1:
        raise ConfigError(f"columns is {columns}; at least 1 is needed")
    if tile < SMALLEST_TILE:
        raise ConfigError(f"tile is {tile} pixels; at least {SMALLEST_TILE} are needed")
    if isinstance(images, np.ndarray):
        _check_form(images, 4, "images are", "(n, H, W, 1 or 3)")
    else:
        given = [image for image in images if image is not None]
        if not given:
            raise DataError("there is no image to draw")
        for image in given:
            _check_form(image, 3, "an image is", "(H, W, 1 or 3)")
    if len(captions) != len(images):
        raise DataError(f"{len(captions)} captions for {len(images)} images; each needs one")


def _check_form(pixels: Array, dimensions: int, what: str, form: str) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != dimensions or pixels.shape[-1] not in (1, 3):
        raise DataError(f"{what} {pixels.dtype} {pixels.shape}, not uint8 {form}")
    if not pixels.size:
        raise DataError(f"{what} {pixels.shape}: there is none to draw")

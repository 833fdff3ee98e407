"""Contact sheet: many images on one page, each with a caption, as PNG.

Small images are enlarged by nearest neighbour, so that their pixels can be seen; large ones shrink by Lanczos.
The font is the one that comes with Pillow, which has little beyond ASCII: letters lose their accents, and other
missing characters become a question mark.
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
SPELLINGS = {
    "→": "->",
    "←": "<-",
    "–": "-",
    "—": "-",
    "−": "-",
    "≥": ">=",
    "≤": "<=",
    "ß": "ss",
    "ø": "o",
    "ł": "l",
}

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

    Images of different sizes are given one by one, (H, W, C) each; None leaves a tile empty.

    Each is scaled to fit a square of `tile` pixels, keeping its aspect, at the lower edge of the square, above its
    caption of at most two lines: its own line breaks, or else one between words. Wider text is shortened with an
    ellipsis, before its last word where that is short. With fewer images than `columns`, the sheet is as narrow as
    they and the title allow.

    Raises:
        ConfigError: there is no column, or a tile is too small for a caption.
        DataError: images have another type or shape, there are none, or their number is not that of the captions.
    """
    _check_arguments(images, captions, columns, tile)
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
            picture = fitted(image, tile)
            x, y = left + (tile - picture.width) // 2, upper + tile - picture.height
            edge = (x - 1, y - 1, x + picture.width, y + picture.height)  # the image itself may be white
            draw.rectangle(edge, outline=EDGE)
            sheet.paste(picture, (x, y))
        for number, line in enumerate(caption_lines(caption, font, tile + GAP // 2)):
            position = (left + tile / 2, upper + tile + 3 + number * text_height)
            draw.text(position, line, fill=INK, font=font, anchor="ma")
    stream = io.BytesIO()
    sheet.save(stream, format="PNG")
    return stream.getvalue()


def fitted(image: Array, tile: int) -> Image.Image:
    """Scale an image uint8 (H, W, C) so that its longer side has `tile` pixels, the other at least one."""
    height, width, channels = image.shape
    scale = tile / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    resampling = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
    return Image.fromarray(image[..., 0] if channels == 1 else image).resize(size, resampling)


def caption_lines(caption: str, font: Font, width: float) -> list[str]:
    """Break a caption into two lines at most, none wider than `width` pixels.

    Its own line breaks are kept; without any it is broken after as many words as fit, but after one at least.
    """
    lines = [_drawable(line) for line in caption.strip().split("\n")]
    if len(lines) == 1 and font.getlength(lines[0]) > width:
        words = lines[0].split(" ")
        count = len(words)
        while count > 1 and font.getlength(" ".join(words[:count])) > width:
            count -= 1
        lines = [" ".join(words[:count]), " ".join(words[count:])]
    kept = [*lines[: LINES - 1], " ".join(lines[LINES - 1 :])]
    return [shortened(line, font, width) for line in kept]


def shortened(text: str, font: Font, width: float) -> str:
    """Return `text`, or as much of it as fits `width` pixels, with an ellipsis for the rest.

    A last word of a third of the width or less is kept, as it mostly is a number.
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


@cache
def _font(size: float) -> Font:
    return ImageFont.load_default(size=size)


def _line_height(font: Font) -> int:
    """Return the pixels from one line to the next."""
    _, upper, _, lower = font.getbbox("Ág|")
    return round(lower - min(upper, 0)) + 2


@cache
def _can_draw(character: str) -> bool:
    """Return whether the font has the character, instead of a box for missing ones."""
    font = _font(16)
    return bytes(font.getmask(character)) != bytes(font.getmask("\uffff"))


@cache
def _spell(character: str) -> str:
    """Replace a character by ones that the font has."""
    if _can_draw(character):
        return character
    plain = SPELLINGS.get(character) or unicodedata.normalize("NFKD", character)
    return "".join(c if _can_draw(c) else "?" for c in plain if not unicodedata.combining(c))


def _drawable(text: str) -> str:
    """Return a text in characters that the font has, in one line with one space between words."""
    return "".join(_spell(c) for c in " ".join(text.split()))


def _check_arguments(
    images: Array | Sequence[Array | None], captions: Sequence[str], columns: int, tile: int
) -> None:
    if columns < 1:
        raise ConfigError(f"columns is {columns}; at least 1 is needed")
    if tile < SMALLEST_TILE:
        raise ConfigError(f"tile is {tile} pixels; at least {SMALLEST_TILE} are needed")
    if isinstance(images, np.ndarray):
        _check_shape(images, 4, "images are", "(n, H, W, 1 or 3)")
    else:
        drawn = [image for image in images if image is not None]
        if not drawn:
            raise DataError("there is no image to draw")
        for image in drawn:
            _check_shape(image, 3, "an image is", "(H, W, 1 or 3)")
    if len(captions) != len(images):
        raise DataError(f"{len(captions)} captions for {len(images)} images; each needs one")


def _check_shape(pixels: Array, dimensions: int, subject: str, shape: str) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != dimensions or pixels.shape[-1] not in (1, 3):
        raise DataError(f"{subject} {pixels.dtype} {pixels.shape}, not uint8 {shape}")
    if not pixels.size:
        raise DataError(f"{subject} {pixels.shape}: there is none to draw")

"""Picture: what each format is read into, before it is fitted to a model; and the way from 16 bits to 8."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from medray._types import Array
from medray.data.decoding.image_error import ImageError

BLOCK = 1 << 20  # numpy makes 8-byte indices of the values that it looks up; by blocks they stay few


@dataclass(frozen=True)
class Picture:
    """Decoded pixels of 8 bits: `image` is of mode L, LA, RGB or RGBA, not yet turned.

    `size` is the width and height that the file declares. `image` may hold fewer pixels: then `box` says
    which part of it, in its own pixels, is the whole picture. `orientation` is EXIF's, 1 to 8.
    """

    image: Image.Image
    size: tuple[int, int]
    notes: frozenset[str] = frozenset()
    orientation: int = 1
    box: tuple[float, float, float, float] | None = None


def look_up(table: Array, values: Array) -> Array:
    """Replace unsigned `values` of any shape by the entries of `table` (n,) that they number."""
    flat = values.reshape(-1)
    found = np.empty(flat.shape, dtype=table.dtype)
    for start in range(0, flat.size, BLOCK):
        block = slice(start, start + BLOCK)
        found[block] = table[flat[block]]
    return found.reshape(values.shape)


def from_16_bits(values: Array) -> Image.Image:
    """Scale uint16 values (H, W) by 1 / 257, which takes 65535 to 255, to an image of mode L."""
    return Image.fromarray(look_up(((np.arange(65536) + 128) // 257).astype(np.uint8), values))


def brightest(image: Image.Image) -> int:
    """The greatest value of an image of mode L, LA, RGB or RGBA, transparency aside."""
    return max(int(np.asarray(image.getchannel(band)).max()) for band in image.getbands() if band != "A")


def plain(image: Image.Image, what: str) -> tuple[Image.Image, frozenset[str]]:
    """Bring an image of any mode that the formats yield to L, LA, RGB or RGBA, and say what was done.

    Raises:
        ImageError: the mode has no evident way to 8 bits.
    """
    if image.mode in ("L", "LA", "RGB", "RGBA"):
        return image, frozenset()
    if image.mode == "1":
        return image.convert("L"), frozenset({"rescaled_to_8_bit"})
    if image.mode == "La":
        return image.convert("LA"), frozenset()
    if image.mode == "P":
        has_alpha = image.palette is not None and image.palette.mode == "RGBA"
        return image.convert("RGBA" if has_alpha else "RGB"), frozenset({"palette"})
    if image.mode == "CMYK":
        return image.convert("RGB"), frozenset({"cmyk"})
    if image.mode in ("I;16", "I;16B", "I;16L"):
        return from_16_bits(np.asarray(image)), frozenset({"rescaled_to_8_bit"})
    raise ImageError("unsupported", f"the {what} holds pixels of a kind that is not read")

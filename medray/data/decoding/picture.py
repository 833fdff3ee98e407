"""Picture: what each format is decoded into, before it is fitted to a model; and the scaling from 16 bits to 8."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from medray._types import Array
from medray.data.decoding.image_error import ImageError


@dataclass(frozen=True)
class Picture:
    """Decoded pixels of 8 bits: `image` is of mode L, LA, RGB or RGBA, not yet turned.

    `size` is the width and height that the file declares. `image` may hold fewer pixels: then `box` says
    which part of it, in its own pixels, is the picture. `orientation` is EXIF's, 1 to 8.
    """

    image: Image.Image
    size: tuple[int, int]
    notes: frozenset[str] = frozenset()
    orientation: int = 1
    box: tuple[float, float, float, float] | None = None

    @cached_property
    def opacity(self) -> float:
        """Return the mean of alpha, from 0, where every pixel is transparent, to 1; 1 without alpha."""
        return float(np.asarray(self.image.getchannel("A")).mean()) / 255 if self.image.mode.endswith("A") else 1.0


def scale_16_bits(values: Array) -> Array:
    """Scale uint16 values by 1 / 257, which takes 65535 to 255, to uint8."""
    scaled: Array = ((np.arange(65536) + 128) // 257).astype(np.uint8)[values]
    return scaled


def simplify_mode(image: Image.Image, format_name: str) -> tuple[Image.Image, frozenset[str]]:
    """Convert an image of any mode that the formats yield to L, LA, RGB or RGBA; return notes of what was done.

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
        return Image.fromarray(scale_16_bits(np.asarray(image))), frozenset({"rescaled_to_8_bit"})
    raise ImageError("unsupported", f"the {format_name} holds pixels of a kind that is not read")

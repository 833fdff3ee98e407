"""Heat map: draw an image in grey with a map of heat over it, as PNG."""

import io

import numpy as np
from PIL import Image

from medray._types import Array
from medray.errors import ConfigError, DataError

#: Stops of "plasma" (Smith & van der Walt 2015, CC0), evenly spaced from heat 0 to 1: its lightness rises evenly,
#: also for the colour-blind, and none of its colours is a grey that could be mistaken for the image.
STOPS = (
    0x0D0887, 0x46039F, 0x7201A8, 0x9C179E, 0xBD3786, 0xD8576B, 0xED7953, 0xFB9F3A, 0xFDCA26, 0xF0F921,
)  # fmt: skip
OPACITY = 0.65  # of the hottest pixel; colder ones are more transparent, and the image shows through everywhere


def overlay_png(image: Array, heat: Array, *, least_side: int = 224) -> bytes:
    """Draw an image uint8 (H, W, C) of 1 or 3 channels in grey, under heat float (H, W) in 0..1, as PNG.

    Both are enlarged by the smallest whole factor that makes the shorter side `least_side` pixels or more: the
    image by nearest neighbour, so that its pixels can be seen, the heat bilinearly.

    Raises:
        ConfigError: `least_side` is not a whole number above 0.
        DataError: the image or the heat has another type or shape, or the heat is not in 0..1.
    """
    _check(image, heat, least_side)
    height, width = image.shape[:2]
    factor = -(-least_side // min(height, width))
    enlarged = image.repeat(factor, axis=0).repeat(factor, axis=1)
    size = (width * factor, height * factor)
    grown = Image.fromarray(heat.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
    out = io.BytesIO()
    Image.fromarray(overlay(enlarged, np.asarray(grown))).save(out, "PNG")
    return out.getvalue()


def overlay(image: Array, heat: Array) -> Array:
    """Draw an image uint8 (H, W, C) of 1 or 3 channels in grey, under heat float (H, W), as uint8 (H, W, 3).

    The heat's colour has an opacity of `OPACITY` times the heat: where that is 0 the grey is unchanged. Colours
    become grey by their luma (ITU-R BT.601).
    """
    grey = np.asarray(Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).convert("L"))
    warm = heat.clip(0.0, 1.0)
    cover = OPACITY * warm[..., None]
    blended: Array = ((1 - cover) * grey[..., None] + cover * colours(warm)).round().astype(np.uint8)
    return blended


def colours(heat: Array) -> Array:
    """Return the colour of each heat in 0..1, float (..., 3) in 0..255, interpolated between the STOPS."""
    table = np.array([[stop >> 16, stop >> 8 & 255, stop & 255] for stop in STOPS], dtype=np.float64)
    positions = np.linspace(0.0, 1.0, len(STOPS))
    return np.stack([np.interp(heat, positions, channel) for channel in table.T], axis=-1)


def _check(image: Array, heat: Array, least_side: int) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3) or not image.size:
        raise DataError(f"the image is {image.dtype} {image.shape}, not uint8 (H, W, C) of 1 or 3 channels")
    if heat.dtype.kind != "f" or heat.shape != image.shape[:2]:
        raise DataError(f"the heat is {heat.dtype} {heat.shape}, not float {image.shape[:2]}: one for each pixel")
    if not ((heat >= 0) & (heat <= 1)).all():  # NaN is not
        raise DataError(f"the heat lies between {heat.min():g} and {heat.max():g}, not between 0 and 1")
    if isinstance(least_side, bool) or not isinstance(least_side, int) or least_side < 1:
        raise ConfigError(f"least_side is {least_side}, not a whole number of pixels above 0")

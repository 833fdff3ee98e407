"""Decode the bytes of one image to the pixels of one model; whatever is wrong with them becomes an ImageError."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from medray._types import Array
from medray.data.decoding import bmp, dicom, jpeg, png, tiff
from medray.data.decoding.dicom_opening import find_start
from medray.data.decoding.fit import NOTES, fit, lies_on_its_side
from medray.data.decoding.grey_levels import count_levels
from medray.data.decoding.image_error import ImageError, damaged
from medray.data.decoding.picture import Picture
from medray.errors import ConfigError, unknown_choice_line
from medray.space.preparation import ASPECTS, LESION, STRETCHED

FORMATS = ("png", "jpeg", "tiff", "bmp", "dicom")
MAX_PIXELS = 40_000_000
FEW_LEVELS = 64  # of 255: a quarter of the range, which is what 14 bits in a file of 16 come to
_TITLES = {"png": "PNG", "jpeg": "JPEG", "tiff": "TIFF", "bmp": "BMP", "dicom": "DICOM file"}
_READERS: dict[str, Callable[[bytes, int], Picture]] = {
    "png": png.read_png, "tiff": tiff.read_tiff, "bmp": bmp.read_bmp, "dicom": dicom.read_dicom,
}  # fmt: skip


@dataclass(frozen=True)
class Decoded:
    """Pixels uint8 (H, W, C) of a model's shape, contiguous and in memory of their own.

    `format` is one of FORMATS; `height` and `width` are those of the file before it was turned or resized;
    `upright` is the size (height, width) in which it is displayed; `notes` name all that was done to it, in the
    order of NOTES; `opacity` is the mean of its alpha, from 0 to 1, which is 1 without alpha. `levels` is 1 or 2
    where the image has no more grey levels (`count_levels`), else 0.
    """

    pixels: Array
    format: str
    height: int
    width: int
    notes: tuple[str, ...]
    upright: tuple[int, int]
    opacity: float = 1.0
    levels: int = 0


def sniff(content: bytes) -> str | None:
    """Return the format, one of FORMATS, that the first bytes are of; None if they are of none.

    DICOM is recognised by "DICM" behind 128 bytes of anything, or by its first two elements (`find_start`).
    """
    if content.startswith(png.MAGIC):
        return "png"
    if content.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if content[128:132] == b"DICM":
        return "dicom"
    if content.startswith(tiff.MAGICS):
        return "tiff"
    if bmp.looks_like_bmp(content):
        return "bmp"
    return "dicom" if find_start(content) is not None else None


def decode(
    content: bytes, shape: tuple[int, int, int], *, max_pixels: int = MAX_PIXELS, aspect: str = STRETCHED
) -> Decoded:
    """Decode one image and fit it to `shape`, the height, width and channels (1 or 3) of a model's images.

    An image of 8 bits, upright, of the shape and without transparency is returned unchanged, without notes.
    Other depths are scaled to 0..255: grey of 16 bits by 1 / 257, colours of 16 bits by their upper 8 bits,
    fewer bits by their full range; DICOM by its window, and without one from the least to the greatest
    value that the image holds. Where the scaled values use less than a quarter of the range, as 12 bits in a file
    of 16 do, the notes hold "few_grey_levels". Alpha, colour profiles, gamma and DICOM overlays are not applied.

    With `aspect` "stretch" the image is stretched to the shape; with "pad" it keeps the ratio of its sides, with
    black borders; with "lesion" it is cut to the dark spot in its middle first.

    `max_pixels` limits width times height, as does `PIL.Image.MAX_IMAGE_PIXELS` if it is lower. The size is
    checked before any pixel is decoded. Decoding needs up to 16 bytes for each pixel of the file, and of
    JPEG 2000 in DICOM up to 25. Any number of threads may decode at once.

    Raises:
        ImageError: the image is not read; its `kind` says why.
        ConfigError: `shape` is not a shape of images, or `aspect` neither stretch nor pad.
    """
    if len(shape) != 3 or shape[2] not in (1, 3) or min(shape) < 1:
        raise ConfigError(f"shape {shape} must be height, width and 1 or 3 channels")
    if aspect not in ASPECTS:
        raise ConfigError(unknown_choice_line("aspect", aspect, ASPECTS))
    name = sniff(content)
    if name is None:
        raise _unknown_format(content)
    try:
        limit = min(max_pixels, Image.MAX_IMAGE_PIXELS or max_pixels)
        if name == "jpeg":
            enlarged = 4 if aspect == LESION else 1  # the part that is cut out should have enough pixels
            picture = jpeg.read_jpeg(content, limit, (enlarged * shape[0], enlarged * shape[1]))
        else:
            picture = _READERS[name](content, limit)
        pixels, notes = fit(picture, shape, aspect)
        levels = count_levels(picture.image)
        if "rescaled_to_8_bit" in notes:
            opaque = picture.image.convert(picture.image.mode.removesuffix("A"))
            if 0 < np.asarray(opaque).max() <= FEW_LEVELS:
                notes |= {"few_grey_levels"}
    except ImageError:
        raise
    except MemoryError:
        raise ImageError("too_large", f"the {_TITLES[name]} needs more memory than there is") from None
    except Exception:
        # Pillow, numpy, struct and zlib raise many kinds for damaged data, and may quote the data in the message.
        raise damaged(_TITLES[name]) from None
    width, height = picture.size
    upright = (width, height) if lies_on_its_side(picture.orientation) else (height, width)
    ordered = tuple(note for note in NOTES if note in notes)
    return Decoded(pixels, name, height, width, ordered, upright, picture.opacity, levels)


def _unknown_format(content: bytes) -> ImageError:
    """Return the error for content of none of FORMATS, which names another usual format."""
    if content.startswith(b"GIF8"):
        return ImageError("unsupported", "GIF is not read (it may be animated): save it as PNG")
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return ImageError("unsupported", "WebP is not read (it may be animated): save it as PNG")
    problem = "not an image of a known format" if content else "empty"
    return ImageError("unsupported", f"the content is {problem}; formats: {', '.join(FORMATS)}")


def decode_file(path: Path, shape: tuple[int, int, int], aspect: str = STRETCHED) -> Decoded | str:
    """Decode the image in a file as `decode` does; return the reason as text where it can't be read."""
    try:
        return decode(path.read_bytes(), shape, aspect=aspect)
    except ImageError as error:
        return str(error)
    except OSError as error:
        return error.strerror or str(error)

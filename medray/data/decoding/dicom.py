"""DICOM: one frame, brought to 8 bits as the file says that it is to be shown.

The order is that of PS3.4 N.2: stored value, modality rescale, VOI window, and MONOCHROME1 turned round.
Grey values have at most 16 bits, so all of it is worked out once for each value that there can be, and the
pixels are looked up. Overlays and ICC profiles are left out.
"""

import numpy as np
from PIL import Image

from medray._types import Array
from medray.data.decoding.dicom_display import Display, grey_table, palette
from medray.data.decoding.dicom_header import Header, read_header
from medray.data.decoding.dicom_pixels import MEANINGS, Format, Stored, read_stored
from medray.data.decoding.image_error import ImageError, check_size
from medray.data.decoding.picture import BLOCK, Picture, look_up


def read_dicom(content: bytes, limit: int) -> Picture:
    """Read a DICOM file with the preamble, of one frame and at most `limit` pixels.

    Raises:
        ImageError: it is damaged, too large, without pixels, of several frames, or written in a way that is
            not read.
    """
    syntax, header = read_header(content, limit)
    form = read_format(header, limit)
    stored = read_stored(syntax, header, form)
    size = form.columns, form.rows
    if form.samples == 3:
        return Picture(_colours(stored), size, frozenset({"rescaled_to_8_bit"} if stored.bits != 8 else ()))
    if form.meaning == "PALETTE COLOR":
        table = palette(header, stored.bits)
        return Picture(Image.fromarray(look_up_colours(table, stored.values)), size, frozenset({"palette"}))
    seen = np.zeros(2**stored.bits, dtype=bool)
    flat = stored.values.reshape(-1)
    for start in range(0, flat.size, BLOCK):
        seen[flat[start : start + BLOCK]] = True
    display: Display = grey_table(header, stored.bits, seen, inverted=form.meaning == "MONOCHROME1")
    return Picture(Image.fromarray(look_up(display.table, stored.values)), size, display.notes)


def read_format(header: Header, limit: int) -> Format:
    """Read and check what the header says of the pixels, before any is looked at.

    Raises:
        ImageError: it is missing, contradicts itself, or is of a kind that is not read.
    """
    for other in ("FloatPixelData", "DoubleFloatPixelData"):
        if header.get(other) is not None:
            raise ImageError("unsupported", "the DICOM file's pixels are fractions; whole numbers are read")
    if header.get("PixelData") is None:
        raise ImageError("unreadable", "the DICOM file has no PixelData: it holds no image")
    rows, columns = header.number("Rows"), header.number("Columns")
    check_size("DICOM image", columns, rows, limit)
    frames = header.text("NumberOfFrames") or "1"
    if not frames.isdecimal() or len(frames) > 12:
        raise ImageError("unreadable", "the DICOM file's NumberOfFrames is not what it must be")
    if int(frames) > 1:
        raise ImageError("multi_frame", f"the DICOM file holds {int(frames)} frames; only single images are read")
    samples, meaning = header.number("SamplesPerPixel", 1), header.text("PhotometricInterpretation")
    if meaning not in MEANINGS:
        raise ImageError("unsupported", f"the DICOM file's pixels mean none of: {', '.join(MEANINGS)}")
    if samples != (1 if MEANINGS.index(meaning) < 3 else 3):
        raise ImageError(
            "unreadable", "the DICOM file's SamplesPerPixel and PhotometricInterpretation don't agree"
        )
    allocated = header.number("BitsAllocated")
    if allocated not in (8, 16):
        raise ImageError("unsupported", f"the DICOM file has {allocated} bits for each value; 8 and 16 are read")
    stored = header.number("BitsStored", allocated)
    shift = header.number("HighBit", stored - 1) + 1 - stored
    if not 1 <= stored <= allocated or not 0 <= shift <= allocated - stored:
        raise ImageError("unreadable", "the DICOM file's BitsAllocated, BitsStored and HighBit don't agree")
    if meaning.startswith("YBR") and allocated != 8:
        raise ImageError("unsupported", "the DICOM file has YBR colours of 16 bits; 8 are read")
    planar = samples == 3 and header.number("PlanarConfiguration", 0) == 1
    return Format(rows, columns, samples, allocated, stored, shift, meaning, planar)


def look_up_colours(table: Array, values: Array) -> Array:
    """The colours uint8 (H, W, 3) of a palette (n, 3) that values (H, W) number."""
    return np.stack([look_up(table[:, channel], values) for channel in range(3)], axis=-1)


def _colours(stored: Stored) -> Image.Image:
    values = stored.values
    if stored.bits != 8:
        most = 2**stored.bits - 1
        scaled = (np.arange(most + 1) * 255 + most // 2) // most
        values = look_up(scaled.astype(np.uint8), values)
    values = np.ascontiguousarray(values)
    if stored.ybr:
        return Image.frombytes("YCbCr", values.shape[1::-1], values.tobytes()).convert("RGB")
    return Image.fromarray(values)

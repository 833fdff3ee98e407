"""DICOM: one frame, brought to 8 bits as the file says that it is to be displayed.

The order is that of PS3.4 N.2: stored value, modality rescale, VOI window, and MONOCHROME1 inverted.
Grey values have at most 16 bits, so all of it is worked out once for each value that there can be, and the
pixels are looked up. Overlays and ICC profiles are left out.

pydicom reads none of it. It has no bounds: 600,000 empty items (4.8 MB) took it 10 s and 346 MB, five million of
them, deflated to a file of 58 kB, 72 s and 3.2 GB, and it recurses into sequences. What refuses such files is a
walk through all elements, after which they need not be parsed again; and importing pydicom.pixels takes 0.7 s
and 60 MB in each process.
"""

import numpy as np
from PIL import Image

from medray.data.decoding.dicom_display import grey_table, read_palette
from medray.data.decoding.dicom_header import DicomHeader, read_dicom_header
from medray.data.decoding.dicom_pixels import MEANINGS, PixelFormat, read_stored
from medray.data.decoding.image_error import ImageError, check_size
from medray.data.decoding.picture import Picture


def read_dicom(content: bytes, limit: int) -> Picture:
    """Read a DICOM file, with a preamble or without, of one frame and at most `limit` pixels.

    Raises:
        ImageError: it is damaged, too large, without pixels, of several frames, or written in a way that is
            not read.
        struct.error, ValueError, zlib.error: it is damaged.
    """
    header = read_dicom_header(content, limit)
    form = read_format(header, limit)
    stored = read_stored(header, form)
    if form.samples == 3:
        values, notes = stored.values, frozenset[str]()
        if stored.bits != 8:
            highest = 2**stored.bits - 1
            values = ((np.arange(highest + 1) * 255 + highest // 2) // highest).astype(np.uint8)[values]
            notes = frozenset({"rescaled_to_8_bit"})
        mode = "YCbCr" if stored.ybr else "RGB"
        image = Image.frombytes(mode, values.shape[1::-1], values.tobytes()).convert("RGB")
    elif form.meaning == "PALETTE COLOR":
        image, notes = Image.fromarray(read_palette(header, stored.bits)[stored.values]), frozenset({"palette"})
    else:
        used = np.zeros(2**stored.bits, dtype=bool)
        used[stored.values if stored.padded is None else stored.values[~stored.padded]] = True
        table, notes = grey_table(
            header, stored.bits, used, form.padding, inverted=form.meaning == "MONOCHROME1"
        )  # fmt: skip
        displayed = table[stored.values]
        if stored.padded is not None:
            displayed[stored.padded] = 0
        image = Image.fromarray(displayed)
    if header.guessed:
        notes |= {"syntax_guessed"}
    return Picture(image, (form.columns, form.rows), notes)


def read_format(header: DicomHeader, limit: int) -> PixelFormat:
    """Read and check what the header says of the pixels, before any is looked at.

    Raises:
        ImageError: it is missing, contradicts itself, or is of a kind that is not read.
    """
    for fractions in ("FloatPixelData", "DoubleFloatPixelData"):
        if header.get(fractions) is not None:
            raise ImageError("unsupported", "the DICOM file's pixels are fractions; whole numbers are read")
    if header.get("PixelData") is None:
        raise ImageError("unreadable", "the DICOM file has no PixelData: it holds no image")
    rows, columns = header.number("Rows"), header.number("Columns")
    check_size("DICOM image", columns, rows, limit)
    frames = header.text("NumberOfFrames") or "1"
    if not frames.isdecimal() or len(frames) > 12:
        raise ImageError("unreadable", "the DICOM file's NumberOfFrames is malformed")
    if int(frames) > 1:
        raise ImageError(
            "multi_frame",
            f"the DICOM file holds {int(frames)} frames; only single images are read: save "
            "each frame as a file of its own",
        )
    samples, meaning = header.number("SamplesPerPixel", 1), header.text("PhotometricInterpretation")
    if not meaning:
        raise ImageError(
            "unreadable", "the DICOM file has no PhotometricInterpretation, which says what its pixels mean"
        )
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
    signed = header.number("PixelRepresentation", 0) == 1
    padding = _read_padding(header, signed)
    return PixelFormat(rows, columns, samples, allocated, stored, shift, meaning, planar, signed, padding)


def _read_padding(header: DicomHeader, signed: bool) -> tuple[int, int] | None:
    """Return the first and last stored value that are padding (PS3.3 C.7.5.1.1.2), None if none is."""
    absent = 1 << 40  # more than any number in a file
    value, limit = (header.number(name, absent) for name in ("PixelPaddingValue", "PixelPaddingRangeLimit"))
    if value == absent:
        return None
    words = [end & 0xFFFF for end in (value, limit) if end != absent]
    ends = [word - 0x10000 if signed and word >= 0x8000 else word for word in words]
    return min(ends), max(ends)

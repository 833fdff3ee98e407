"""DICOM's stored pixels: native, run-length coded, JPEG or JPEG 2000, as numbers of the bits that are stored."""

import struct
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from PIL import Image

from medray._types import Array
from medray.data.decoding.dicom_header import DicomHeader
from medray.data.decoding.dicom_opening import JPEG_SYNTAXES, NATIVE, RLE
from medray.data.decoding.image_error import ImageError, damaged
from medray.data.decoding.jpeg import decode_jpeg, read_jpeg_header
from medray.data.decoding.jpeg2000 import decode_jpeg2000

_YBR = ("YBR_FULL", "YBR_FULL_422")
MEANINGS = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", *_YBR, "YBR_ICT", "YBR_RCT")


@dataclass(frozen=True)
class PixelFormat:
    """What the header says of the pixels; `meaning` is the photometric interpretation.

    `padding` are the first and last value that mean no pixel, if there are any.
    """

    rows: int
    columns: int
    samples: int
    allocated: int
    stored: int
    shift: int
    meaning: str
    planar: bool
    signed: bool = False
    padding: tuple[int, int] | None = None

    def shaped(self, flat: Array, planar: bool) -> Array:
        """Return flat values as (H, W) or (H, W, samples), which lie pixel by pixel or plane by plane."""
        if self.samples == 1:
            return flat.reshape(self.rows, self.columns)
        if planar:
            return flat.reshape(self.samples, self.rows, self.columns).transpose(1, 2, 0)
        return flat.reshape(self.rows, self.columns, self.samples)


@dataclass(frozen=True)
class Stored:
    """Values uint8 or uint16 (H, W) or (H, W, 3) of `bits` bits; signed ones are in two's complement.

    `padded` bool (H, W) are the pixels whose padding has more bits than values have, if there are any.
    """

    values: Array
    bits: int
    ybr: bool = False
    padded: Array | None = None


def read_stored(header: DicomHeader, form: PixelFormat) -> Stored:
    """Decode the pixels.

    Raises:
        ImageError: they are damaged, of several frames, or written in a way that is not read.
        struct.error, ValueError: they are damaged.
    """
    element = header.get("PixelData")
    if element is None:
        raise ImageError("unreadable", "the DICOM file has no PixelData")
    if (element.fragments is None) != (header.syntax in NATIVE):
        raise damaged("DICOM file")
    if element.fragments is None:
        stored = _native(element.value, header, form, element.vr)
    else:
        table, *parts = element.fragments or (b"",)
        if len(table) > 4:  # one offset per frame
            raise ImageError("multi_frame", "the DICOM file holds the pixels of several frames")
        if not parts:
            raise damaged("DICOM file")
        data = b"".join(parts)
        if header.syntax in JPEG_SYNTAXES:
            return _jpeg(data, form)
        if header.syntax != RLE:
            values, bits = decode_jpeg2000(data, form.columns, form.rows, form.samples)
            return Stored(values, bits, form.meaning in _YBR)
        stored = _run_length(data, form)
    padded = _wide_padding(stored, form)
    if form.shift or form.stored < 8 * stored.itemsize:
        stored = (stored >> form.shift) & (2**form.stored - 1)
    return Stored(stored, form.stored, form.meaning in _YBR, padded)


def _wide_padding(words: Array, form: PixelFormat) -> Array | None:
    """Return which words are padding, where its value needs more bits than are stored: -32768 among 12 bits."""
    low = -(2 ** (form.stored - 1)) if form.signed else 0
    if (
        form.samples > 1
        or form.padding is None
        or low <= form.padding[0] <= form.padding[1] < low + 2**form.stored
    ):
        return None
    values = (
        words.view(np.dtype(f"i{words.itemsize}").newbyteorder(words.dtype.byteorder)) if form.signed else words
    )
    padded: Array = (form.padding[0] <= values) & (values <= form.padding[1])
    return padded


def _native(value: memoryview, header: DicomHeader, form: PixelFormat, vr: bytes) -> Array:
    """Read plain numbers; YBR_FULL_422 has one pair of colours for two pixels."""
    halved = form.meaning == "YBR_FULL_422"
    size = form.rows * form.columns * form.samples * form.allocated // 8 * (2 if halved else 3) // 3
    if len(value) < size or (halved and (form.columns % 2 or form.allocated != 8)):
        raise damaged("DICOM file")
    if len(value) >= 2 * size + 2:
        raise ImageError("multi_frame", "the DICOM file holds the pixels of several frames")
    if form.allocated == 8 and header.big and vr == b"OW":  # bytes in words, which were turned round
        words = bytes(value[: size + size % 2]).ljust(size + size % 2, b"\0")
        flat = np.frombuffer(words, np.uint8).reshape(-1, 2)[:, ::-1].reshape(-1)[:size]
    else:
        flat = np.frombuffer(value[:size], np.uint8 if form.allocated == 8 else f"{header.order}u2")
    if halved:
        first, second, blue, red = (flat[start::4] for start in range(4))
        flat = np.stack([first, blue, red, second, blue, red], axis=1).reshape(-1)
    return form.shaped(flat, form.planar)


def _run_length(data: bytes, form: PixelFormat) -> Array:
    """Read planes of bytes, most significant first, each packed by itself (PS3.5 annex G) as PackBits."""
    width = form.allocated // 8
    count, *starts = struct.unpack_from("<16L", data)
    starts = [*starts[:count], len(data)]
    if count != form.samples * width or any(a > b for a, b in pairwise(starts)):
        raise damaged("DICOM file")
    pixels = form.rows * form.columns
    planes = np.empty((form.samples, pixels, width), dtype=np.uint8)
    for plane, (start, end) in enumerate(pairwise(starts)):
        sample, byte = divmod(plane, width)
        unpacked = Image.frombytes("L", (pixels, 1), data[start:end], "packbits", "L")  # stops at the last pixel
        planes[sample, :, byte] = np.frombuffer(unpacked.tobytes(), np.uint8)
    flat = planes.reshape(-1) if width == 1 else planes.view(">u2").reshape(-1).astype(np.uint16)
    return form.shaped(flat, planar=True)


def _jpeg(data: bytes, form: PixelFormat) -> Stored:
    header = read_jpeg_header(data)
    if (*header.size, len(header.components)) != (form.columns, form.rows, form.samples):
        raise ImageError("unreadable", "the DICOM file's JPEG is not of the size that the file says")
    if header.components in (b"RGB", b"rgb"):
        ybr = False
    else:
        # As JFIF and Adobe's marker say; without them the file's own word holds.
        ybr = bool(header.jfif) or header.adobe[15:16] == b"\1" or form.meaning != "RGB"
    marker = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + (b"\1" if ybr else b"\0")
    return Stored(np.asarray(decode_jpeg(header, marker if form.samples == 3 else b"")), 8)

"""DICOM's stored pixels: native, run-length coded, JPEG or JPEG 2000, as numbers of the bits that are stored."""

import struct
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from PIL import Image

from medray._types import Array
from medray.data.decoding.dicom_header import JPEG_SYNTAXES, NATIVE, RLE, Header
from medray.data.decoding.image_error import ImageError, damaged
from medray.data.decoding.jpeg import decode_jpeg, read_jpeg_header
from medray.data.decoding.jpeg2000 import decode_jpeg2000

_YBR = ("YBR_FULL", "YBR_FULL_422")
MEANINGS = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", *_YBR, "YBR_ICT", "YBR_RCT")


@dataclass(frozen=True)
class Format:
    """What the header says of the pixels; `meaning` is the photometric interpretation."""

    rows: int
    columns: int
    samples: int
    allocated: int
    stored: int
    shift: int
    meaning: str
    planar: bool

    @property
    def values(self) -> int:
        """How many numbers there are."""
        return self.rows * self.columns * self.samples


@dataclass(frozen=True)
class Stored:
    """Values uint8 or uint16 (H, W) or (H, W, 3) of `bits` bits; signed ones are in two's complement."""

    values: Array
    bits: int
    ybr: bool = False


def read_stored(syntax: str, header: Header, form: Format) -> Stored:
    """Decode the pixels.

    Raises:
        ImageError: they are damaged, of several frames, or written in a way that is not read.
    """
    element = header.get("PixelData")
    if element is None:
        raise ImageError("unreadable", "the DICOM file has no PixelData")
    if (element.fragments is None) != (syntax in NATIVE):
        raise damaged("DICOM file")
    if element.fragments is None:
        stored = _native(element.value, header, form, element.vr)
    else:
        data = _joined(element.fragments)
        if syntax == RLE:
            stored = _run_length(data, form)
        elif syntax in JPEG_SYNTAXES:
            return _jpeg(data, form)
        else:
            return _jpeg2000(data, form)
    mask = 2**form.stored - 1
    if form.shift or form.stored < 8 * stored.itemsize:
        stored = (stored >> form.shift) & mask
    return Stored(stored, form.stored, form.meaning in _YBR)


def _native(value: memoryview, header: Header, form: Format, vr: bytes) -> Array:
    """Plain numbers, pixel by pixel or plane by plane; YBR_FULL_422 has one pair of colours for two pixels."""
    shared = form.meaning == "YBR_FULL_422"
    size = form.values * form.allocated // 8 * (2 if shared else 3) // 3
    if len(value) < size or (shared and (form.columns % 2 or form.allocated != 8)):
        raise damaged("DICOM file")
    if len(value) >= 2 * size + 2:
        raise ImageError("multi_frame", "the DICOM file holds the pixels of several frames")
    if form.allocated == 8 and header.big and vr == b"OW":  # bytes in words, which were turned round
        words = bytes(value[: size + size % 2]).ljust(size + size % 2, b"\0")
        flat = np.frombuffer(words, np.uint8).reshape(-1, 2)[:, ::-1].reshape(-1)[:size]
    else:
        kind = np.dtype(np.uint8) if form.allocated == 8 else np.dtype(f"{header.order}u2")
        flat = np.frombuffer(value[:size], kind)
    if shared:
        first, second, blue, red = (flat[at::4] for at in range(4))
        flat = np.stack([first, blue, red, second, blue, red], axis=1).reshape(-1)
    return _shaped(flat, form, form.planar)


def _shaped(flat: Array, form: Format, planar: bool) -> Array:
    if form.samples == 1:
        return flat.reshape(form.rows, form.columns)
    if planar:
        return flat.reshape(form.samples, form.rows, form.columns).transpose(1, 2, 0)
    return flat.reshape(form.rows, form.columns, form.samples)


def _joined(fragments: tuple[memoryview, ...]) -> bytes:
    """The fragments of the only frame, behind the table of offsets."""
    if len(fragments) < 2:
        raise damaged("DICOM file")
    if len(fragments[0]) > 4:  # one offset per frame
        raise ImageError("multi_frame", "the DICOM file holds the pixels of several frames")
    return bytes(fragments[1]) if len(fragments) == 2 else b"".join(fragments[1:])


def _run_length(data: bytes, form: Format) -> Array:
    """Planes of bytes, most significant first, each packed by itself (PS3.5 annex G) as TIFF's PackBits are."""
    width = form.allocated // 8
    count, *starts = struct.unpack_from("<16L", data)
    starts = [*starts[:count], len(data)]
    if count != form.samples * width or any(a > b for a, b in pairwise(starts)):
        raise damaged("DICOM file")
    pixels = form.rows * form.columns
    planes = np.empty((form.samples, pixels, width), dtype=np.uint8)
    for plane in range(count):
        segment = data[starts[plane] : starts[plane + 1]]
        sample, byte = divmod(plane, width)
        unpacked = Image.frombytes("L", (pixels, 1), segment, "packbits", "L")  # stops at the last pixel
        planes[sample, :, byte] = np.frombuffer(unpacked.tobytes(), np.uint8)
    flat = planes.reshape(-1) if width == 1 else planes.view(">u2").reshape(-1).astype(np.uint16)
    return _shaped(flat, form, planar=True)


def _jpeg(data: bytes, form: Format) -> Stored:
    found = read_jpeg_header(data)
    names, count = found.components, len(found.components)
    if (*found.size, count) != (form.columns, form.rows, form.samples):
        raise ImageError("unreadable", "the DICOM file's JPEG is not of the size that the file says")
    if names in (b"RGB", b"rgb"):
        ybr = False
    else:
        # As JFIF and Adobe's marker say; without them the file's own word holds.
        ybr = bool(found.jfif) or found.adobe[15:16] == b"\1" or form.meaning != "RGB"
    marker = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + (b"\1" if ybr else b"\0")
    image = decode_jpeg(found, marker if count == 3 else b"")
    return Stored(np.asarray(image), 8)


def _jpeg2000(data: bytes, form: Format) -> Stored:
    found = decode_jpeg2000(data, form.columns, form.rows, form.samples)
    return Stored(found.values, found.bits, form.meaning in _YBR)

"""JPEG: its segments are read here, its pixels are decoded by Pillow's own decoder.

The decoder is given the segments that make pixels and no other: no EXIF, no profile, no comment, no second
picture. What is declared here is therefore what the decoder meets.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from PIL import Image

from medray.data.decoding.exif import orientation
from medray.data.decoding.fit import lies_on_its_side
from medray.data.decoding.image_error import ImageError, check_size, damaged
from medray.data.decoding.picture import Picture, plain

MAX_SEGMENTS = 10_000
MAX_SCANS = 64  # a progressive file has about 10; each one costs time for the whole image
ENOUGH = 4  # how many times the wanted size is decoded; more changes no value by more than 2
_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended and progressive, all with Huffman codes
_OTHER_FRAMES = {0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)}
_KEPT = {0xC4, 0xDB, 0xDD, *_FRAMES}  # with the tables of codes and of steps, and the restart interval
_SCAN = b"\xff\xda"
_JFIF, _EXIF, _ADOBE = 0xE0, 0xE1, 0xEE
_APPS = {_JFIF: b"JFIF\0", _EXIF: b"Exif\0\0", _ADOBE: b"Adobe"}
_FRAME = struct.Struct(">BHHB")
_MODES = {1: ("L", "L"), 3: ("RGB", "RGB"), 4: ("CMYK", "CMYK;I")}


class Header(NamedTuple):
    """What comes before the first scan: the size, the components, and the segments to decode by."""

    width: int
    height: int
    components: bytes  # their names, one byte each
    tables: bytes
    scans: memoryview
    jfif: bytes
    adobe: bytes
    exif: bytes


def read_jpeg(content: bytes, limit: int, shape: tuple[int, int, int]) -> Picture:
    """Read a JPEG of at most `limit` pixels for a model of `shape`.

    Of a picture that is much larger than the model, the decoder works out half, a quarter or an eighth of
    the pixels of each side, as means over blocks, and at least 4 times as many as the model takes. Where a
    file holds more pictures behind the first (a phone's depth map, a stereo pair), the first is read.

    Raises:
        ImageError: it is damaged, too large, or written in a way that is not read.
    """
    header = read_header(content)
    check_size("JPEG", header.width, header.height, limit)
    turn = orientation(header.exif) if header.exif else 1
    wanted = (shape[1], shape[0]) if not lies_on_its_side(turn) else (shape[0], shape[1])
    scale = next(
        (s for s in (8, 4, 2) if all(n // s >= ENOUGH * w for n, w in zip(_size(header), wanted, strict=True))), 1
    )
    image, notes = plain(decode_jpeg(header, header.jfif + header.adobe, scale), "JPEG")
    box = (0.0, 0.0, header.width / scale, header.height / scale) if scale > 1 else None
    return Picture(image, _size(header), notes, turn, box)


def read_header(content: bytes) -> Header:
    """Read the segments before the first scan.

    Raises:
        ImageError: it is damaged, or written in a way that is not read.
    """
    frame, tables, apps = b"", [], dict.fromkeys((_JFIF, _EXIF, _ADOBE), b"")
    position = 2
    for marker, start, position in _segments(content):
        segment, body = content[start:position], content[start + 4 : position]
        if marker in _OTHER_FRAMES:
            raise ImageError("unsupported", "the JPEG is lossless, hierarchical or arithmetic; that is not read")
        if marker in _FRAMES:
            if frame:
                raise damaged("JPEG")
            frame = body
        if marker in _KEPT:
            tables.append(segment)
        elif body.startswith(_APPS.get(marker, b"none of them")):
            apps[marker] = apps[marker] or segment
    if content.count(_SCAN, position) > MAX_SCANS:  # coded data never hold these two bytes
        raise ImageError("too_large", f"the JPEG has more than {MAX_SCANS} scans")
    width, height, names = _read_frame(frame)
    scans = memoryview(content)[position:]
    return Header(width, height, names, b"".join(tables), scans, apps[_JFIF], apps[_ADOBE], apps[_EXIF][10:])


def _segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield each segment's marker, its start and its end, up to the first scan."""
    position, end = 2, len(content)
    for _ in range(MAX_SEGMENTS):
        position = content.find(b"\xff", position)
        while 0 <= position < end - 1 and content[position + 1] == 0xFF:  # any number of them may fill a gap
            position += 1
        if position < 0 or position + 4 > end:
            raise damaged("JPEG")
        marker, start = content[position + 1], position
        if marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:  # these stand alone
            position += 2
            continue
        if marker == _SCAN[1]:
            yield marker, position, position
            return
        length = int.from_bytes(content[position + 2 : position + 4])
        position += 2 + length
        if length < 2 or position > end or marker == 0xD9:
            raise damaged("JPEG")
        yield marker, start, position
    raise ImageError("too_large", f"the JPEG has more than {MAX_SEGMENTS} segments before its pixels")


def decode_jpeg(header: Header, colours: bytes, scale: int = 1) -> Image.Image:
    """Decode the pixels, 1 / `scale` of each side; `colours` are the segments that say how colours are stored.

    The mode is L, RGB or CMYK.

    Raises:
        ImageError: there are 2 components, or more than 4.
        ValueError: the data are damaged or end too early.
    """
    if len(header.components) not in _MODES:
        raise ImageError("unsupported", f"the JPEG has {len(header.components)} components; 1, 3 and 4 are read")
    mode, rawmode = _MODES[len(header.components)]
    size = -(-header.width // scale), -(-header.height // scale)
    data = b"".join((b"\xff\xd8", colours, header.tables, header.scans))
    return Image.frombytes(mode, size, data, "jpeg", rawmode, "", scale, 0)


def _size(header: Header) -> tuple[int, int]:
    return header.width, header.height


def _read_frame(frame: bytes) -> tuple[int, int, bytes]:
    """Width, height and the components' names of a frame's header."""
    if len(frame) < 6:
        raise damaged("JPEG")
    precision, height, width, count = _FRAME.unpack_from(frame)
    if len(frame) != 6 + 3 * count:
        raise damaged("JPEG")
    if precision != 8:
        raise ImageError("unsupported", f"the JPEG has {precision} bits per sample; 8 are read")
    return width, height, frame[6::3]

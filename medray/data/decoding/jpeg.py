"""JPEG: its segments are checked here, its pixels are decoded by Pillow's own decoder.

The decoder is given the segments that make pixels and no other: no EXIF, no profile, no comment, no second
picture. What is checked here is therefore what the decoder meets. Pillow's reader (`JpegImageFile`) reads all
segments and all scans: 4 MB of empty comments took it 1.1 s.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from PIL import Image

from medray.data.decoding.fit import lies_on_its_side
from medray.data.decoding.image_error import ImageError, check_size, damaged
from medray.data.decoding.picture import Picture, simplify_mode
from medray.data.decoding.tiff_directory import exif_orientation

MAX_SEGMENTS = 10_000
MAX_SCANS = 64  # a progressive file has about 10; each one costs time for the entire image
ENOUGH = 4  # decode to so many times the model's size; more changes no value by more than 2
_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended and progressive, all with Huffman codes
_OTHER_FRAMES = {0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)}
_KEPT = {0xC4, 0xDB, 0xDD, *_FRAMES}  # with the tables of codes and of steps, and the restart interval
_SCAN = b"\xff\xda"
_JFIF, _EXIF, _ADOBE = 0xE0, 0xE1, 0xEE
_APPS = {_JFIF: b"JFIF\0", _EXIF: b"Exif\0\0", _ADOBE: b"Adobe"}
_MODES = {1: ("L", "L"), 3: ("RGB", "RGB"), 4: ("CMYK", "CMYK;I")}


class JpegHeader(NamedTuple):
    """What comes before the first scan: the size, the components, and the segments to decode by."""

    size: tuple[int, int]  # width and height
    components: bytes  # their names, one byte each
    tables: bytes
    scans: memoryview
    jfif: bytes
    adobe: bytes
    exif: bytes


def read_jpeg(content: bytes, limit: int, least: tuple[int, int]) -> Picture:
    """Read a JPEG of at most `limit` pixels for a model that takes the height and width `least`.

    Of a picture that is much larger than the model's images, the decoder works out half, a quarter or an eighth
    of the pixels of each side, as means over blocks, and at least 4 times as many as the model takes. Where a
    file holds more pictures behind the first (a phone's depth map, a stereo pair), the first is read.

    Raises:
        ImageError: it is damaged, too large, or written in a way that is not read.
        struct.error, ValueError: it is damaged.
    """
    header = read_jpeg_header(content)
    width, height = header.size
    check_size("JPEG", width, height, limit)
    turn = exif_orientation(header.exif)
    across, down = least if lies_on_its_side(turn) else reversed(least)
    ratio = min(width // (ENOUGH * across), height // (ENOUGH * down))
    scale = next((scale for scale in (8, 4, 2) if scale <= ratio), 1)
    image, notes = simplify_mode(decode_jpeg(header, header.jfif + header.adobe, scale), "JPEG")
    box = (0.0, 0.0, width / scale, height / scale) if scale > 1 else None
    return Picture(image, header.size, notes, turn, box)


def read_jpeg_header(content: bytes) -> JpegHeader:
    """Read the segments before the first scan.

    Raises:
        ImageError: it is damaged, or written in a way that is not read.
        struct.error: it has no frame, or one that is cut short.
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
        elif marker in apps and body.startswith(_APPS[marker]):
            apps[marker] = apps[marker] or segment
    if content.count(_SCAN, position) > MAX_SCANS:  # coded data never hold these two bytes
        raise ImageError("too_large", f"the JPEG has more than {MAX_SCANS} scans")
    precision, height, width, count = struct.unpack_from(">BHHB", frame)
    if len(frame) != 6 + 3 * count:
        raise damaged("JPEG")
    if precision != 8:
        raise ImageError("unsupported", f"the JPEG has {precision} bits per sample; 8 are read")
    return JpegHeader(
        (width, height), frame[6::3], b"".join(tables), memoryview(content)[position:], apps[_JFIF], apps[_ADOBE],
        apps[_EXIF][10:],
    )  # fmt: skip


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


def decode_jpeg(header: JpegHeader, colours: bytes, scale: int = 1) -> Image.Image:
    """Decode the pixels, 1 / `scale` of each side; `colours` are the segments that say how colours are stored.

    The mode is L, RGB or CMYK.

    Raises:
        ImageError: there are 2 components, or more than 4.
        ValueError: the data are damaged or end too early.
    """
    if len(header.components) not in _MODES:
        raise ImageError("unsupported", f"the JPEG has {len(header.components)} components; 1, 3 and 4 are read")
    mode, rawmode = _MODES[len(header.components)]
    width, height = (-(-side // scale) for side in header.size)
    data = b"".join((b"\xff\xd8", colours, header.tables, header.scans))
    return Image.frombytes(mode, (width, height), data, "jpeg", rawmode, "", scale, 0)

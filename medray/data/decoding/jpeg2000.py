"""JPEG 2000, as DICOM holds it: the code stream is checked here and decoded by Pillow.

A few bytes of a header can ask of a decoder a structure for every pixel, or thousands for every tile: precincts of
2 x 2 pixels, in a file of 3 kB and 900 x 1000 pixels, took Pillow 420 MB. Such a stream is refused; what encoders
write is far from these limits.
"""

import io
import struct

import numpy as np

from medray._types import Array
from medray.data.decoding.image_error import ImageError, damaged

MAX_SEGMENTS = 100_000
MAX_TILES = 4096
MAX_LAYERS = 64
MIN_BLOCK = 10  # a code block is at least 2^10 samples
MIN_PRECINCT = 512  # pixels of the image for each precinct of a component, but for the first thousand
_OPENING = b"\xff\x4f\xff\x51"  # its start, and the segment of its size
_TILE_PART, _TILE_DATA, _END = 0xFF90, 0xFF93, 0xFFD9
_STYLE, _STYLE_OF_ONE = 0xFF52, 0xFF53


def decode_jpeg2000(data: bytes, width: int, height: int, samples: int) -> tuple[Array, int]:
    """Decode an image that must be of this size in pixels and of this many samples for each.

    Returns values uint8 or uint16 (H, W) or uint8 (H, W, 3), and how many bits they have; signed values are in
    two's complement.

    Raises:
        ImageError: it is of another size, damaged, or written in a way that is not read.
    """
    from PIL import Jpeg2KImagePlugin

    if data[4:8] == b"jP  ":
        # DICOM wants the bare code stream; the boxes around it could name other colours.
        raise ImageError("unsupported", "the DICOM file's JPEG 2000 image is a whole JP2 file; that is not read")
    bits, signed = _read_size(data, width, height, samples)
    _check_styles(data, (width, height))
    opened = Jpeg2KImagePlugin.Jpeg2KImageFile(io.BytesIO(data))
    if opened.size != (width, height):
        raise damaged("JPEG 2000 image")
    opened.load()
    values = np.array(opened)
    # Pillow scales up to 8 or 16 bits, and counts signed values from the lowest.
    values >>= 8 * values.itemsize - bits
    if signed:
        values = (values ^ (1 << bits - 1)).astype(values.dtype)
    return values, bits


def _read_size(stream: bytes, width: int, height: int, samples: int) -> tuple[int, bool]:
    """Check the first segment; return the bits of a sample, and whether it has a sign."""
    if len(stream) < 44 or stream[:4] != _OPENING:
        raise damaged("JPEG 2000 image")
    _, _, right, below, left, top, tile_width, tile_height, tile_left, tile_top, count = struct.unpack_from(
        ">HHLLLLLLLLH", stream, 4
    )
    parts = stream[42 : 42 + 3 * count]
    if (right - left, below - top, count) != (width, height, samples) or len(parts) != 3 * count:
        raise ImageError("unreadable", "the DICOM file's JPEG 2000 image is not of the size that the file says")
    if not tile_width or not tile_height or tile_left > left or tile_top > top:
        raise damaged("JPEG 2000 image")
    tiles = -(-(right - tile_left) // tile_width) * -(-(below - tile_top) // tile_height)
    if tiles > MAX_TILES:
        raise ImageError(
            "too_large", f"the JPEG 2000 image is cut into {tiles} tiles; at most {MAX_TILES} are read"
        )
    bits, signed = (parts[0] & 0x7F) + 1, bool(parts[0] & 0x80)
    alike = parts == (parts[:1] + b"\1\1") * count  # of the same bits, and none of fewer pixels than others
    if not alike or bits > (16 if count == 1 else 8) or (signed and count > 1):
        raise ImageError("unsupported", "the JPEG 2000 image holds samples of a kind that is not read")
    return bits, signed


def _check_styles(stream: bytes, size: tuple[int, int]) -> None:
    """Walk through the headers of the stream and of its parts, and check each coding style."""
    position, part_end, index_size = 2, 0, 2 if int.from_bytes(stream[40:42]) > 256 else 1
    for _ in range(MAX_SEGMENTS):
        if position + 4 > len(stream):
            return
        marker, length = struct.unpack_from(">HH", stream, position)
        if marker == _END:
            return
        if marker == _TILE_DATA:
            if not part_end:  # the last part, of unknown length
                return
            if part_end <= position:
                raise damaged("JPEG 2000 image")
            position = part_end
            continue
        if length < 2 or marker < 0xFF00:
            raise damaged("JPEG 2000 image")
        body = stream[position + 4 : position + 2 + length]
        if marker == _TILE_PART:
            if len(body) != 8:
                raise damaged("JPEG 2000 image")
            part_size = int.from_bytes(body[2:6])
            part_end = position + part_size if part_size else 0
        elif marker == _STYLE:
            _check_style(body[0] & 1, int.from_bytes(body[2:4]), body[5:], size)
        elif marker == _STYLE_OF_ONE:
            _check_style(body[index_size] & 1, 1, body[index_size + 1 :], size)
        position += 2 + length
    raise ImageError("too_large", f"the JPEG 2000 image has more than {MAX_SEGMENTS} segments")


def _check_style(has_precincts: int, layers: int, body: bytes, size: tuple[int, int]) -> None:
    """Check the number of layers, the size of code blocks, and the sizes of precincts, one per resolution."""
    if len(body) < 5 or body[0] > 32:
        raise damaged("JPEG 2000 image")
    levels, block = body[0], body[1] + 2 + body[2] + 2
    precincts = 0
    for resolution, sides in enumerate(body[5 : 6 + levels] if has_precincts else b""):
        reduced = levels - resolution
        across, down = (
            -(-side // 2 ** (reduced + power)) for side, power in zip(size, (sides & 15, sides >> 4), strict=True)
        )
        precincts += across * down
    if layers > MAX_LAYERS or block < MIN_BLOCK or precincts > 1000 + size[0] * size[1] // MIN_PRECINCT:
        raise ImageError("unsupported", "the JPEG 2000 image is cut into smaller pieces than are read")

"""TIFF's strips and tiles: each is inflated to exactly the size that it must have, and put in its place."""

import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

from medray._types import Array
from medray.data.decoding.image_error import damaged

NONE, LZW, PACK_BITS = 1, 5, 32773
COMPRESSIONS = {NONE: "none", LZW: "LZW", 8: "deflate", PACK_BITS: "PackBits", 32946: "deflate"}
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_CLEAR, _END = 256, 257
#: In LZW a code's number since the table was cleared says how many bits it has, and so where it begins.
_NUMBERS = np.arange(3840)[:, None]
_WIDTHS = 9 + (_NUMBERS >= (254, 766, 1790)).sum(axis=1, dtype=np.int32)
_STARTS = np.cumsum(_WIDTHS, dtype=np.int32) - _WIDTHS
#: Which of a code's 16 bits, the lowest first, GIF would write.
_USED = np.arange(16) < 9 + (_NUMBERS >= (255, 767, 1791)).sum(axis=1, keepdims=True)


class Parts(NamedTuple):
    """Where the parts of an image are and how they are written.

    `places` are (start, size) in bytes, row by row of parts, plane by plane. A part is `height` rows of
    `row_values` values of `bits` bits; the last strip is shorter unless parts are `whole`, as tiles are.
    `step` is how many values back the difference was taken from, 0 if values are stored as they are.
    """

    places: tuple[tuple[int, int], ...]
    planes: int
    across: int
    down: int
    height: int
    row_values: int
    step: int
    bits: int
    rows: int
    whole: bool
    compression: int
    reverse: bool
    order: str


def read_rows(content: bytes, parts: Parts) -> Array:
    """Read all parts into rows of bytes uint8 (planes, rows, bytes); where they are tiles, with their margins.

    Raises:
        ImageError: a part lies outside of the file, or is damaged.
    """
    row_bytes, view = (parts.row_values * parts.bits + 7) // 8, memoryview(content)
    rows = np.empty((parts.planes, parts.down * parts.height, parts.across * row_bytes), dtype=np.uint8)
    for number, (start, size) in enumerate(parts.places):
        plane, place = divmod(number, parts.across * parts.down)
        row, column = divmod(place, parts.across)
        top = row * parts.height
        height = parts.height if parts.whole else min(parts.height, parts.rows - top)
        if start + size > len(content):
            raise damaged("TIFF")
        data = _inflate(view[start : start + size], parts, height * row_bytes)
        block = np.frombuffer(data, dtype=np.uint8, count=height * row_bytes).reshape(height, row_bytes)
        if parts.step:
            block = _summed(block, parts)
        rows[plane, top : top + height, column * row_bytes : (column + 1) * row_bytes] = block
    return rows


def _inflate(data: memoryview, parts: Parts, size: int) -> bytes | memoryview:
    data = data[: 3 * size + 1024]  # more is never needed, and parts may lie upon one another
    if parts.reverse:
        data = memoryview(bytes(data).translate(_REVERSED))
    found: bytes | memoryview
    if parts.compression == NONE:
        found = data[:size]
    elif parts.compression == PACK_BITS:
        found = Image.frombytes("L", (size, 1), bytes(data), "packbits", "L").tobytes()
    elif parts.compression == LZW:
        found = unpack_lzw(bytes(data), size)
    else:
        found = zlib.decompressobj().decompress(data, size)
    if len(found) < size:
        raise damaged("TIFF")
    return found


def _summed(block: Array, parts: Parts) -> Array:
    """Undo horizontal differencing: each value is the sum of the differences before it (TIFF 6.0 section 14)."""
    kind = np.dtype(np.uint8 if parts.bits == 8 else f"{parts.order}u2")
    values = block.view(kind).reshape(len(block), -1, parts.step)
    return (
        np.cumsum(values, axis=1, dtype=values.dtype.newbyteorder("="))
        .astype(kind)
        .view(np.uint8)
        .reshape(block.shape)
    )


def unpack_lzw(data: bytes, size: int) -> bytes:
    """Unpack TIFF's LZW (TIFF 6.0 section 13) to exactly `size` bytes.

    GIF's LZW is the same but for two things: codes are packed from the lowest bit, and each width sets in
    one code later. Packing them anew for Pillow's decoder of GIF takes a fifth of the time that following
    them in Python would take.

    Raises:
        ImageError: the data don't begin as they must.
        ValueError: the data are damaged or end too early.
    """
    if data[:1] != b"\x80":  # all data begin by clearing the table
        raise damaged("TIFF")
    packed = np.concatenate(list(_as_gif(data)))
    blocks = np.zeros((-(-len(packed) // 255), 256), dtype=np.uint8)
    blocks[:, 0] = 255  # each opens by its length
    blocks[-1, 0] = len(packed) - 255 * (len(blocks) - 1)
    blocks[:, 1:] = np.pad(packed, (0, -len(packed) % 255)).reshape(-1, 255)
    return Image.frombytes("L", (size, 1), blocks.tobytes()[: len(packed) + len(blocks)], "gif", 8, 0).tobytes()


def _as_gif(data: bytes) -> Iterator[Array]:
    """Yield the codes of TIFF's LZW, packed as GIF packs them: bytes for each run up to a cleared table."""
    padded, position = np.frombuffer(data + bytes(3), dtype=np.uint8), 9
    bits = np.unpackbits(np.frombuffer(b"\0\1", np.uint8), bitorder="little")[:9]  # the first clearing code
    while True:
        many = int(np.searchsorted(_STARTS + _WIDTHS, 8 * len(data) - position, side="right"))
        starts = position + _STARTS[:many]
        first, second, third = (padded[(starts >> 3) + after].astype(np.int32) for after in range(3))
        codes = (first << 16 | second << 8 | third) >> (24 - (starts & 7) - _WIDTHS[:many])
        codes &= (1 << _WIDTHS[:many]) - 1
        stops = np.flatnonzero((codes == _CLEAR) | (codes == _END))
        many = int(stops[0]) + 1 if len(stops) else many
        pairs = codes[:many].astype("<u2").view(np.uint8).reshape(-1, 2)
        bits = np.concatenate((bits, np.unpackbits(pairs, axis=1, bitorder="little")[_USED[:many]]))
        whole = len(bits) // 8 * 8
        yield np.packbits(bits[:whole], bitorder="little")
        bits = bits[whole:]
        if not len(stops) or codes[many - 1] == _END:
            break
        position += int(_STARTS[many - 1] + _WIDTHS[many - 1])
    yield np.packbits(bits, bitorder="little")

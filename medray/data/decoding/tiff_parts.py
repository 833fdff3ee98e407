"""TIFF's strips and tiles: decompress each to exactly the size that the header implies, and join them to rows.

libtiff, through which Pillow reads every compressed TIFF, prints to standard error for each damaged part ("Using
code not yet in table"), so parts are decompressed here: by zlib, and by Pillow's decoders of PackBits and GIF.
"""

import zlib
from collections.abc import Iterator
from itertools import product
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
_CODE_NUMBERS = np.arange(3840)[:, None]
_WIDTHS = 9 + (_CODE_NUMBERS >= (254, 766, 1790)).sum(axis=1, dtype=np.int32)
_STARTS = np.cumsum(_WIDTHS, dtype=np.int32) - _WIDTHS
#: Which of a code's 16 bits, the lowest first, GIF would write.
_GIF_CODE_BITS = np.arange(16) < 9 + (_CODE_NUMBERS >= (255, 767, 1791)).sum(axis=1, keepdims=True)


class TiffParts(NamedTuple):
    """The strips or tiles of an image: where they lie in the file and how they are encoded.

    Each of the `planes` is a grid of `grid_rows` × `grid_columns` parts. `spans` are their (start, size) in bytes,
    row by row, plane by plane. A part is `height` rows of `width` pixels of `samples` samples of `bits` bits; the
    last strip may be shorter, a tile never is. `rows` is the height of the image; `differences` says that each
    value is stored as the difference from the one to its left; `order` is the byte order, "<" or ">".
    """

    spans: tuple[tuple[int, int], ...]
    planes: int
    grid_columns: int
    grid_rows: int
    width: int
    height: int
    samples: int
    bits: int
    rows: int
    tiled: bool
    compression: int
    differences: bool
    bits_reversed: bool
    order: str


def read_rows(content: bytes, parts: TiffParts) -> Array:
    """Read all parts into rows of bytes uint8 (planes, rows, bytes); where they are tiles, with their margins.

    Raises:
        ImageError: a part lies outside of the file, or is damaged.
    """
    row_bytes, view = (parts.width * parts.samples * parts.bits + 7) // 8, memoryview(content)
    rows = np.empty((parts.planes, parts.grid_rows * parts.height, parts.grid_columns * row_bytes), dtype=np.uint8)
    numbers = product(range(parts.planes), range(parts.grid_rows), range(parts.grid_columns))
    for (plane, row, column), (start, size) in zip(numbers, parts.spans, strict=True):
        top = row * parts.height
        height = parts.height if parts.tiled else min(parts.height, parts.rows - top)
        if start + size > len(content):
            raise damaged("TIFF")
        data = _decompress(view[start : start + size], parts, height * row_bytes)
        block = np.frombuffer(data, dtype=np.uint8, count=height * row_bytes).reshape(height, row_bytes)
        if parts.differences:  # each value is the sum of the differences before it (TIFF 6.0 section 14)
            kind = np.dtype(np.uint8 if parts.bits == 8 else f"{parts.order}u2")
            values = block.view(kind).reshape(height, parts.width, parts.samples)
            sums = np.cumsum(values, axis=1, dtype=kind.newbyteorder("="))
            block = sums.astype(kind).view(np.uint8).reshape(block.shape)
        rows[plane, top : top + height, column * row_bytes : (column + 1) * row_bytes] = block
    return rows


def _decompress(data: memoryview, parts: TiffParts, size: int) -> bytes | memoryview:
    data = data[: 3 * size + 1024]  # more is never needed, and spans may overlap
    if parts.bits_reversed:
        data = memoryview(bytes(data).translate(_REVERSED))
    unpacked: bytes | memoryview
    if parts.compression == NONE:
        unpacked = data[:size]
    elif parts.compression == PACK_BITS:
        unpacked = Image.frombytes("L", (size, 1), bytes(data), "packbits", "L").tobytes()
    elif parts.compression == LZW:
        unpacked = unpack_lzw(bytes(data), size)
    else:
        unpacked = zlib.decompressobj().decompress(data, size)
    if len(unpacked) < size:
        raise damaged("TIFF")
    return unpacked


def unpack_lzw(data: bytes, size: int) -> bytes:
    """Unpack TIFF's LZW (TIFF 6.0 section 13) to exactly `size` bytes.

    GIF's LZW differs in two things: codes are packed from the lowest bit, and each code width begins one
    code later. Repacking them for Pillow's decoder of GIF takes a fifth of the time that following them in
    Python would take.

    Raises:
        ImageError: the data don't begin with the code that clears the table.
        ValueError: the data are damaged or end too early.
    """
    if data[:1] != b"\x80":  # all data begin by clearing the table
        raise damaged("TIFF")
    packed = np.concatenate(list(_as_gif(data)))
    blocks = np.zeros((-(-len(packed) // 255), 256), dtype=np.uint8)
    blocks[:, 0] = 255  # each opens with its length
    blocks[-1, 0] = len(packed) - 255 * (len(blocks) - 1)
    blocks[:, 1:] = np.pad(packed, (0, -len(packed) % 255)).reshape(-1, 255)
    return Image.frombytes("L", (size, 1), blocks.tobytes()[: len(packed) + len(blocks)], "gif", 8, 0).tobytes()


def _as_gif(data: bytes) -> Iterator[Array]:
    """Yield the codes of TIFF's LZW, packed as GIF packs them: bytes for each run up to a cleared table."""
    padded, position = np.frombuffer(data + bytes(3), dtype=np.uint8), 9
    bits = np.unpackbits(np.frombuffer(b"\0\1", np.uint8), bitorder="little")[:9]  # the first clearing code
    while True:
        count = int(np.searchsorted(_STARTS + _WIDTHS, 8 * len(data) - position, side="right"))
        starts = position + _STARTS[:count]
        first, second, third = (padded[(starts >> 3) + after].astype(np.int32) for after in range(3))
        codes = (first << 16 | second << 8 | third) >> (24 - (starts & 7) - _WIDTHS[:count])
        codes &= (1 << _WIDTHS[:count]) - 1
        stops = np.flatnonzero((codes == _CLEAR) | (codes == _END))
        count = int(stops[0]) + 1 if len(stops) else count
        pairs = codes[:count].astype("<u2").view(np.uint8).reshape(-1, 2)
        bits = np.concatenate((bits, np.unpackbits(pairs, axis=1, bitorder="little")[_GIF_CODE_BITS[:count]]))
        full = len(bits) // 8 * 8
        yield np.packbits(bits[:full], bitorder="little")
        bits = bits[full:]
        if not len(stops) or codes[count - 1] == _END:
            break
        position += int(_STARTS[count - 1] + _WIDTHS[count - 1])
    yield np.packbits(bits, bitorder="little")

"""PNG: its chunks are read here, its rows are decoded by Pillow's own decoder.

Only the chunks that make pixels are looked at, so a text or a profile that inflates to gigabytes is never
inflated. Their checksums are verified. Pillow leaves the rest of an image black where the data end early;
here that is an error.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageChops

from medray.data.decoding.exif import orientation
from medray.data.decoding.image_error import ImageError, check_size, damaged
from medray.data.decoding.picture import Picture, from_16_bits, plain

MAX_CHUNKS = 100_000
MAGIC = b"\x89PNG\r\n\x1a\n"
_READ = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"acTL", b"eXIf"})
_CHUNK = struct.Struct(">L4s")
_HEADER = struct.Struct(">LLBBBBB")
_MODES = {  # by bits and colour type: Pillow's mode, how its decoder unpacks a row, and bits of a pixel
    (1, 0): ("1", "1", 1), (2, 0): ("L", "L;2", 2), (4, 0): ("L", "L;4", 4), (8, 0): ("L", "L", 8),
    (16, 0): ("I;16", "I;16B", 16), (8, 2): ("RGB", "RGB", 24), (16, 2): ("RGB", "RGB;16B", 48),
    (1, 3): ("P", "P;1", 1), (2, 3): ("P", "P;2", 2), (4, 3): ("P", "P;4", 4), (8, 3): ("P", "P", 8),
    (8, 4): ("LA", "LA", 16), (16, 4): ("RGBA", "LA;16B", 32), (8, 6): ("RGBA", "RGBA", 32),
    (16, 6): ("RGBA", "RGBA;16B", 64),
}  # fmt: skip
_GREY, _COLOUR, _PALETTE, _GREY_ALPHA = 0, 2, 3, 4
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_UNLIKELY = 90  # what pixels are before they are decoded


class Chunks(NamedTuple):
    """What makes the pixels: the header's fields, the palette, its transparency, the deflated rows."""

    header: bytes
    palette: bytes
    transparency: bytes
    rows: bytes | memoryview
    exif: bytes


def read_png(content: bytes, limit: int) -> Picture:
    """Read a PNG of at most `limit` pixels.

    Raises:
        ImageError: it is damaged, too large, animated, or written in a way that is not read.
    """
    chunks = _read_chunks(content, limit)
    width, height, bits, colour, _, _, interlaced = _HEADER.unpack(chunks.header)
    mode, rawmode, pixel_bits = _MODES[bits, colour]
    image = Image.new(mode, (width, height), _UNLIKELY)
    last = (width - 1, height - 1)
    before = image.getpixel(last)
    image.frombytes(chunks.rows, "zip", (rawmode, interlaced))
    # Rows are written in order and whole, so a last pixel that changed shows that all are there.
    if interlaced or image.getpixel(last) == before:
        _check_complete(chunks.rows, width, height, pixel_bits, interlaced)
    notes = frozenset() if bits == 8 else frozenset({"rescaled_to_8_bit"})
    if colour == _PALETTE:
        image, notes = _with_palette(image, chunks)
    elif colour == _GREY_ALPHA and bits == 16:
        image = Image.merge("LA", (image.getchannel(0), image.getchannel(3)))
    elif chunks.transparency:
        image, notes = _without_key(image, chunks.transparency, bits, notes)
    elif mode not in ("L", "RGB"):
        image, done = plain(image, "PNG")
        notes |= done
    return Picture(image, (width, height), notes, orientation(chunks.exif) if chunks.exif else 1)


def _read_chunks(content: bytes, limit: int) -> Chunks:
    found: dict[bytes, bytes] = {}
    rows: list[memoryview] = []
    for name, data in _chunks(memoryview(content)):
        if name == b"IDAT":
            rows.append(data)
        elif name in found:
            raise damaged("PNG")
        else:
            found[name] = bytes(data)
            if name in (b"IHDR", b"acTL"):
                _check_header(found, limit)
    if b"IHDR" not in found or not rows:
        raise damaged("PNG")
    deflated = rows[0] if len(rows) == 1 else b"".join(rows)
    palette, transparency, exif = (found.get(other, b"") for other in (b"PLTE", b"tRNS", b"eXIf"))
    return Chunks(found[b"IHDR"], palette, transparency, deflated, exif)


def _chunks(view: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the chunks that are read, by name, up to the last; others are stepped over."""
    end, position = len(view), len(MAGIC)
    for _ in range(MAX_CHUNKS):
        if position + 12 > end:
            raise damaged("PNG")
        length, name = _CHUNK.unpack_from(view, position)
        start, position = position + 8, position + 12 + length
        if position > end:
            raise damaged("PNG")
        if name in _READ:
            if zlib.crc32(view[start - 4 : start + length]) != int.from_bytes(view[position - 4 : position]):
                raise damaged("PNG")
            yield name, view[start : start + length]
        elif name == b"IEND":
            return
        elif not name[0] & 0x20:  # a capital: its writer says that the image can't be read without it
            raise ImageError("unsupported", "the PNG needs an extension of the format that is not read")
    raise ImageError("too_large", f"the PNG is cut into more than {MAX_CHUNKS} parts")


def _check_header(found: dict[bytes, bytes], limit: int) -> None:
    """Check the header, and that an animation is of one image, as soon as they are known."""
    if b"IHDR" not in found or len(found[b"IHDR"]) != _HEADER.size:
        raise damaged("PNG")
    width, height, bits, colour, compression, filtering, interlaced = _HEADER.unpack(found[b"IHDR"])
    check_size("PNG", width, height, limit)
    if (bits, colour) not in _MODES or compression or filtering or interlaced > 1:
        raise damaged("PNG")
    if found.get(b"acTL", b"\0\0\0\1")[:4] != b"\0\0\0\1":
        raise ImageError("multi_frame", "the PNG is animated; only single images are read")


def _check_complete(rows: bytes | memoryview, width: int, height: int, pixel_bits: int, interlaced: int) -> None:
    """Inflate the rows once more, and check that none are missing."""
    missing = 0
    for left, top, across, down in _PASSES if interlaced else ((0, 0, 1, 1),):
        columns, lines = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and lines > 0:
            missing += lines * (1 + (columns * pixel_bits + 7) // 8)
    inflater, more = zlib.decompressobj(), bytes(rows)
    while missing > 0:
        got = inflater.decompress(more, min(missing, 1 << 20))
        if not got:
            raise damaged("PNG")
        missing, more = missing - len(got), inflater.unconsumed_tail


def _with_palette(image: Image.Image, chunks: Chunks) -> tuple[Image.Image, frozenset[str]]:
    count, alphas = len(chunks.palette) // 3, chunks.transparency
    if not 1 <= count <= 256 or len(chunks.palette) % 3 or len(alphas) > count:
        raise damaged("PNG")
    colours = np.zeros((256, 4), dtype=np.uint8)
    colours[:count, :3] = np.frombuffer(chunks.palette, dtype=np.uint8).reshape(count, 3)
    colours[:, 3] = 255
    colours[: len(alphas), 3] = np.frombuffer(alphas, dtype=np.uint8)
    image.putpalette(colours.tobytes(), "RGBA")
    return plain(image, "PNG")


def _without_key(
    image: Image.Image, key: bytes, bits: int, notes: frozenset[str]
) -> tuple[Image.Image, frozenset[str]]:
    """Lay pixels of the one grey or colour that means transparent over black, which makes them black."""
    if len(key) != (6 if image.mode == "RGB" else 2):
        raise damaged("PNG")
    if image.mode == "RGB" and bits == 16:
        raise ImageError("unsupported", "the PNG marks one colour of 16 bits as transparent; that is not read")
    values = [int.from_bytes(key[at : at + 2]) for at in range(0, len(key), 2)]
    if bits == 16:
        grey = np.array(image)
        mask = grey == values[0]
        grey[mask] = 0
        return from_16_bits(grey), notes | ({"alpha_dropped"} if mask.any() else set())
    if image.mode == "1":
        image = image.convert("L")
    scale = 255 // (2**bits - 1)  # as Pillow unpacks fewer bits to 8
    masks = [
        band.point([255 * (level == value * scale) for level in range(256)])
        for band, value in zip(image.split(), values, strict=True)
    ]
    mask_image = masks[0]
    for other in masks[1:]:
        mask_image = ImageChops.darker(mask_image, other)
    if mask_image.getbbox():
        image.paste(Image.new(image.mode, image.size), mask=mask_image)
        notes |= {"alpha_dropped"}
    return image, notes

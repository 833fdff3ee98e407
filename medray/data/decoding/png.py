"""PNG: its chunks are checked here, its rows are decoded by Pillow's zip decoder.

Only the chunks that make pixels are looked at, so a text or a profile that inflates to gigabytes is never
inflated. Their checksums are verified, those of the rows too, which Pillow's reader (`PngImageFile`) skips.
That reader also takes a file without its last row, and leaves the row black; here any missing row is an error.
A second inflation that counts the bytes shows it, and is spared where the last pixel shows that all rows came.
"""

import struct
import zlib
from collections.abc import Mapping

import numpy as np
from PIL import Image

from medray._types import Array
from medray.data.decoding.image_error import ImageError, check_size, damaged
from medray.data.decoding.picture import Picture, simplify_mode
from medray.data.decoding.tiff_directory import exif_orientation

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
_PALETTE, _GREY_ALPHA = 3, 4
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_UNLIKELY = 90  # what pixels are before they are decoded


def read_png(content: bytes, limit: int) -> Picture:
    """Read a PNG of at most `limit` pixels.

    Raises:
        ImageError: it is damaged, too large, animated, or written in a way that is not read.
        struct.error, ValueError, zlib.error: it is damaged.
    """
    chunks = _read_chunks(content, limit)
    width, height, bits, colour, _, _, interlaced = _HEADER.unpack(chunks[b"IHDR"])
    mode, rawmode, pixel_bits = _MODES[bits, colour]
    image = Image.new(mode, (width, height), _UNLIKELY)
    last = (width - 1, height - 1)
    before = image.getpixel(last)
    image.frombytes(chunks[b"IDAT"], "zip", (rawmode, interlaced))
    # Rows are written in order and whole, so a last pixel that changed shows that all are there.
    if interlaced or image.getpixel(last) == before:
        _check_complete(chunks[b"IDAT"], width, height, pixel_bits, interlaced)
    notes: set[str] = set() if bits == 8 or colour == _PALETTE else {"rescaled_to_8_bit"}
    if colour == _PALETTE:
        image.putpalette(_palette(chunks), "RGBA")
    elif colour == _GREY_ALPHA and bits == 16:
        image = Image.merge("LA", (image.getchannel(0), image.getchannel(3)))
    elif chunks.get(b"tRNS"):
        image = _with_key_as_alpha(image, chunks[b"tRNS"], bits)
    image, done = simplify_mode(image, "PNG")
    return Picture(image, (width, height), frozenset(notes | done), exif_orientation(chunks.get(b"eXIf", b"")))


def _read_chunks(content: bytes, limit: int) -> dict[bytes, bytes]:
    """Return the chunks that are read, by name, those of the rows joined; others are stepped over."""
    view, position = memoryview(content), len(MAGIC)
    chunks: dict[bytes, bytes] = {}
    rows: list[memoryview] = []
    for _ in range(MAX_CHUNKS):
        length, name = _CHUNK.unpack_from(content, position)
        start, position = position + 8, position + 12 + length
        if position > len(content) or (name in chunks and name != b"IDAT"):
            raise damaged("PNG")
        if name in _READ:
            if zlib.crc32(view[start - 4 : position - 4]) != int.from_bytes(view[position - 4 : position]):
                raise damaged("PNG")
            if name == b"IDAT":
                rows.append(view[start : start + length])
            else:
                chunks[name] = content[start : start + length]
            if name in (b"IHDR", b"acTL"):
                _check_header(chunks, limit)
        elif name == b"IEND":
            if b"IHDR" not in chunks or not rows:
                raise damaged("PNG")
            return chunks | {b"IDAT": b"".join(rows)}
        elif not name[0] & 0x20:  # a capital: its writer says that the image can't be read without it
            raise ImageError("unsupported", "the PNG needs an extension of the format that is not read")
    raise ImageError("too_large", f"the PNG is cut into more than {MAX_CHUNKS} parts")


def _check_header(chunks: Mapping[bytes, bytes], limit: int) -> None:
    """Check the header, and that an animation is of one image, as soon as they are known."""
    width, height, bits, colour, compression, filtering, interlaced = _HEADER.unpack(chunks.get(b"IHDR", b""))
    check_size("PNG", width, height, limit)
    if (bits, colour) not in _MODES or compression or filtering or interlaced > 1:
        raise damaged("PNG")
    if chunks.get(b"acTL", b"\0\0\0\1")[:4] != b"\0\0\0\1":
        raise ImageError(
            "multi_frame", "the PNG is animated; only single images are read: save one of it by itself"
        )


def _check_complete(rows: bytes, width: int, height: int, pixel_bits: int, interlaced: int) -> None:
    """Inflate the rows once more, a megabyte at a time, and check that none are missing."""
    missing = 0
    for left, top, across, down in _PASSES if interlaced else ((0, 0, 1, 1),):
        columns, lines = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and lines > 0:
            missing += lines * (1 + (columns * pixel_bits + 7) // 8)
    inflater = zlib.decompressobj()
    while missing > 0:
        inflated = inflater.decompress(rows, min(missing, 1 << 20))
        if not inflated:
            raise damaged("PNG")
        missing, rows = missing - len(inflated), inflater.unconsumed_tail


def _palette(chunks: Mapping[bytes, bytes]) -> bytes:
    """Return the palette's 256 colours as RGBA; those that the file does not name are black."""
    colours, alphas = chunks.get(b"PLTE", b""), chunks.get(b"tRNS", b"")
    if not 3 <= len(colours) <= 768 or len(colours) % 3 or len(alphas) > len(colours) // 3:
        raise damaged("PNG")
    rgb: Array = np.frombuffer(colours.ljust(768, b"\0"), np.uint8).reshape(256, 3)
    return np.column_stack((rgb, np.frombuffer(alphas.ljust(256, b"\xff"), np.uint8))).tobytes()


def _with_key_as_alpha(image: Image.Image, key: bytes, bits: int) -> Image.Image:
    """Return the image with an alpha of 0 where pixels have the one grey or colour that means transparent.

    Of colours of 16 bits the upper 8 are compared, which is what is kept of them.
    """
    if len(key) != (6 if image.mode == "RGB" else 2) or image.mode in ("LA", "RGBA"):
        raise damaged("PNG")
    values = [int.from_bytes(key[start : start + 2]) for start in range(0, len(key), 2)]
    pixels = np.asarray(image)
    if image.mode == "RGB" and bits == 16:
        values = [value >> 8 for value in values]
    elif bits < 16:
        if max(values) >= 2**bits:
            return image
        pixels = np.asarray(image.convert("L")) if image.mode == "1" else pixels
        values = [value * 255 // (2**bits - 1) for value in values]  # as Pillow unpacks fewer bits to 8
    matches = (pixels == values).all(axis=2) if image.mode == "RGB" else pixels == values[0]
    opaque, _ = simplify_mode(image, "PNG")
    opaque.putalpha(Image.fromarray(np.uint8(255) * ~matches))
    return opaque

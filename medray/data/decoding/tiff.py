"""TIFF of one page: its directory, its strips or tiles, and what its samples mean.

It is read here and not by Pillow's plug-in: that one hands compressed files to libtiff, which writes to
standard error of every file that is damaged, and leaves an image black where strips are missing.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image

from medray._types import Array
from medray.data.decoding.ifd import ORIENTATION, Directory, read_directory
from medray.data.decoding.image_error import ImageError, check_size, damaged
from medray.data.decoding.picture import Picture, from_16_bits, plain
from medray.data.decoding.tiff_parts import COMPRESSIONS, Parts, read_rows

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MAX_PARTS = 50_000  # strips or tiles
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_STRIPS, _SAMPLES, _ROWS, _STRIP_SIZES, _PLANAR, _PREDICTOR = 273, 277, 278, 279, 284, 317
_COLOURS, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_SIZES, _EXTRA, _FORMAT = 320, 322, 323, 324, 325, 338, 339
_WHITE_IS_ZERO, _GREY, _RGB, _PALETTE, _INKS = 0, 1, 2, 3, 5
#: By what the samples mean: the bits that each may have, how many there are, and Pillow's mode.
_MEANINGS = {
    _WHITE_IS_ZERO: ((1, 2, 4, 8, 16), 1, "L"), _GREY: ((1, 2, 4, 8, 16), 1, "L"), _RGB: ((8, 16), 3, "RGB"),
    _PALETTE: ((1, 2, 4, 8), 1, "P"), _INKS: ((8,), 4, "CMYK"),
}  # fmt: skip
_IGNORED, _MULTIPLIED, _ALPHA = 0, 1, 2  # what one more sample means


class Layout(NamedTuple):
    """What the directory says of the pixels; `extra` is the meaning of one more sample, if there is one."""

    width: int
    height: int
    bits: int
    samples: int
    meaning: int
    extra: int | None


class _Values:
    """The tags of a file, by their values."""

    def __init__(self, content: bytes, directory: Directory) -> None:
        self._content, self._directory = content, directory

    def all(self, tag: int) -> tuple[int, ...]:
        return self._directory.values(self._content, tag)

    def one(self, tag: int, default: int | None = None) -> int:
        found = self.all(tag)
        if len(found) > 1 or (not found and default is None):
            raise damaged("TIFF")
        return found[0] if found else default or 0


def read_tiff(content: bytes, limit: int) -> Picture:
    """Read a TIFF of one page and at most `limit` pixels.

    Raises:
        ImageError: it is damaged, too large, of several pages, or written in a way that is not read.
    """
    if content[2:4] in (b"+\0", b"\0+"):
        raise ImageError("unsupported", "the TIFF is a BigTIFF; only classic TIFF is read")
    directory = read_directory(content, "TIFF")
    values = _Values(content, directory)
    layout = _read_layout(values, limit)
    parts = _read_parts(values, layout, limit, directory.order)
    if directory.next:
        raise ImageError("multi_frame", "the TIFF has several pages; only single images are read")
    image, notes = _image(read_rows(content, parts), layout, values.all(_COLOURS), directory.order)
    turn = values.all(ORIENTATION)
    return Picture(image, (layout.width, layout.height), notes, turn[0] if turn and 1 <= turn[0] <= 8 else 1)


def _read_layout(values: _Values, limit: int) -> Layout:
    width, height = values.one(_WIDTH), values.one(_HEIGHT)
    check_size("TIFF", width, height, limit)
    if set(values.all(_FORMAT)) - {1}:
        raise ImageError("unsupported", "the TIFF holds signed numbers or fractions; unsigned ones are read")
    meaning, samples = values.one(_PHOTOMETRIC), values.one(_SAMPLES, 1)
    depths, count, _ = _MEANINGS.get(meaning, ((), 0, ""))
    bits, extra = values.all(_BITS) or (1,), values.all(_EXTRA)
    known = (
        bits[0] in depths and len(set(bits)) == 1 and len(bits) in (1, samples) and samples == count + len(extra)
    )
    if extra:
        known = known and extra in ((_IGNORED,), (_MULTIPLIED,), (_ALPHA,)) and bits[0] >= 8
        known = known and meaning in (_GREY, _RGB)
    if not known:
        raise ImageError("unsupported", "the TIFF holds pixels of a kind that is not read")
    return Layout(width, height, bits[0], samples, meaning, extra[0] if extra else None)


def _read_parts(values: _Values, layout: Layout, limit: int, order: str) -> Parts:
    """Where the strips or tiles are, and how they are to be read; there must be as many as the image needs."""
    compression, predictor = values.one(_COMPRESSION, 1), values.one(_PREDICTOR, 1)
    planar, fill = values.one(_PLANAR, 1), values.one(_FILL_ORDER, 1)
    if compression not in COMPRESSIONS:
        names = ", ".join(dict.fromkeys(COMPRESSIONS.values()))
        raise ImageError(
            "unsupported", f"the TIFF is compressed in a way that is not read; those read are: {names}"
        )
    if predictor not in (1, 2) or (predictor == 2 and layout.bits < 8) or {planar, fill} - {1, 2}:
        raise ImageError("unsupported", "the TIFF holds its values in an order that is not read")
    tiled = bool(values.all(_TILES))
    if tiled:
        width, height = values.one(_TILE_WIDTH), values.one(_TILE_HEIGHT)
        check_size("TIFF's tile", width, height, limit)
        if width % 16:
            raise damaged("TIFF")
    else:
        width, height = layout.width, min(values.one(_ROWS, layout.height), layout.height) or 1
    planes = layout.samples if planar == 2 else 1
    across, down = -(-layout.width // width), -(-layout.height // height)
    count = planes * across * down
    if count > MAX_PARTS:
        raise ImageError("too_large", f"the TIFF is cut into {count} parts; at most {MAX_PARTS} are read")
    starts, sizes = values.all(_TILES if tiled else _STRIPS), values.all(_TILE_SIZES if tiled else _STRIP_SIZES)
    if len(starts) != count or len(sizes) != count:
        raise damaged("TIFF")
    return Parts(
        places=tuple(zip(starts, sizes, strict=True)), planes=planes, across=across, down=down, height=height,
        row_values=width * (layout.samples // planes), step=layout.samples // planes if predictor == 2 else 0,
        bits=layout.bits, rows=layout.height, whole=tiled, compression=compression, reverse=fill == 2, order=order,
    )  # fmt: skip


def _image(
    rows: Array, layout: Layout, colours: tuple[int, ...], order: str
) -> tuple[Image.Image, frozenset[str]]:
    """Make an image of rows of bytes (planes, height, bytes), which may be longer than they need to be."""
    mode = _MEANINGS[layout.meaning][2]
    notes: set[str] = set()
    size = layout.width, layout.height
    if layout.bits < 8:
        packed = np.ascontiguousarray(rows[0, :, : (layout.width * layout.bits + 7) // 8]).tobytes()
        rawmode = f"{mode};{layout.bits}" if (mode, layout.bits) != ("L", 1) else "1"
        image = Image.frombytes("1" if rawmode == "1" else mode, size, packed, "raw", rawmode).convert(mode)
    else:
        samples = _samples(rows, layout, order)
        image = _of_samples(samples, layout, mode, notes)
    if mode == "P":
        if len(colours) != 3 * 2**layout.bits:
            raise damaged("TIFF")
        # Three rows of 16 bits each; the upper 8 are the colour.
        table = np.array(colours, dtype=np.uint16).reshape(3, -1).T >> 8
        image.putpalette(table.astype(np.uint8).tobytes(), "RGB")
    elif layout.bits != 8:
        notes.add("rescaled_to_8_bit")
    if layout.meaning == _WHITE_IS_ZERO:
        image = image.point(list(range(255, -1, -1)))
        notes.add("inverted")
    image, done = plain(image, "TIFF")
    return image, frozenset(notes) | done


def _samples(rows: Array, layout: Layout, order: str) -> Array:
    """The samples (H, W, C) of 8 or 16 bits, in the order of bytes of this machine."""
    kind = np.dtype(np.uint8 if layout.bits == 8 else f"{order}u2")
    planes, each = rows.shape[0], layout.samples // rows.shape[0]
    used = np.ascontiguousarray(rows[:, : layout.height, : layout.width * each * kind.itemsize]).view(kind)
    if planes == 1:
        return used.reshape(layout.height, layout.width, each)
    return used.transpose(1, 2, 0)


def _of_samples(samples: Array, layout: Layout, mode: str, notes: set[str]) -> Image.Image:
    if layout.bits == 16 and mode == "L" and layout.extra is None:
        return from_16_bits(samples[..., 0])
    if layout.bits == 16:
        samples = (samples >> 8).astype(np.uint8)
    count = len(mode) if mode != "P" else 1
    if layout.extra == _MULTIPLIED and (samples[..., -1] < 255).any():
        notes.add("alpha_dropped")  # colours that are multiplied by alpha lie over black as they are
    if layout.extra == _ALPHA:
        mode, count = f"{mode}A", count + 1
    kept = np.ascontiguousarray(samples[..., :count])
    return Image.frombytes(mode, (layout.width, layout.height), kept.tobytes())

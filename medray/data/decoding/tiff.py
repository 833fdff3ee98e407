"""TIFF of one page: its directory is checked here, and its samples are given their meaning.

Pillow's reader hands compressed files to libtiff, which writes to standard error of every file that is damaged
(see tiff_parts). Uncompressed ones it leaves black where strips are missing, and where a strip is too short it
takes the bytes behind it for pixels.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image

from medray._types import Array
from medray.data.decoding.image_error import ImageError, check_size, damaged
from medray.data.decoding.picture import Picture, scale_16_bits, simplify_mode
from medray.data.decoding.tiff_directory import Directory, read_directory
from medray.data.decoding.tiff_parts import COMPRESSIONS, TiffParts, read_rows

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MAX_PARTS = 50_000  # strips or tiles
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_STRIPS, _SAMPLES, _ROWS, _STRIP_SIZES, _PLANAR, _PREDICTOR = 273, 277, 278, 279, 284, 317
_COLOURS, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_SIZES, _EXTRA, _FORMAT = 320, 322, 323, 324, 325, 338, 339
_WHITE_IS_ZERO, _GREY, _RGB, _PALETTE, _INKS = 0, 1, 2, 3, 5
#: By what the samples mean: the bits that each may have, and how many there are.
_MEANINGS = {
    _WHITE_IS_ZERO: ((1, 2, 4, 8, 16), 1), _GREY: ((1, 2, 4, 8, 16), 1), _RGB: ((8, 16), 3),
    _PALETTE: ((1, 2, 4, 8), 1), _INKS: ((8,), 4),
}  # fmt: skip
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_IGNORED, _MULTIPLIED, _ALPHA = 0, 1, 2  # what one more sample means


class Layout(NamedTuple):
    """What the directory says of the pixels; `extra` is the meaning of one more sample, if there is one."""

    width: int
    height: int
    bits: int
    samples: int
    meaning: int
    extra: int | None


def read_tiff(content: bytes, limit: int) -> Picture:
    """Read a TIFF of one page and at most `limit` pixels.

    Raises:
        ImageError: it is damaged, too large, of several pages, or written in a way that is not read.
        struct.error, ValueError, zlib.error: it is damaged.
    """
    if content[2:4] in (b"+\0", b"\0+"):
        raise ImageError("unsupported", "the TIFF is a BigTIFF; only classic TIFF is read")
    directory = read_directory(content)
    layout = _read_layout(directory, limit)
    parts = _read_parts(directory, layout, limit)
    if directory.next:
        raise ImageError(
            "multi_frame",
            "the TIFF has several pages; only single images are read: save each as a file of its own",
        )
    samples = _samples(read_rows(content, parts), layout, directory.order)
    if layout.meaning == _PALETTE:
        colours = np.array(directory.values(_COLOURS), dtype=np.uint16)
        if len(colours) != 3 * 2**layout.bits:
            raise damaged("TIFF")
        table = (colours.reshape(3, -1).T >> 8).astype(np.uint8)  # three rows of 16 bits; the upper 8 count
        image, notes = Image.fromarray(table[samples[..., 0]]), frozenset({"palette"})
    else:
        image, notes = _image(samples, layout)
    return Picture(image, (layout.width, layout.height), notes, directory.orientation())


def _read_layout(directory: Directory, limit: int) -> Layout:
    """Read and check what the directory says of the pixels, before any is looked at."""
    width, height = directory.value(_WIDTH), directory.value(_HEIGHT)
    check_size("TIFF", width, height, limit)
    if set(directory.values(_FORMAT)) - {1}:
        raise ImageError(
            "unsupported",
            "the TIFF holds signed numbers or fractions; unsigned ones are read: save it as "
            "16 bits unsigned, with one scale for all images",
        )
    meaning, samples = directory.value(_PHOTOMETRIC), directory.value(_SAMPLES, 1)
    depths, count = _MEANINGS.get(meaning, ((), 0))
    bits, extra = directory.values(_BITS) or (1,), directory.values(_EXTRA)
    if not extra and meaning in (_GREY, _RGB) and samples == count + 1:
        extra = (_IGNORED,)  # some writers leave out what it means
    readable = (
        bits[0] in depths and len(set(bits)) == 1 and len(bits) in (1, samples) and samples == count + len(extra)
    )
    if extra:
        readable = readable and extra in ((_IGNORED,), (_MULTIPLIED,), (_ALPHA,)) and bits[0] >= 8
        readable = readable and meaning in (_GREY, _RGB)
    if not readable:
        kind = f"{samples} samples of {bits[0]} bits, photometric interpretation {meaning}"
        raise ImageError(
            "unsupported", f"the TIFF holds pixels of a kind that is not read ({kind}): save it as PNG"
        )
    return Layout(width, height, bits[0], samples, meaning, extra[0] if extra else None)


def _read_parts(directory: Directory, layout: Layout, limit: int) -> TiffParts:
    """Read where the strips or tiles are and how they are written; there must be as many as the image needs."""
    compression, predictor = directory.value(_COMPRESSION, 1), directory.value(_PREDICTOR, 1)
    planar, fill = directory.value(_PLANAR, 1), directory.value(_FILL_ORDER, 1)
    if compression not in COMPRESSIONS:
        names = ", ".join(dict.fromkeys(COMPRESSIONS.values()))
        raise ImageError(
            "unsupported", f"the TIFF is compressed in a way that is not read; those read are: {names}"
        )
    if predictor not in (1, 2) or (predictor == 2 and layout.bits < 8) or {planar, fill} - {1, 2}:
        raise ImageError("unsupported", "the TIFF holds its values in an order that is not read")
    tiled = bool(directory.values(_TILES))
    if tiled:
        width, height = directory.value(_TILE_WIDTH), directory.value(_TILE_HEIGHT)
        check_size("TIFF's tile", width, height, limit)
        if width % 16:
            raise damaged("TIFF")
    else:
        width, height = layout.width, min(directory.value(_ROWS, layout.height), layout.height) or 1
    planes = layout.samples if planar == 2 else 1
    grid_columns, grid_rows = -(-layout.width // width), -(-layout.height // height)
    count = planes * grid_columns * grid_rows
    if count > MAX_PARTS:
        raise ImageError("too_large", f"the TIFF is cut into {count} parts; at most {MAX_PARTS} are read")
    starts = directory.values(_TILES if tiled else _STRIPS)
    sizes = directory.values(_TILE_SIZES if tiled else _STRIP_SIZES)
    if len(starts) != count or len(sizes) != count:
        raise damaged("TIFF")
    return TiffParts(
        spans=tuple(zip(starts, sizes, strict=True)), planes=planes, grid_columns=grid_columns,
        grid_rows=grid_rows, width=width,
        height=height, samples=layout.samples // planes, bits=layout.bits, rows=layout.height, tiled=tiled,
        compression=compression, differences=predictor == 2, bits_reversed=fill == 2, order=directory.order,
    )  # fmt: skip


def _samples(rows: Array, layout: Layout, order: str) -> Array:
    """Return the samples (H, W, C), uint8 or uint16, of rows of bytes (planes, rows, bytes) with their margins."""
    planes, bits, samples = len(rows), layout.bits, layout.samples // len(rows)
    if bits < 8:
        ones = np.unpackbits(rows[0, : layout.height], axis=1, count=layout.width * bits)
        upper = np.packbits(ones.reshape(layout.height, layout.width, bits), axis=2)  # in the upper bits of a byte
        return upper >> (8 - bits)
    kind = np.dtype(np.uint8 if bits == 8 else f"{order}u2")
    values = np.ascontiguousarray(rows[:, : layout.height, : layout.width * samples * kind.itemsize]).view(kind)
    return values.transpose(1, 2, 0) if planes > 1 else values.reshape(layout.height, layout.width, samples)


def _image(samples: Array, layout: Layout) -> tuple[Image.Image, frozenset[str]]:
    """Bring samples (H, W, C) to 8 bits, and make an image of what they mean."""
    notes = set()
    if layout.bits != 8:
        notes.add("rescaled_to_8_bit")
    if layout.bits < 8:
        samples = samples * np.uint8(255 // (2**layout.bits - 1))
    elif layout.bits == 16:
        samples = scale_16_bits(samples) if layout.samples == 1 else (samples >> 8).astype(np.uint8)
    if layout.meaning == _WHITE_IS_ZERO:
        samples = 255 - samples
        notes.add("inverted")
    if layout.extra == _IGNORED:
        samples = samples[..., :-1]
    elif layout.extra == _MULTIPLIED:
        samples = _divided_by_alpha(samples)
    mode = "CMYK" if layout.meaning == _INKS else _MODES[samples.shape[2]]
    image, done = simplify_mode(Image.frombytes(mode, samples.shape[1::-1], samples.tobytes()), "TIFF")
    return image, frozenset(notes) | done


def _divided_by_alpha(samples: Array) -> Array:
    """Return samples uint8 (H, W, C) whose colours were multiplied by the alpha behind them, without that.

    Colours brighter than their alpha were not multiplied, whatever the file says: then all are kept. Those under
    an alpha of 0 are kept too.
    """
    alpha = samples[..., -1]
    if (samples[..., :-1] > alpha[..., None]).any():
        return samples
    divided, divisor = samples.copy(), np.maximum(alpha, 1).astype(np.uint16)
    for channel in range(samples.shape[2] - 1):
        divided[..., channel] = (samples[..., channel] * np.uint16(255) + divisor // 2) // divisor
    return divided

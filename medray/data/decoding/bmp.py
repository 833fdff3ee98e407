"""BMP: its header is checked here, its pixels are decoded by Pillow."""

import io
import struct

from PIL import BmpImagePlugin

from medray.data.decoding.image_error import ImageError, check_size, damaged
from medray.data.decoding.picture import Picture, simplify_mode

HEADER_SIZES = (12, 40, 52, 56, 64, 108, 124)
_PLAIN, _BIT_FIELDS = 0, 3


def looks_like_bmp(content: bytes) -> bool:
    """Return whether content opens as a BMP does: with two letters, and a header of a size that exists."""
    return (
        content[:2] == b"BM" and len(content) >= 26 and content[14] in HEADER_SIZES and content[15:18] == b"\0\0\0"
    )


def read_bmp(content: bytes, limit: int) -> Picture:
    """Read a BMP of at most `limit` pixels.

    Run-length codes are not read: hardly any file has them, and Pillow decodes them in Python.

    Raises:
        ImageError: it is damaged, too large, or written in a way that is not read.
    """
    if content[14] == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", content, 18)
    elif len(content) < 54:
        raise damaged("BMP")
    else:
        width, height, _, bits, compression = struct.unpack_from("<llHHL", content, 18)
        if compression not in (_PLAIN, _BIT_FIELDS):
            raise ImageError("unsupported", "the BMP is compressed; only plain ones are read")
    check_size("BMP", width, abs(height), limit)  # rows run upwards unless the height is negative
    opened = BmpImagePlugin.BmpImageFile(io.BytesIO(content))
    if opened.size != (width, abs(height)):
        raise damaged("BMP")
    opened.load()
    image, notes = simplify_mode(opened, "BMP")
    if bits == 16:  # 5 or 6 bits per colour
        notes |= {"rescaled_to_8_bit"}
    return Picture(image, opened.size, notes)

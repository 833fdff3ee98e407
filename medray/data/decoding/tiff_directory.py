"""Image file directories: the lists of tags that TIFF files and EXIF blocks consist of, read within bounds.

Pillow's reader of them (`ImageFileDirectory_v2`, also behind `Image.getexif`) tells of damaged tags by
`warnings.warn`, and silencing it changes a setting of the whole process, which other threads share.
"""

import struct
from typing import NamedTuple

from medray.data.decoding.image_error import ImageError, damaged

ORIENTATION = 274
_TYPES = {1: ("B", 1), 3: ("H", 2), 4: ("L", 4)}  # BYTE, SHORT, LONG: struct's letter, and bytes of one value
MAX_VALUES = 50_000  # of one tag: the offsets of that many strips or tiles


class Tag(NamedTuple):
    """The letter of a tag's type of numbers, how many it holds, and where in the data they begin."""

    letter: str
    number: int
    start: int


class Directory(NamedTuple):
    """The whole-numbered tags of one directory in `data`; `next` is the offset of the next one, 0 without one."""

    data: bytes
    order: str
    tags: dict[int, Tag]
    next: int

    def values(self, tag: int) -> tuple[int, ...]:
        """Return the values of a tag; none if it is absent.

        Raises:
            ImageError: there are more of them than any image needs.
        """
        if tag not in self.tags:
            return ()
        letter, count, start = self.tags[tag]
        if count > MAX_VALUES:
            raise ImageError("too_large", f"a tag holds {count} values; at most {MAX_VALUES} are read")
        return struct.unpack_from(f"{self.order}{count}{letter}", self.data, start)

    def value(self, tag: int, default: int | None = None) -> int:
        """Return the only value of a tag, or `default` if it is absent.

        Raises:
            ImageError: there are several values, or neither a value nor a default.
        """
        values = self.values(tag) or (default,)
        if len(values) > 1 or values[0] is None:
            raise damaged("TIFF")
        return values[0]

    def orientation(self) -> int:
        """Return how the image is to be turned, as EXIF numbers it: 1 to 8, where 1 is upright."""
        values = self.values(ORIENTATION)
        return values[0] if len(values) == 1 and 1 <= values[0] <= 8 else 1


def read_directory(data: bytes) -> Directory:
    """Read the first directory of TIFF or EXIF data, which open with their byte order and 42.

    Tags of other types than whole numbers are left out, and of a tag that comes twice the first is kept.

    Raises:
        ImageError: the data are of another kind, or point outside of themselves.
        struct.error: the data end before the directory does.
    """
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or data[2:4] != struct.pack(f"{order}H", 42):
        raise damaged("TIFF")
    (start,) = struct.unpack_from(f"{order}L", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, start)
    end = start + 2 + 12 * count
    (next_directory,) = struct.unpack_from(f"{order}L", data, end)
    tags: dict[int, Tag] = {}
    for position in range(start + 2, end, 12):
        tag, kind, number, offset = struct.unpack_from(f"{order}HHLL", data, position)
        if kind not in _TYPES or not number or tag in tags:
            continue
        letter, size = _TYPES[kind]
        values_at = position + 8 if size * number <= 4 else offset
        if values_at + size * number > len(data):
            raise damaged("TIFF")
        tags[tag] = Tag(letter, number, values_at)
    return Directory(data, order, tags, next_directory)


def exif_orientation(exif: bytes) -> int:
    """Return the orientation, 1 to 8, in an EXIF block without its name; nothing else of EXIF is read.

    Damaged EXIF counts as upright: cameras and editors often leave some, and the pixels are whole without it.
    """
    try:
        return read_directory(exif).orientation()
    except (ImageError, struct.error):
        return 1

"""Image file directories: the lists of tags that TIFF and EXIF are made of, read within bounds."""

import struct
from typing import NamedTuple

from medray.data.decoding.image_error import ImageError, damaged

ORIENTATION = 274
_SIZES = {1: 1, 3: 2, 4: 4}  # BYTE, SHORT and LONG; no tag that makes pixels is of another type
_LETTERS = {1: "B", 3: "H", 4: "L"}
MAX_VALUES = 50_000  # of one tag: the places of that many strips or tiles


class Tag(NamedTuple):
    """What type of numbers a tag holds, how many, and where."""

    kind: int
    number: int
    start: int

    @property
    def size(self) -> int:
        """Bytes of its values."""
        return _SIZES[self.kind] * self.number


class Directory(NamedTuple):
    """The whole-numbered tags of one directory, and where the next directory lies; 0 if there is none."""

    order: str
    tags: dict[int, Tag]
    next: int

    def values(self, data: bytes, tag: int) -> tuple[int, ...]:
        """The values of a tag; none if it is absent.

        Raises:
            ImageError: there are more of them than any image needs.
        """
        if tag not in self.tags:
            return ()
        kind, count, start = self.tags[tag]
        if count > MAX_VALUES:
            raise ImageError("too_large", f"a tag holds {count} values; at most {MAX_VALUES} are read")
        return struct.unpack_from(f"{self.order}{count}{_LETTERS[kind]}", data, start)


def read_directory(data: bytes, what: str) -> Directory:
    """Read the first directory of TIFF or EXIF data, which open by their byte order and 42.

    Tags of other types than whole numbers are left out, and of a tag that comes twice the first is kept.

    Raises:
        ImageError: it is no such data, or it points to outside of itself.
    """
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 10:
        raise damaged(what)
    magic, at = struct.unpack_from(f"{order}HL", data, 2)
    if magic != 42 or at + 6 > len(data):
        raise damaged(what)
    (count,) = struct.unpack_from(f"{order}H", data, at)
    end = at + 2 + 12 * count
    if end + 4 > len(data):
        raise damaged(what)
    tags: dict[int, Tag] = {}
    for place in range(at + 2, end, 12):
        tag, kind, number = struct.unpack_from(f"{order}HHL", data, place)
        if kind not in _SIZES or not number or tag in tags:
            continue
        found = Tag(kind, number, place + 8)
        if found.size > 4:
            found = found._replace(start=struct.unpack_from(f"{order}L", data, place + 8)[0])
        if found.start + found.size > len(data):
            raise damaged(what)
        tags[tag] = found
    return Directory(order, tags, struct.unpack_from(f"{order}L", data, end)[0])

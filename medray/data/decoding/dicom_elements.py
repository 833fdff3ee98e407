"""DICOM's elements: those that make pixels are picked out of the bytes, all others are stepped over.

So names and other patient data are never decoded. It is one loop without recursion, over bytes that are
already in memory, and it takes time and memory in proportion to them, whatever they hold. It follows DICOM
PS3.5 chapter 7: explicit and implicit value representations, both byte orders, sequences and items of
defined and of undefined length, nested in one another.
"""

import math
import struct
from typing import NamedTuple

from medray.data.decoding.image_error import ImageError, damaged

Path = tuple[int, ...]  # an element's tag, after those of the sequences that it is in

MAX_ELEMENTS = 500_000
MAX_DEPTH = 64
UNDEFINED = 0xFFFFFFFF
PIXELS = 0x7FE00010
_ITEM, _ITEM_END, _SEQUENCE_END, _DELIMITERS = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD, 0xFFFE
_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})


class Coding(NamedTuple):
    """How elements are written: without value representations (implicit), and by which byte order."""

    implicit: bool = False
    big: bool = False


class Element(NamedTuple):
    """An element's value: its bytes, or, of compressed pixels, the bytes of its fragments."""

    vr: bytes  # empty where it is implicit
    value: memoryview
    fragments: tuple[memoryview, ...] | None = None


class _Open:
    """A sequence or an item that is being read; `followed` if what is in it is wanted."""

    def __init__(self, path: Path, end: float, implicit: bool, followed: bool) -> None:
        self.path, self.end, self.implicit, self.followed = path, end, implicit, followed
        self.items = 0


def read_elements(
    data: bytes, start: int, coding: Coding, wanted: frozenset[int], sequences: frozenset[int]
) -> dict[Path, Element]:
    """Return the wanted elements from `start` up to and with the pixels, by their paths.

    Of the `sequences` the first item is read, of others none.

    Raises:
        ImageError: the elements run past the end, or are nested too deep, or are too many.
    """
    return _Reader(data, coding, wanted, sequences).read(start)


class _Reader:
    """Walks through the elements; all that is open lies on a stack, the file itself at its bottom."""

    def __init__(self, data: bytes, coding: Coding, wanted: frozenset[int], sequences: frozenset[int]) -> None:
        self.data, self.view, self.size = data, memoryview(data), len(data)
        self.order = ">" if coding.big else "<"
        self.wanted, self.sequences = wanted, sequences
        self.found: dict[Path, Element] = {}
        self.stack = [_Open((), math.inf, coding.implicit, True)]
        self.unpack_tag = struct.Struct(f"{self.order}HHL").unpack_from
        self.unpack_long = struct.Struct(f"{self.order}L").unpack_from
        self.unpack_short = struct.Struct(f"{self.order}H").unpack_from

    def read(self, position: int) -> dict[Path, Element]:
        for _ in range(MAX_ELEMENTS):
            while position >= self.stack[-1].end:
                self.stack.pop()
            if position + 8 > self.size:
                if position < self.size or len(self.stack) > 1:
                    raise damaged("DICOM file")
                return self.found
            tag, vr, length, position = self._read_head(position)
            if tag == PIXELS and len(self.stack) == 1:
                self.found[tag,] = _read_pixels(self.view, position, length, vr, self.order)
                return self.found
            position = self._step(tag, vr, length, position)
        raise ImageError("too_large", f"the DICOM file has more than {MAX_ELEMENTS} elements before its pixels")

    def _read_head(self, position: int) -> tuple[int, bytes, int, int]:
        """The tag, the value representation if it is explicit, the length, and where the value begins."""
        group, number, length = self.unpack_tag(self.data, position)
        letters = self.data[position + 4 : position + 6]
        position += 8
        # Some writers go on without representations within a sequence; items never have one.
        if group == _DELIMITERS or self.stack[-1].implicit or not b"AA" <= letters <= b"ZZ":
            return group << 16 | number, b"", length, position
        if letters not in _LONG:
            return group << 16 | number, letters, self.unpack_short(self.data, position - 2)[0], position
        if position + 4 > self.size:
            raise damaged("DICOM file")
        return group << 16 | number, letters, self.unpack_long(self.data, position)[0], position + 4

    def _step(self, tag: int, vr: bytes, length: int, position: int) -> int:
        """Go into what holds more elements, keep what is wanted; return where the next element begins."""
        top = self.stack[-1]
        stop = math.inf if length == UNDEFINED else position + length
        if tag in (_ITEM_END, _SEQUENCE_END):
            if len(self.stack) > 1:
                self.stack.pop()
            return position
        if tag == _ITEM:
            top.items += 1
            opened = _Open(top.path, stop, top.implicit, top.followed and top.items == 1)
        else:
            # What a UN of undefined length holds is always implicit (PS3.5 6.2.2).
            follow = top.followed and tag in self.sequences
            opened = _Open((*top.path, tag), stop, top.implicit or vr == b"UN", follow)
        if opened.followed or length == UNDEFINED:
            if len(self.stack) >= MAX_DEPTH:
                raise ImageError("unreadable", f"the DICOM file's sequences are nested deeper than {MAX_DEPTH}")
            self.stack.append(opened)
            return position
        if top.followed and tag in self.wanted:
            if position + length > self.size:
                raise damaged("DICOM file")
            self.found[opened.path] = Element(vr, self.view[position : position + length])
        return position + length


def _read_pixels(view: memoryview, position: int, length: int, vr: bytes, order: str) -> Element:
    """The value of the pixels; of compressed ones the first fragment is a table of offsets (PS3.5 A.4)."""
    if length != UNDEFINED:
        return Element(vr, view[position : position + length])
    fragments: list[memoryview] = []
    while position + 8 <= len(view) and len(fragments) < MAX_ELEMENTS:
        group, number, length = struct.unpack_from(f"{order}HHL", view, position)
        position += 8
        if (group << 16 | number) == _SEQUENCE_END:
            break
        if (group << 16 | number) != _ITEM or position + length > len(view):
            raise damaged("DICOM file")
        fragments.append(view[position : position + length])
        position += length
    return Element(vr, view[:0], tuple(fragments))

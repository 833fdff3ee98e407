"""DICOM's elements: those that make pixels are picked out of the bytes, all others are stepped over.

So names and other patient data are never decoded. It is one loop without recursion, over bytes that are
already in memory, and it takes time and memory in proportion to them, whatever they hold; pydicom's reader
recurses, and needs 10 s and 346 MB for 600,000 empty items (4.8 MB). It follows DICOM
PS3.5 chapter 7: explicit and implicit value representations, both byte orders, sequences and items of
defined and of undefined length, nested in one another.
"""

import math
import struct
from dataclasses import dataclass
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


@dataclass(slots=True)
class _Open:
    """A sequence or an item that is being read; `followed` if its elements are wanted."""

    path: Path
    end: float
    implicit: bool
    followed: bool
    items: int = 0


def read_elements(
    data: bytes, start: int, coding: Coding, tags: frozenset[int], sequences: frozenset[int]
) -> dict[Path, Element]:
    """Return the elements of these tags from `start` up to and with the pixels, by their paths.

    Of the `sequences` the first item is read, of others none.

    Raises:
        ImageError: the elements run past the end, or are nested too deep, or are too many.
    """
    view, order, position = memoryview(data), ">" if coding.big else "<", start
    elements: dict[Path, Element] = {}
    stack = [_Open((), math.inf, coding.implicit, True)]  # the file itself, and all that is open in it
    for _ in range(MAX_ELEMENTS):
        while position >= stack[-1].end:
            stack.pop()
        if position + 8 > len(data):
            if position < len(data) or len(stack) > 1:
                raise damaged("DICOM file")
            return elements
        top = stack[-1]
        tag, vr, length, position = read_head(data, position, order, top.implicit)
        if tag == PIXELS and len(stack) == 1:
            elements[tag,] = _read_pixels(view, position, length, vr, order)
            return elements
        if tag in (_ITEM_END, _SEQUENCE_END):
            if len(stack) > 1:
                stack.pop()
            continue
        end = math.inf if length == UNDEFINED else position + length
        if tag == _ITEM:
            top.items += 1
            opened = _Open(top.path, end, top.implicit, top.followed and top.items == 1)
        else:
            # What a UN of undefined length holds is always implicit (PS3.5 6.2.2).
            followed = top.followed and tag in sequences
            opened = _Open((*top.path, tag), end, top.implicit or vr == b"UN", followed)
        if opened.followed or length == UNDEFINED:
            if len(stack) >= MAX_DEPTH:
                raise ImageError("unreadable", f"the DICOM file's sequences are nested deeper than {MAX_DEPTH}")
            stack.append(opened)
            continue
        if top.followed and tag in tags:
            if end > len(data):
                raise damaged("DICOM file")
            elements[opened.path] = Element(vr, view[position : position + length])
        position += length
    raise ImageError("too_large", f"the DICOM file has more than {MAX_ELEMENTS} elements before its pixels")


def read_head(data: bytes, position: int, order: str, implicit: bool) -> tuple[int, bytes, int, int]:
    """Read an element's tag, its value representation if explicit, its length, and where its value begins."""
    group, number, length = struct.unpack_from(f"{order}HHL", data, position)
    tag, vr = group << 16 | number, data[position + 4 : position + 6]
    # Some writers go on without representations within a sequence; items never have one.
    if group == _DELIMITERS or implicit or not b"AA" <= vr <= b"ZZ":
        return tag, b"", length, position + 8
    if vr not in _LONG:
        return tag, vr, struct.unpack_from(f"{order}H", data, position + 6)[0], position + 8
    return tag, vr, struct.unpack_from(f"{order}L", data, position + 8)[0], position + 12


def _read_pixels(view: memoryview, position: int, length: int, vr: bytes, order: str) -> Element:
    """Read the value of the pixels; of compressed ones the first fragment is a table of offsets (PS3.5 A.4)."""
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

"""DICOM's elements: those that make pixels are picked out of the bytes, all others are stepped over.

So names and other patient data are never decoded. It is one loop without recursion, over bytes that are
already in memory, and it takes time and memory in proportion to them, whatever they hold. It follows DICOM
PS3.5 chapter 7: explicit and implicit value representations, both byte orders, sequences and items of
defined and of undefined length, nested in one another.
"""

import struct
from typing import NamedTuple

from medray.data.decoding.errors import ImageError, damaged

Path = tuple[int, ...]  # an element's tag, after those of the sequences that it is in

MAX_ELEMENTS = 500_000
MAX_DEPTH = 64
UNDEFINED = 0xFFFFFFFF
PIXELS = 0x7FE00010
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
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
    """A sequence or an item that is being read."""

    def __init__(self, path: Path, end: float, implicit: bool, followed: bool) -> None:
        self.path, self.end, self.implicit = path, end, implicit
        self.followed = followed  # whether what is in it is wanted
        self.items = 0


def read_elements(
    data: bytes, start: int, coding: Coding, wanted: frozenset[int], sequences: frozenset[int]
) -> dict[Path, Element]:
    """Return the wanted elements from `start` up to and with the pixels, by their paths.

    Of the `sequences` the first item is read, of others none.

    Raises:
        ImageError: the elements run past the end, or are nested too deep, or are too many.
    """
    view, order = memoryview(data), ">" if coding.big else "<"
    unpack_tag, unpack_length = struct.Struct(f"{order}HH").unpack_from, struct.Struct(f"{order}L").unpack_from
    unpack_short = struct.Struct(f"{order}H").unpack_from
    found: dict[Path, Element] = {}
    stack = [_Open((), float("inf"), coding.implicit, True)]
    position, end = start, len(data)
    for _ in range(MAX_ELEMENTS):
        while position >= stack[-1].end:
            stack.pop()
        if position + 8 > end:
            if position < end or len(stack) > 1:
                raise damaged("DICOM file")
            return found
        group, number = unpack_tag(data, position)
        tag, top, vr = group << 16 | number, stack[-1], b""
        (length,), position = unpack_length(data, position + 4), position + 8
        if tag == _ITEM:
            top.items += 1
            followed = top.followed and top.items == 1
            if followed or length == UNDEFINED:
                stop = float("inf") if length == UNDEFINED else position + length
                _push(stack, _Open(top.path, stop, top.implicit, followed))
            else:
                position += length
            continue
        if tag in (_ITEM_END, _SEQUENCE_END):
            if len(stack) > 1:
                stack.pop()
            continue
        letters = data[position - 4 : position - 2]
        if not top.implicit and b"AA" <= letters <= b"ZZ":  # some writers go on implicitly within a sequence
            vr = letters
            if vr in _LONG:
                if position + 4 > end:
                    raise damaged("DICOM file")
                (length,), position = unpack_length(data, position), position + 4
            else:
                (length,) = unpack_short(data, position - 2)
        path = (*top.path, tag)
        if tag == PIXELS and len(stack) == 1:
            found[path] = _read_pixels(view, position, length, vr, order)
            return found
        if length == UNDEFINED or (top.followed and tag in sequences):
            # What a UN of undefined length holds is always implicit (PS3.5 6.2.2).
            stop = float("inf") if length == UNDEFINED else position + length
            follow = top.followed and tag in sequences
            _push(stack, _Open(path, stop, top.implicit or vr == b"UN", follow))
            continue
        if top.followed and tag in wanted:
            if position + length > end:
                raise damaged("DICOM file")
            found[path] = Element(vr, view[position : position + length])
        position += length
    raise ImageError("too_large", f"the DICOM file has more than {MAX_ELEMENTS} elements before its pixels")


def _push(stack: list[_Open], opened: _Open) -> None:
    if len(stack) >= MAX_DEPTH:
        raise ImageError("unreadable", f"the DICOM file's sequences are nested deeper than {MAX_DEPTH}")
    stack.append(opened)


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

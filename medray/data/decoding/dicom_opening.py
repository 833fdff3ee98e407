"""How a DICOM file opens: preamble, group 2 and the transfer syntax; what is missing is read off the elements.

Older scanners and planning systems write the elements alone, without preamble and group 2, and some exporters
leave out TransferSyntaxUID or name another one than they use. How the first two elements are written shows the
byte order and whether value representations are explicit (PS3.5 7.1); compressed pixels show it by their first
bytes.
"""

import struct
from typing import NamedTuple

from medray.data.decoding.dicom_elements import UNDEFINED, Coding, Element, read_head
from medray.data.decoding.image_error import ImageError, damaged

IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED, RLE = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.5"
JPEG_SYNTAXES = frozenset({"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"})
JPEG_2000_SYNTAXES = frozenset({"1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"})
NATIVE = frozenset({IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED})
SYNTAXES = NATIVE | {RLE} | JPEG_SYNTAXES | JPEG_2000_SYNTAXES
MAX_META = 1000  # elements of group 2
MAX_SHORT = 1 << 16  # bytes of the first elements, where nothing but this tells them from other files

_SYNTAX_TAG = 0x00020010
_PREFIX = b"DICM"
_PREAMBLE = 128  # bytes of anything before the prefix
_CODINGS = (Coding(), Coding(implicit=True), Coding(big=True))
_FIRST_GROUPS = frozenset({0x02, 0x08, 0x10, 0x18, 0x20, 0x28})  # what an image's elements may begin with
_REPRESENTATIONS = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT "
    b"UV".split()
)


class Opening(NamedTuple):
    """What comes before the elements: the transfer syntax, empty where none is named, and where they begin.

    `guessed` says that `coding` was read off the elements, because no syntax is named or they contradict it.
    """

    syntax: str
    coding: Coding
    start: int
    guessed: bool


def find_start(content: bytes) -> int | None:
    """Return where the elements begin, those of group 2 included; None if `content` is not DICOM.

    The first 256 bytes of a file are enough. Without "DICM" behind 128 bytes, the elements begin at once, behind
    "DICM" alone, or behind a preamble of zeros; the first two must be written as DICOM writes them.
    """
    if content[_PREAMBLE : _PREAMBLE + len(_PREFIX)] == _PREFIX:
        return _PREAMBLE + len(_PREFIX)
    starts = [0]
    if content.startswith(_PREFIX):
        starts = [len(_PREFIX)]
    elif len(content) > _PREAMBLE and not any(content[:_PREAMBLE]):
        starts = [_PREAMBLE, _PREAMBLE + len(_PREFIX)]
    return next((start for start in starts if guess_coding(content, start)), None)


def read_opening(content: bytes) -> Opening:
    """Read the transfer syntax from group 2, which is explicit and little-endian, and where the elements begin.

    Raises:
        ImageError: no syntax is named, and the elements don't show how they are written.
        struct.error: the content is cut short.
    """
    position, syntax = find_start(content) or 0, ""
    for _ in range(MAX_META):
        if content[position : position + 2] != b"\x02\0":
            break
        if position + 12 > len(content):
            raise damaged("DICOM file")
        tag, _, length, position = read_head(content, position, "<", implicit=False)
        if tag == _SYNTAX_TAG:
            syntax = content[position : position + min(length, 64)].decode("latin-1").strip(" \0")
        position += length
    named = Coding(implicit=syntax == IMPLICIT, big=syntax == BIG_ENDIAN) if syntax else None
    if syntax == DEFLATED:
        return Opening(syntax, Coding(), position, guessed=False)
    coding = guess_coding(content, position) or named
    if coding is None:
        raise ImageError(
            "unreadable", "the DICOM file names no transfer syntax, and its elements don't show one; add "
            "TransferSyntaxUID to its group 2"
        )  # fmt: skip
    return Opening(syntax, coding, position, guessed=coding != named)


def guess_coding(content: bytes, start: int) -> Coding | None:
    """Return how the elements from `start` on are written; None if the first two are written in no known way."""
    return next((coding for coding in _CODINGS if _opens_by(content, start, coding)), None)


def _opens_by(content: bytes, start: int, coding: Coding) -> bool:
    """Return whether `start` opens with two elements of this coding: in ascending order, and not too long.

    The second may lie behind the end if the first names a representation that exists.
    """
    position, before = start, 0
    for _ in range(2):
        if position + 12 > len(content):
            return before > 0 and not coding.implicit
        implicit = coding.implicit or content[position : position + 4] == b"\xfe\xff\x00\xe0"  # an item
        tag, vr, length, after = read_head(content, position, ">" if coding.big else "<", implicit)
        if tag <= before or (not before and tag >> 16 not in _FIRST_GROUPS):
            return False
        if not implicit and vr not in _REPRESENTATIONS:
            return False
        if length == UNDEFINED:
            length = 0
        elif coding.implicit and (length % 2 or length > MAX_SHORT):
            return False
        position, before = after + length, tag
    return True


def syntax_of_pixels(syntax: str, coding: Coding, pixels: Element | None) -> str:
    """Return the transfer syntax that the pixels are of, which is the one named unless they contradict it.

    Raises:
        ImageError: they are compressed, no syntax says how, and they don't show it.
    """
    if pixels is None or (syntax and (pixels.fragments is None) == (syntax in NATIVE)):
        return syntax
    if pixels.fragments is None:
        return BIG_ENDIAN if coding.big else IMPLICIT if coding.implicit else EXPLICIT
    frame = bytes(pixels.fragments[1][:64]) if len(pixels.fragments) > 1 else b""
    if frame.startswith(b"\xff\xd8\xff"):
        return min(JPEG_SYNTAXES)
    if frame.startswith(b"\xff\x4f\xff\x51"):
        return min(JPEG_2000_SYNTAXES)
    if len(frame) == 64 and struct.unpack_from("<2L", frame) in {(count, 64) for count in range(1, 16)}:
        return RLE  # how many segments, and where the first begins (PS3.5 annex G.5)
    raise ImageError(
        "unreadable", "the DICOM file's pixels are compressed, and neither they nor its transfer syntax say how; "
        "save it uncompressed first"
    )  # fmt: skip

"""Read the patient and series of a DICOM file, as hashes; nothing else of it is read.

A hash is a pseudonym and not anonymous: anyone who knows a patient's ID can compute it.
"""

import hashlib
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from medray.data.decoding import ImageError, sniff
from medray.data.decoding.dicom_elements import PIXELS, Coding, Element, read_elements
from medray.data.decoding.dicom_header import BIG_ENDIAN, DEFLATED, IMPLICIT, MAX_META, PREAMBLE

PATIENT, SERIES, _SYNTAX = (0x00100020,), (0x0020000E,), (0x00020010,)
_TAGS = frozenset({PATIENT[0], SERIES[0]})
_LONG = (b"OB", b"UN", b"UT")
_HEAD = 1 << 16  # bytes; nearly always enough, else the whole file is read
_MOST = 1 << 26  # bytes that a deflated file may inflate to


@dataclass(frozen=True)
class Identity:
    """Hashes of the patient's ID and of the series, None if the file does not name them."""

    patient: str | None
    series: str | None


def short_hash(text: str) -> str:
    """Return the first 16 digits of the SHA-256, which stand for a name in our files."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_identity(path: Path) -> Identity | None:
    """Return the patient and series of a file, None if it can't be read or is no DICOM image."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            if sniff(head) != "dicom":
                return None
            return _identity(head) or _identity(head + file.read())
    except (OSError, MemoryError):
        return None


def _identity(content: bytes) -> Identity | None:
    try:
        start = _end_of_meta(content)
        meta = read_elements(content[:start], PREAMBLE, Coding(), frozenset(_SYNTAX), frozenset())
        syntax = _text(meta.get(_SYNTAX))
        coding = Coding(implicit=syntax == IMPLICIT, big=syntax == BIG_ENDIAN)
        if syntax == DEFLATED:
            content, start = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content[start:], _MOST), 0
        elements = read_elements(content, start, coding, _TAGS, frozenset())
    except (ImageError, zlib.error, struct.error):
        return None
    if (PIXELS,) not in elements:
        return None  # cut off, or no image
    patient, series = _text(elements.get(PATIENT)), _text(elements.get(SERIES))
    return Identity(short_hash(patient) if patient else None, short_hash(series) if series else None)


def _end_of_meta(content: bytes) -> int:
    """Return the offset at which group 2 ends, whose elements are always explicit and little-endian."""
    position = PREAMBLE
    for _ in range(MAX_META):
        if content[position : position + 2] != b"\x02\0" or position + 12 > len(content):
            break
        long = content[position + 4 : position + 6] in _LONG
        (length,) = struct.unpack_from("<L" if long else "<H", content, position + (8 if long else 6))
        position += length + (12 if long else 8)
    return position


def _text(element: Element | None) -> str:
    return "" if element is None else bytes(element.value).decode("latin-1").strip(" \0")

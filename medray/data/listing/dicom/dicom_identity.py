"""Read the patient and series of a DICOM file, as hashes; nothing else of it is read.

A hash is a pseudonym and not anonymous: anyone who knows a patient's ID can compute it.
"""

import hashlib
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from medray.data.decoding import ImageError, sniff
from medray.data.decoding.dicom_elements import PIXELS, Element, read_elements
from medray.data.decoding.dicom_opening import DEFLATED, read_opening

PATIENT, SERIES = (0x00100020,), (0x0020000E,)
_TAGS = frozenset({PATIENT[0], SERIES[0]})
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
        opening = read_opening(content)
        start = opening.start
        if opening.syntax == DEFLATED:
            content, start = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content[start:], _MOST), 0
        elements = read_elements(content, start, opening.coding, _TAGS, frozenset())
    except (ImageError, zlib.error, struct.error):
        return None
    if (PIXELS,) not in elements:
        return None  # cut off, or no image
    patient, series = _text(elements.get(PATIENT)), _text(elements.get(SERIES))
    return Identity(short_hash(patient) if patient else None, short_hash(series) if series else None)


def _text(element: Element | None) -> str:
    return "" if element is None else bytes(element.value).decode("latin-1").strip(" \0")

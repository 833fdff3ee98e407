"""What a file says of how and where its image was made: mode, JPEG quality, device, station, view and date."""

import io
import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from medray._types import Array
from medray.data.decoding import ImageError
from medray.data.decoding.dicom_elements import Element, read_elements
from medray.data.decoding.dicom_opening import DEFLATED, read_opening
from medray.data.similarity.measures import Measures
from medray.errors import printable

#: PNG's colour types, in the last byte of what its header says of them.
_PNG_MODES = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGB with alpha"}
_DICOM = {
    "manufacturer": 0x00080070, "model": 0x00081090, "institution": 0x00080080, "station": 0x00081010,
    "view": 0x00185101, "modality": 0x00080060, "acquired": 0x00080022, "studied": 0x00080020,
}  # fmt: skip
_EXIF_MAKE, _EXIF_MODEL, _EXIF_CHANGED, _EXIF_MORE, _EXIF_TAKEN = 0x010F, 0x0110, 0x0132, 0x8769, 0x9003
_EXIF_HEAD = 1 << 16  # bytes: a JPEG file has EXIF at its beginning
_DATE = re.compile(r"(\d{4})[-:./]?(\d{2})[-:./]?(\d{2})")
_ANNEX_K_MEAN = 57.625  # of the luminance table in annex K of ITU-T T.81
_INFLATED = 1 << 26
_LONGEST = 60


@dataclass(frozen=True)
class FileFacts:
    """Facts of one file, 0 or empty where it does not say: `bytes` is its size, `quality` JPEG's, 1 to 100.

    `device` is the manufacturer with the model, `station` the institution with the station, `date` is YYYYMMDD.
    """

    bytes: int = 0
    mode: str = ""
    quality: float = 0.0
    device: str = ""
    station: str = ""
    view: str = ""
    date: str = ""


@dataclass(frozen=True)
class FileMeasures(Measures):
    """The measures of n images that are files, with the columns (n,) of FileFacts."""

    bytes: Array
    mode: Array
    quality: Array
    device: Array
    station: Array
    view: Array
    date: Array


def read_file_facts(content: bytes, name: str, channels: int, notes: Sequence[str] = ()) -> FileFacts:
    """Return the facts of a readable file of the format `name`; `notes` are those of its decoding."""
    mode = "CMYK" if "cmyk" in notes else "palette" if "palette" in notes else "grey" if channels == 1 else "RGB"
    facts: dict[str, str] = {}
    if name == "png":
        mode = _PNG_MODES.get(content[25], mode)
    elif name == "dicom":
        facts = _read_dicom(content)
    elif name == "tiff" or (name == "jpeg" and b"Exif\0" in content[:_EXIF_HEAD]):
        facts = _read_exif(content)
    return FileFacts(len(content), mode, jpeg_quality(content) if name == "jpeg" else 0.0, **facts)


def jpeg_quality(content: bytes) -> float:
    """Return a JPEG's quality, 1 to 100 as libjpeg has it, from the mean of its first table; 0 without one."""
    position = 2
    while position + 5 < len(content) and content[position] == 0xFF:
        marker, length = content[position + 1], int.from_bytes(content[position + 2 : position + 4], "big")
        if marker == 0xDB:
            size = 2 if content[position + 4] >> 4 else 1
            table = content[position + 5 : position + 5 + 64 * size]
            mean = sum(table[size - 1 :: size]) / 64
            if size == 2:
                mean += 256 * sum(table[::2]) / 64
            scale = 100 * max(mean, 1) / _ANNEX_K_MEAN
            return round((200 - scale) / 2 if scale <= 100 else 5000 / scale, 1)
        position += 2 + length
    return 0.0


def _read_dicom(content: bytes) -> dict[str, str]:
    """Return device, station, view and date of a DICOM file; no other element is decoded."""
    try:
        opening = read_opening(content)
        start = opening.start
        if opening.syntax == DEFLATED:
            content, start = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content[start:], _INFLATED), 0
        elements = read_elements(content, start, opening.coding, frozenset(_DICOM.values()), frozenset())
    except (ImageError, zlib.error, struct.error):
        return {}
    texts = {name: _text(elements.get((tag,))) for name, tag in _DICOM.items()}
    return {
        "device": _joined(texts["manufacturer"], texts["model"]),
        "station": _joined(texts["institution"], texts["station"]),
        "view": _joined(texts["modality"], texts["view"]),
        "date": _plain_date(texts["acquired"]) or _plain_date(texts["studied"]),
    }


def _text(element: Element | None) -> str:
    return "" if element is None else bytes(element.value[:1024]).decode("latin-1").strip(" \0")


def _read_exif(content: bytes) -> dict[str, str]:
    """Return the camera and the date of a JPEG's or TIFF's EXIF."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            exif = image.getexif()
            taken = exif.get_ifd(_EXIF_MORE).get(_EXIF_TAKEN) or exif.get(_EXIF_CHANGED)
            return {
                "device": _joined(str(exif.get(_EXIF_MAKE, "")), str(exif.get(_EXIF_MODEL, ""))),
                "date": _plain_date(str(taken or "")),
            }
    except Exception:
        return {}  # Pillow, as with pixels, raises many kinds for damaged data


def _joined(*texts: str) -> str:
    return printable(" ".join(text.strip(" \0") for text in texts if text.strip(" \0")))[:_LONGEST]


def _plain_date(text: str) -> str:
    match = _DATE.match(text)
    return "".join(match.groups()) if match and match[1] != "0000" else ""

"""DICOM's header: the transfer syntax, and the values of the elements that say how pixels are to be read."""

import math
import re
import struct
import zlib

import numpy as np

from medray.data.decoding.dicom_elements import PIXELS, Coding, Element, Path, read_elements
from medray.data.decoding.dicom_opening import DEFLATED, SYNTAXES, Opening, read_opening, syntax_of_pixels
from medray.data.decoding.image_error import ImageError

INFLATED = 4  # bytes for each allowed pixel that a deflated file may inflate to, besides a megabyte

_NAMES = {
    0x00020010: "TransferSyntaxUID", 0x00280002: "SamplesPerPixel", 0x00280004: "PhotometricInterpretation",
    0x00280006: "PlanarConfiguration", 0x00280008: "NumberOfFrames", 0x00280010: "Rows", 0x00280011: "Columns",
    0x00280100: "BitsAllocated", 0x00280101: "BitsStored", 0x00280102: "HighBit",
    0x00280103: "PixelRepresentation", 0x00280120: "PixelPaddingValue", 0x00280121: "PixelPaddingRangeLimit",
    0x00281050: "WindowCenter", 0x00281051: "WindowWidth", 0x00281052: "RescaleIntercept",
    0x00281053: "RescaleSlope", 0x00281056: "VOILUTFunction", 0x00281101: "RedPaletteColorLookupTableDescriptor",
    0x00281201: "RedPaletteColorLookupTableData", 0x00281202: "GreenPaletteColorLookupTableData",
    0x00281203: "BluePaletteColorLookupTableData", 0x00283002: "LUTDescriptor", 0x00283006: "LUTData",
    0x00283000: "ModalityLUTSequence", 0x00283010: "VOILUTSequence", 0x00289132: "FrameVOILUTSequence",
    0x00289145: "PixelValueTransformationSequence", 0x52009229: "SharedFunctionalGroupsSequence",
    0x52009230: "PerFrameFunctionalGroupsSequence", 0x7FE00008: "FloatPixelData",
    0x7FE00009: "DoubleFloatPixelData", PIXELS: "PixelData",
}  # fmt: skip
TAGS = {name: tag for tag, name in _NAMES.items()}
_SEQUENCES = frozenset(tag for name, tag in TAGS.items() if name.endswith("Sequence"))
_BINARY = {b"US": "u2", b"SS": "i2", b"UL": "u4", b"SL": "i4", b"FL": "f4", b"FD": "f8"}
_OTHERS = frozenset({b"UL", b"SL", b"FL", b"FD", b"DS", b"IS"})  # of numbers, besides 16 bits
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_UID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+")


class DicomHeader:
    """The elements of one file, by name; a name may lead through sequences, such as "VOILUTSequence.LUTData".

    `syntax` is the transfer syntax; `guessed` says that the file names none, or one that it does not keep to.
    All methods raise ImageError for a value that is not what its element must hold; it is never in the message.
    """

    def __init__(self, elements: dict[Path, Element], coding: Coding, syntax: str, guessed: bool) -> None:
        self._elements = elements
        self.syntax = syntax
        self.guessed = guessed
        self.big = coding.big
        self.order = ">" if coding.big else "<"

    def get(self, name: str) -> Element | None:
        """Return the element, None if it is absent."""
        return self._elements.get(tuple(TAGS[part] for part in name.split(".")))

    def numbers(self, name: str) -> tuple[int, ...]:
        """Return its numbers of 16 bits without sign; none if the element is absent."""
        element = self.get(name)
        if element is None:
            return ()
        if not 0 < len(element.value) <= 64 or len(element.value) % 2:
            raise _wrong(name)
        return struct.unpack(f"{self.order}{len(element.value) // 2}H", element.value)

    def number(self, name: str, default: int | None = None) -> int:
        """Return the first such number, or `default` if the element is absent or empty.

        One that is not stored in 16 bits, against the standard, may be larger, or below 0.
        """
        element = self.get(name)
        if element is not None and len(element.value):
            if element.vr not in _OTHERS:
                return self.numbers(name)[0]
            decimal = self.decimal(name)
            if decimal is None or not decimal.is_integer():
                raise _wrong(name)
            return int(decimal)
        if default is None:
            raise ImageError("unreadable", f"the DICOM file has no {name}")
        return default

    def text(self, name: str) -> str:
        """Return the first of its texts; empty if the element is absent or empty."""
        element = self.get(name)
        if element is None:
            return ""
        if len(element.value) > 1024:
            raise _wrong(name)
        return bytes(element.value).decode("latin-1").split("\\")[0].strip(" \0")

    def decimals(self, name: str) -> tuple[float, ...]:
        """Return its numbers, NaN for each that is none; none if the element is absent or empty.

        They are texts, as the standard has windows and rescales, or of the binary representation that it states.
        """
        element = self.get(name)
        if element is None or not len(element.value):
            return ()
        if len(element.value) > 1024:
            raise _wrong(name)
        if element.vr in _BINARY:
            kind = np.dtype(f"{self.order}{_BINARY[element.vr]}")
            if len(element.value) % kind.itemsize:
                raise _wrong(name)
            return tuple(np.frombuffer(element.value, kind).astype(float).tolist())
        text = bytes(element.value).decode("latin-1").strip(" \0")
        return tuple(_parse_decimal(part) for part in text.split("\\")) if text else ()

    def decimal(self, name: str) -> float | None:
        """Return the first of its numbers; None if the element is absent or empty."""
        number = next(iter(self.decimals(name)), None)
        if number is not None and not math.isfinite(number):
            raise _wrong(name)
        return number

    def is_signed(self, name: str) -> bool:
        """Return whether a number of 16 bits is signed: by its own representation, or as the pixels are."""
        element = self.get(name)
        if element is not None and element.vr in (b"US", b"SS"):
            return element.vr == b"SS"
        return self.number("PixelRepresentation", 0) == 1


def _parse_decimal(text: str) -> float:
    """Return the number of a decimal string, NaN if it is none."""
    text = text.strip(" \0")
    return float(text) if _DECIMAL.fullmatch(text) else math.nan


def _wrong(name: str) -> ImageError:
    return ImageError("unreadable", f"the DICOM file's {name} is malformed")


def read_dicom_header(content: bytes, limit: int) -> DicomHeader:
    """Read the transfer syntax and the elements of a DICOM file.

    Raises:
        ImageError: it is damaged, too large once inflated, or of a transfer syntax that is not read.
    """
    opening, elements = read_file_elements(content, limit, frozenset(_NAMES), _SEQUENCES)
    syntax = syntax_of_pixels(opening.syntax, opening.coding, elements.get((PIXELS,)))
    return DicomHeader(elements, opening.coding, syntax, opening.guessed or syntax != opening.syntax)


def read_file_elements(
    content: bytes, limit: int, tags: frozenset[int], sequences: frozenset[int] = frozenset()
) -> tuple[Opening, dict[Path, Element]]:
    """Read how a DICOM file opens, and its elements of these tags as `read_elements` does.

    `limit` is the most pixels that an image may have, which bounds what a deflated file may inflate to.

    Raises:
        ImageError: it is damaged, too large once inflated, or of a transfer syntax that is not read.
    """
    opening = read_opening(content)
    if opening.syntax and opening.syntax not in SYNTAXES:
        raise _unread_syntax(opening.syntax)
    start = opening.start
    if opening.syntax == DEFLATED:
        largest = INFLATED * limit + (1 << 20)
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        content, start = inflater.decompress(memoryview(content)[start:], largest), 0
        if inflater.unconsumed_tail and inflater.decompress(inflater.unconsumed_tail, 1):
            raise ImageError("too_large", f"the DICOM file inflates to more than {largest} bytes")
    return opening, read_elements(content, start, opening.coding, tags, sequences)


def _unread_syntax(syntax: str) -> ImageError:
    """Return the error for a transfer syntax that is not read, which is named if the standard has it."""
    from pydicom.uid import UID

    name = UID(syntax).name if _UID.fullmatch(syntax) else syntax
    # Nothing else of the file may come into a message.
    named = f"{name} ({syntax})" if name != syntax else "one that the standard does not name"
    way = "save it uncompressed first, as gdcmconv --raw does"
    return ImageError("unsupported", f"the DICOM file's transfer syntax is not read: {named}; {way}")

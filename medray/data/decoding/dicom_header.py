"""DICOM's header: the transfer syntax, and the values of the elements that say how pixels are to be read."""

import math
import re
import struct
import zlib

from medray.data.decoding.dicom_elements import PIXELS, Coding, Element, Path, read_elements
from medray.data.decoding.image_error import ImageError, damaged

PREAMBLE = 132  # 128 bytes of anything, then "DICM"
IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED, RLE = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.5"
JPEG_SYNTAXES = frozenset({"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"})
JPEG_2000_SYNTAXES = frozenset({"1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"})
NATIVE = frozenset({IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED})
SYNTAXES = NATIVE | {RLE} | JPEG_SYNTAXES | JPEG_2000_SYNTAXES
MAX_META = 1000  # elements of group 2
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
_UID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+")


class DicomHeader:
    """The elements of one file, by name; a name may lead through sequences, such as "VOILUTSequence.LUTData".

    All methods raise ImageError for a value that is not what its element must hold; it is never in the message.
    """

    def __init__(self, elements: dict[Path, Element], coding: Coding) -> None:
        self._elements = elements
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
        """Return the first such number, or `default` if the element is absent or empty."""
        element = self.get(name)
        if element is not None and len(element.value):
            return self.numbers(name)[0]
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

    def decimal(self, name: str) -> float | None:
        """Return the first of its decimal numbers; None if the element is absent or empty."""
        text = self.text(name)
        if not text:
            return None
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise _wrong(name)
        return number

    def is_signed(self, name: str) -> bool:
        """Return whether a number of 16 bits is signed: by its own representation, or as the pixels are."""
        element = self.get(name)
        if element is not None and element.vr in (b"US", b"SS"):
            return element.vr == b"SS"
        return self.number("PixelRepresentation", 0) == 1


def _wrong(name: str) -> ImageError:
    return ImageError("unreadable", f"the DICOM file's {name} is malformed")


def read_dicom_header(content: bytes, limit: int) -> tuple[str, DicomHeader]:
    """Read the transfer syntax and the elements of a DICOM file.

    Raises:
        ImageError: it is damaged, too large once inflated, or of a transfer syntax that is not read.
    """
    syntax, start = _read_syntax(content)
    coding = Coding(implicit=syntax == IMPLICIT, big=syntax == BIG_ENDIAN)
    if syntax == DEFLATED:
        largest = INFLATED * limit + (1 << 20)
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        content, start = inflater.decompress(memoryview(content)[start:], largest), 0
        if inflater.unconsumed_tail and inflater.decompress(inflater.unconsumed_tail, 1):
            raise ImageError("too_large", f"the DICOM file inflates to more than {largest} bytes")
    return syntax, DicomHeader(read_elements(content, start, coding, frozenset(_NAMES), _SEQUENCES), coding)


def _read_syntax(content: bytes) -> tuple[str, int]:
    """Read the transfer syntax, and where group 2, which is always explicit and little-endian, ends."""
    position, syntax = PREAMBLE, ""
    for _ in range(MAX_META):
        if content[position : position + 2] != b"\x02\0":
            break
        if position + 12 > len(content):
            raise damaged("DICOM file")
        number, vr, length = struct.unpack_from("<H2sH", content, position + 2)
        position += 8
        if vr in (b"OB", b"UN", b"UT"):
            (length,), position = struct.unpack_from("<L", content, position), position + 4
        if number == 0x0010:
            syntax = content[position : position + min(length, 64)].decode("latin-1").strip(" \0")
        position += length
    if not syntax:
        raise ImageError("unreadable", "the DICOM file names no transfer syntax")
    if syntax not in SYNTAXES:
        from pydicom.uid import UID

        name = UID(syntax).name if _UID.fullmatch(syntax) else syntax
        # Nothing else of the file may come into a message.
        named = f"{name} ({syntax})" if name != syntax else "one that the standard does not name"
        raise ImageError("unsupported", f"the DICOM file's transfer syntax is not read: {named}")
    return syntax, position

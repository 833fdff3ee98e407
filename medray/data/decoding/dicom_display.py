"""How DICOM's grey values are shown: tables from each stored value to one of 0..255, and palettes."""

from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.data.decoding.dicom_header import Header
from medray.data.decoding.image_error import ImageError

#: Where the modality rescale and the window may lie: in the file itself, or, in the enhanced kinds of files,
#: in the groups that hold for all frames or for the first one.
_RESCALES = ("", "SharedFunctionalGroupsSequence.PixelValueTransformationSequence.",
             "PerFrameFunctionalGroupsSequence.PixelValueTransformationSequence.")  # fmt: skip
_WINDOWS = ("", "SharedFunctionalGroupsSequence.FrameVOILUTSequence.",
            "PerFrameFunctionalGroupsSequence.FrameVOILUTSequence.")  # fmt: skip


@dataclass(frozen=True)
class Display:
    """A table uint8 (2**bits,) from stored values to shown ones, and notes of what it does."""

    table: Array
    notes: frozenset[str]


@dataclass(frozen=True)
class _Lut:
    """A look-up table of the file: `entries` from the value `first` on, each of `bits` bits."""

    first: int
    bits: int
    entries: Array

    def __call__(self, values: Array) -> Array:
        """Look up values; those before the first entry and behind the last take these (PS3.3 C.11.1.1)."""
        places = np.clip(np.rint(values) - self.first, 0, len(self.entries) - 1)
        found: Array = self.entries[places.astype(np.int64)].astype(np.float64)
        return found


def grey_table(header: Header, bits: int, seen: Array, *, inverted: bool) -> Display:
    """Work out what each stored value of `bits` bits is shown as.

    `seen` bool (2**bits,) says which values the image holds. The VOI look-up table comes first, else the
    first window, by its own function. Without both, 8 bits without sign and rescaling are left as they are;
    all others are scaled from the least to the greatest value that is seen, padding left out. Padding is
    black, whatever its value.

    Raises:
        ImageError: an element does not hold what it must, or there is nothing but padding.
    """
    with np.errstate(all="ignore"):  # for this thread; what overflows is found at the end
        return _grey_table(header, bits, seen, inverted)


def _grey_table(header: Header, bits: int, seen: Array, inverted: bool) -> Display:
    stored = np.arange(2**bits)
    signed = header.number("PixelRepresentation", 0) == 1
    values = _modality(
        header, (np.where(stored < 2 ** (bits - 1), stored, stored - 2**bits) if signed else stored)
    )
    padding = _padding(header, bits, signed)
    shown, notes = _windowed(header, values), {"windowed"}
    if shown is None:
        identity = bits == 8 and np.array_equal(values, stored)
        shown = values if identity else _spread(values, seen & ~padding)
        notes = set() if identity else {"rescaled_to_8_bit"}
    if inverted:
        shown, notes = 255 - shown, notes | {"inverted"}
    if not np.isfinite(shown).all():
        raise ImageError("unreadable", "the DICOM file's rescaling or window leads to no numbers")
    shown = np.where(padding, 0, shown)
    return Display(np.floor(np.clip(shown, 0, 255) + 0.5).astype(np.uint8), frozenset(notes))


def _modality(header: Header, values: Array) -> Array:
    """Values in the units of the modality, float64 (PS3.3 C.11.1)."""
    lut = _read_lut(header, "ModalityLUTSequence")
    if lut is not None:
        return lut(values)
    for place in _RESCALES:
        slope, intercept = header.decimal(f"{place}RescaleSlope"), header.decimal(f"{place}RescaleIntercept")
        if slope is not None or intercept is not None:
            if slope == 0:
                raise ImageError("unreadable", "the DICOM file's RescaleSlope is 0: all pixels would be the same")
            return values * (1.0 if slope is None else slope) + (intercept or 0.0)
    return values.astype(np.float64)


def _windowed(header: Header, values: Array) -> Array | None:
    """Values 0..255 through the VOI look-up table or the first window; None if there is neither."""
    lut = _read_lut(header, "VOILUTSequence")
    if lut is not None:
        shown: Array = lut(values) * (255 / (2**lut.bits - 1))
        return shown
    for place in _WINDOWS:
        center, width = header.decimal(f"{place}WindowCenter"), header.decimal(f"{place}WindowWidth")
        if center is not None and width is not None:
            function = header.text(f"{place}VOILUTFunction").upper() or "LINEAR"
            return window(values, center, width, function)
    return None


def window(values: Array, center: float, width: float, function: str = "LINEAR") -> Array:
    """Map values to 0..255 by a VOI window, as float64 (PS3.3 C.11.2.1.2 and C.11.2.1.3).

    Raises:
        ImageError: the width is too small, or the function is unknown.
    """
    if width <= 0 or (function == "LINEAR" and width < 1):
        raise ImageError("unreadable", "the DICOM file's WindowWidth is too small for a window")
    shown: Array
    if function == "SIGMOID":
        shown = 255 / (1 + np.exp(np.clip(-4 * (values - center) / width, -700, 700)))
        return shown
    if function not in ("LINEAR", "LINEAR_EXACT"):
        raise ImageError(
            "unsupported", "the DICOM file's VOILUTFunction is none of: LINEAR, LINEAR_EXACT, SIGMOID"
        )
    if function == "LINEAR":
        center, width = center - 0.5, width - 1
    low, high = center - width / 2, center + width / 2
    inside = (values - low) * 255 / (width or 1.0)
    shown = np.where(values <= low, 0.0, np.where(values > high, 255.0, inside))
    return shown


def _spread(values: Array, seen: Array) -> Array:
    """Values scaled so that those seen take 0..255; an image of one value becomes 0."""
    if not seen.any():
        raise ImageError("unreadable", "the DICOM file holds nothing but padding")
    low, high = float(values[seen].min()), float(values[seen].max())
    spread: Array = (values - low) * 255 / (high - low or 1.0)
    return spread


def _padding(header: Header, bits: int, signed: bool) -> Array:
    """Which stored values are padding, bool (2**bits,): one, or a range of them (PS3.3 C.7.5.1.1.2)."""
    found = np.zeros(2**bits, dtype=bool)
    ends = [header.number(name, -1) for name in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    if ends[0] < 0:
        return found
    sign = 0x8000 if signed else 0  # makes the order of signed numbers that of unsigned ones
    first, last = sorted(end ^ sign for end in (ends[0], ends[1] if ends[1] >= 0 else ends[0]))
    stored = np.arange(2**bits)
    wide = np.where(stored >= 2 ** (bits - 1), stored + (0x10000 - 2**bits), stored) if signed else stored
    return ((wide ^ sign) >= first) & ((wide ^ sign) <= last)


def _read_lut(header: Header, sequence: str) -> _Lut | None:
    """The look-up table in the first item of a sequence; None if there is none."""
    described, data = f"{sequence}.LUTDescriptor", header.get(f"{sequence}.LUTData")
    numbers = header.numbers(described)
    if not numbers or data is None:
        return None
    if len(numbers) != 3 or not 8 <= numbers[2] <= 16:
        raise ImageError("unreadable", f"the DICOM file's {sequence} is not what it must be")
    first = numbers[1] - 0x10000 if header.is_signed(described) and numbers[1] >= 0x8000 else numbers[1]
    return _Lut(first, numbers[2], _entries(header, data.value, numbers[0] or 65536, sequence))


def _entries(header: Header, data: memoryview, count: int, name: str) -> Array:
    """The entries of a table: words, or, where the data are shorter, bytes."""
    if len(data) >= 2 * count:
        return np.frombuffer(data[: 2 * count], f"{header.order}u2").astype(np.uint16)
    if len(data) < count:
        raise ImageError("unreadable", f"the DICOM file's {name} is cut short")
    if header.big and count % 2 == 0:  # bytes in words, which were turned round
        return np.frombuffer(data[:count], np.uint8).reshape(-1, 2)[:, ::-1].reshape(-1)
    return np.frombuffer(data[:count], np.uint8)


def palette(header: Header, bits: int) -> Array:
    """The colours uint8 (2**bits, 3) that a palette gives to stored values; of 16 bits the upper 8 are taken.

    Raises:
        ImageError: there is no palette, or it is segmented, or it is not what it must be.
    """
    name = "RedPaletteColorLookupTableDescriptor"
    numbers = header.numbers(name)
    if len(numbers) != 3 or numbers[2] not in (8, 16):
        raise ImageError("unreadable", "the DICOM file's palette is missing or not what it must be")
    signed = header.number("PixelRepresentation", 0) == 1
    first = numbers[1] - 0x10000 if signed and numbers[1] >= 0x8000 else numbers[1]
    stored = np.arange(2**bits)
    values = np.where(stored >= 2 ** (bits - 1), stored - 2**bits, stored) if signed else stored
    places = np.clip(values - first, 0, (numbers[0] or 65536) - 1)
    channels = []
    for colour in ("Red", "Green", "Blue"):
        data = header.get(f"{colour}PaletteColorLookupTableData")
        if data is None:
            raise ImageError("unsupported", "the DICOM file's palette is segmented; that is not read")
        entries = _entries(header, data.value, numbers[0] or 65536, "palette")[places]
        channels.append(entries >> 8 if numbers[2] == 16 else entries)
    return np.stack(channels, axis=1).astype(np.uint8)

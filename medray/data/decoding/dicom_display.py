"""How DICOM's grey values are displayed: tables from each stored value to one of 0..255, and palettes.

pydicom has the same steps (apply_modality_lut, apply_voi_lut), but would need its data set (see dicom.py), scales
a window to the range of the stored bits, and leaves padding in.
"""

from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.data.decoding.dicom_header import DicomHeader
from medray.data.decoding.dicom_window import apply_first_window
from medray.data.decoding.image_error import ImageError

#: Where the modality rescale may lie, as windows do.
_PREFIXES = (
    "", "SharedFunctionalGroupsSequence.PixelValueTransformationSequence.",
    "PerFrameFunctionalGroupsSequence.PixelValueTransformationSequence.",
)  # fmt: skip


@dataclass(frozen=True)
class Lut:
    """A look-up table of the file: `entries` from the value `first` on, each of `bits` bits."""

    first: int
    bits: int
    entries: Array

    def __call__(self, values: Array) -> Array:
        """Look up values; those outside the table take its first or last entry (PS3.3 C.11.1.1)."""
        entries: Array = self.entries[np.clip(np.rint(values) - self.first, 0, len(self.entries) - 1).astype(int)]
        return entries


@np.errstate(all="ignore")  # what overflows is found at the end
def grey_table(
    header: DicomHeader, bits: int, present: Array, padding: tuple[int, int] | None, *, inverted: bool
) -> tuple[Array, frozenset[str]]:
    """Return a table uint8 (2**bits,) from stored values to displayed ones, and notes of what it does.

    `present` bool (2**bits,) says which values the image holds; `padding` are the first and last value that are
    padding. The VOI look-up table comes first, else the first valid window, by its own function. Without either,
    unsigned 8-bit values without a rescale are kept; all others are scaled from the least to the greatest value
    present, padding left out. Padding is black, whatever its value.

    Raises:
        ImageError: an element is malformed, or there is nothing but padding.
    """
    stored = stored_values(header, bits)
    values = apply_modality_lut(header, stored)
    padded = np.zeros_like(present) if padding is None else (padding[0] <= stored) & (stored <= padding[1])
    displayed, notes = apply_voi_lut(header, values)
    if displayed is None and bits == 8 and np.array_equal(values, np.arange(256)):
        displayed = values
    elif displayed is None:
        if not (present & ~padded).any():
            raise ImageError("unreadable", "the DICOM file holds nothing but padding")
        low, high = float(values[present & ~padded].min()), float(values[present & ~padded].max())
        displayed, notes = (values - low) * 255 / (high - low or 1.0), notes | {"rescaled_to_8_bit"}
    if inverted:
        displayed, notes = 255 - displayed, notes | {"inverted"}
    if not np.isfinite(displayed).all():
        raise ImageError("unreadable", "the DICOM file's rescale or window gives values that are not finite")
    displayed = np.where(padded, 0, displayed)
    return np.floor(np.clip(displayed, 0, 255) + 0.5).astype(np.uint8), notes


def stored_values(header: DicomHeader, bits: int) -> Array:
    """Return the number (2**bits,) that each stored value means: by two's complement where pixels are signed."""
    stored = np.arange(2**bits)
    if header.number("PixelRepresentation", 0) != 1:
        return stored
    return np.where(stored < 2 ** (bits - 1), stored, stored - 2**bits)


def apply_modality_lut(header: DicomHeader, values: Array) -> Array:
    """Return values in the units of the modality, float64 (PS3.3 C.11.1)."""
    lut = read_lut(header, "ModalityLUTSequence")
    if lut is not None:
        return lut(values).astype(np.float64)
    for prefix in _PREFIXES:
        slope, intercept = header.decimal(f"{prefix}RescaleSlope"), header.decimal(f"{prefix}RescaleIntercept")
        if slope is not None or intercept is not None:
            if slope == 0:
                raise ImageError("unreadable", "the DICOM file's RescaleSlope is 0: all pixels would be the same")
            return values * (1.0 if slope is None else slope) + (intercept or 0.0)
    return values.astype(np.float64)


def apply_voi_lut(header: DicomHeader, values: Array) -> tuple[Array | None, frozenset[str]]:
    """Return values 0..255 by the VOI look-up table or the first window, None if there is neither; and notes."""
    lut = read_lut(header, "VOILUTSequence")
    if lut is None:
        return apply_first_window(header, values)
    displayed: Array = lut(values) * (255 / (2**lut.bits - 1))
    return displayed, frozenset({"windowed"})


def read_lut(header: DicomHeader, sequence: str) -> Lut | None:
    """Read the look-up table in the first item of a sequence; None if there is none."""
    name, data = f"{sequence}.LUTDescriptor", header.get(f"{sequence}.LUTData")
    descriptor = header.numbers(name)
    if not descriptor or data is None:
        return None
    if len(descriptor) != 3 or not 8 <= descriptor[2] <= 16:
        raise ImageError("unreadable", f"the DICOM file's {sequence} is malformed")
    return _lut(header, descriptor, header.is_signed(name), data.value, sequence)


def _lut(header: DicomHeader, descriptor: tuple[int, ...], signed: bool, data: memoryview, name: str) -> Lut:
    """Read a look-up table, whose entries are words, or, where the data are shorter, bytes."""
    count, first, bits = descriptor
    count = count or 65536
    if len(data) < count:
        raise ImageError("unreadable", f"the DICOM file's {name} is cut short")
    if len(data) >= 2 * count:
        entries = np.frombuffer(data[: 2 * count], f"{header.order}u2").astype(np.uint16)
    else:
        entries = np.frombuffer(data[:count], np.uint8)
        if header.big and count % 2 == 0:  # 16-bit words whose bytes were swapped
            entries = entries.reshape(-1, 2)[:, ::-1].reshape(-1)
    return Lut(first - 0x10000 if signed and first >= 0x8000 else first, bits, entries)


def read_palette(header: DicomHeader, bits: int) -> Array:
    """Return the colours uint8 (2**bits, 3) of all stored values; 16-bit entries keep their upper 8 bits.

    Raises:
        ImageError: there is no palette, or it is segmented or malformed.
    """
    descriptor = header.numbers("RedPaletteColorLookupTableDescriptor")
    if len(descriptor) != 3 or descriptor[2] not in (8, 16):
        raise ImageError("unreadable", "the DICOM file's palette is missing or malformed")
    signed, channels = header.number("PixelRepresentation", 0) == 1, []
    for colour in ("Red", "Green", "Blue"):
        data = header.get(f"{colour}PaletteColorLookupTableData")
        if data is None:
            raise ImageError("unsupported", "the DICOM file's palette is segmented; that is not read")
        entries = _lut(header, descriptor, signed, data.value, "palette")(stored_values(header, bits))
        channels.append(entries >> (descriptor[2] - 8))
    return np.stack(channels, axis=1).astype(np.uint8)

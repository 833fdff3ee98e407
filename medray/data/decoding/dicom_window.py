"""DICOM's VOI windows: which of those that a file names is applied, and how (PS3.3 C.11.2).

A window only says how values are displayed, so one that is none is left out, with a note, and the pixels are read
without it.
"""

import math

import numpy as np

from medray._types import Array
from medray.data.decoding.dicom_header import DicomHeader
from medray.data.decoding.image_error import ImageError

FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
#: Where the window may lie: in the file itself, or, in the enhanced kinds of files, in the groups that hold for
#: all frames or for the first one.
_PREFIXES = (
    "", "SharedFunctionalGroupsSequence.FrameVOILUTSequence.",
    "PerFrameFunctionalGroupsSequence.FrameVOILUTSequence.",
)  # fmt: skip


def apply_first_window(header: DicomHeader, values: Array) -> tuple[Array | None, frozenset[str]]:
    """Return values 0..255 by the first valid window, None if there is none; and notes on the others.

    A window is valid if its center and width are finite and the width is above 0.

    Raises:
        ImageError: its function is unknown.
    """
    notes: set[str] = set()
    for prefix in _PREFIXES:
        centers, widths = header.decimals(f"{prefix}WindowCenter"), header.decimals(f"{prefix}WindowWidth")
        windows = [pair for pair in zip(centers, widths, strict=False) if math.isfinite(sum(pair)) and pair[1] > 0]
        if len(windows) < max(len(centers), len(widths)):
            notes.add("window_ignored")
        if windows:
            notes |= {"windowed", *(["first_window"] if len(set(windows)) > 1 else [])}
            function = header.text(f"{prefix}VOILUTFunction").upper() or "LINEAR"
            return apply_window(values, *windows[0], function), frozenset(notes)
    return None, frozenset(notes)


def apply_window(values: Array, center: float, width: float, function: str) -> Array:
    """Map values to 0..255 by a window of a width above 0, as float64 (PS3.3 C.11.2.1.2 and C.11.2.1.3).

    LINEAR counts in whole values, so it needs a width of 1 or more, and of 1 it separates two values. Narrower
    ones, and those of 1 over fractions, are meant as LINEAR_EXACT.

    Raises:
        ImageError: the function is unknown.
    """
    displayed: Array
    if function == "SIGMOID":
        displayed = 255 / (1 + np.exp(np.clip(-4 * (values - center) / width, -700, 700)))
        return displayed
    if function not in FUNCTIONS:
        raise ImageError("unsupported", f"the DICOM file's VOILUTFunction is none of: {', '.join(FUNCTIONS)}")
    exact = width < 1 or (width == 1 and bool((values != np.rint(values)).any()))
    if function == "LINEAR" and not exact:
        center, width = center - 0.5, width - 1
    low, high = center - width / 2, center + width / 2
    inside = (values - low) * 255 / (width or 1.0)
    displayed = np.where(values <= low, 0.0, np.where(values > high, 255.0, inside))
    return displayed

"""DICOM's windows that are none or several, rescales over signed values, padding, and bits that are not stored."""

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray._types import Array
from medray.data.decoding import Decoded, decode
from tests.data.decoding.file_samples import assert_refused, dataset, dicom, noise, run_length, written

WORDS = np.arange(0, 4000, 7, dtype=np.uint16).reshape(4, -1)


def read(pixels: Array, **values: Any) -> Decoded:
    return decode(dicom(pixels, **values), (*pixels.shape, 1))


def linear(values: Array, center: float, width: float) -> Array:
    """Return what PS3.3 C.11.2.1.2.1 gives, not rounded."""
    return np.clip(((values - (center - 0.5)) / (width - 1) + 0.5) * 255, 0, 255)


def exact(values: Array, center: float, width: float) -> Array:
    """Return what PS3.3 C.11.2.1.3.2 gives, not rounded."""
    return np.clip(((values - center) / width + 0.5) * 255, 0, 255)


def stored_as(made: bytes, tag: int, vr: str, value: bytes) -> bytes:
    """Return an explicit file whose element of 8 bytes or fewer has another representation."""
    at = made.index(struct.pack("<HH", tag >> 16, tag & 0xFFFF))
    (length,) = struct.unpack_from("<H", made, at + 6)
    return made[: at + 4] + vr.encode() + struct.pack("<H", len(value)) + value + made[at + 8 + length :]


# -- windows


@pytest.mark.parametrize("width", ["0", "-1", "-4000", "", "1,5", "wide", "nan", "inf", "1e999", "1_0"])
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_a_window_that_is_none_is_left_out_and_noted(width: str, function: str) -> None:
    made = dataset(WORDS, WindowCenter="40", WindowWidth="999999999999", VOILUTFunction=function)
    content = stored_as(written(made), 0x00281051, "DS", width.encode() + b" " * (len(width) % 2))
    decoded, plain = decode(content, (*WORDS.shape, 1)), read(WORDS)
    assert np.array_equal(decoded.pixels, plain.pixels)
    assert decoded.notes == ("window_ignored", *plain.notes)


def test_half_a_window_is_none() -> None:
    for values in ({"WindowCenter": 40}, {"WindowWidth": 400}):
        assert read(WORDS, **values).notes == ("window_ignored", "rescaled_to_8_bit")


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.tuples(st.sampled_from([0, 40.5, 2000, -600]), st.sampled_from([-3, 0, 0.5, 1, 80, 3000])),
        min_size=1, max_size=4,
    )
)  # fmt: skip
def test_of_several_windows_the_first_valid_one_is_applied(windows: list[tuple[float, float]]) -> None:
    centers, widths = ([*column] for column in zip(*windows, strict=True))
    decoded = read(WORDS, WindowCenter=centers, WindowWidth=widths)
    valid = [window for window in windows if window[1] > 0]
    assert ("window_ignored" in decoded.notes) == (len(valid) < len(windows))
    assert ("first_window" in decoded.notes) == (len(set(valid)) > 1)
    assert ("windowed" in decoded.notes) == bool(valid)
    alone = read(WORDS, WindowCenter=valid[0][0], WindowWidth=valid[0][1]) if valid else read(WORDS)
    assert np.array_equal(decoded.pixels, alone.pixels)


@pytest.mark.parametrize(("vr", "form"), [("FD", "<d"), ("FL", "<f"), ("US", "<H"), ("SS", "<h"), ("SL", "<l")])
def test_windows_in_tags_of_other_representations(vr: str, form: str) -> None:
    values = (900.5, 1200.25) if vr[0] == "F" else (900, 1200)
    made = written(dataset(WORDS, WindowCenter="1", WindowWidth="2"))
    for tag, value in zip((0x00281050, 0x00281051), values, strict=True):
        made = stored_as(made, tag, vr, struct.pack(form, value))
    decoded = decode(made, (*WORDS.shape, 1))
    assert np.abs(decoded.pixels[..., 0] - linear(WORDS.astype(float), *values)).max() <= 0.5 + 1e-6
    assert decoded.notes == ("windowed",)
    for wrong in (struct.pack("<d", np.nan), struct.pack("<d", np.inf)):
        assert "window_ignored" in decode(stored_as(made, 0x00281050, "FD", wrong), (8, 8, 1)).notes
    assert_refused(stored_as(made, 0x00281050, "FD", bytes(6)), "unreadable", "WindowCenter is malformed")


def test_rescales_in_float_tags() -> None:
    made = written(dataset(WORDS, RescaleIntercept="0", RescaleSlope="1", WindowCenter="40", WindowWidth="99"))
    made = stored_as(made, 0x00281052, "FL", struct.pack("<f", -1000.5))
    made = stored_as(made, 0x00281053, "FD", struct.pack("<d", 0.25))
    expected = linear(WORDS * 0.25 - 1000.5, 40, 99)
    assert np.abs(decode(made, (*WORDS.shape, 1)).pixels[..., 0] - expected).max() <= 0.5 + 1e-6
    wrong = stored_as(made, 0x00281053, "FD", struct.pack("<d", np.nan))
    assert_refused(wrong, "unreadable", "RescaleSlope is malformed")


@settings(deadline=None, max_examples=60)
@given(st.floats(0.01, 3), st.floats(-1, 5), st.sampled_from([0.001, 0.0005, -0.001, 1, 2]))
def test_windows_of_fractions(width: float, center: float, slope: float) -> None:
    width, center = round(width, 4), round(center, 4)
    decoded = read(WORDS, RescaleSlope=slope, RescaleIntercept=0, WindowCenter=center, WindowWidth=width)
    values = WORDS * slope
    expected = exact(values, center, width) if width < 1 else linear(values, center, width) if width > 1 else None
    assert decoded.notes == ("windowed",)
    if expected is not None:
        assert np.abs(decoded.pixels[..., 0] - expected).max() <= 0.5 + 1e-6


def test_a_width_of_1_separates_whole_values_and_shows_fractions() -> None:
    values = np.arange(1001, dtype=np.uint16)[None]
    whole = read(values, WindowCenter=500, WindowWidth=1).pixels.ravel()
    assert whole.tolist() == [0] * 500 + [255] * 501  # PS3.3 C.11.2.1.2.1
    shares = read(values, WindowCenter=0.5, WindowWidth=1, RescaleSlope=0.001, RescaleIntercept=0).pixels.ravel()
    assert np.abs(shares - np.arange(1001) * 0.255).max() <= 0.5 + 1e-6


# -- rescale, padding and unused bits


@settings(deadline=None, max_examples=120)
@given(
    bits=st.integers(9, 16), signed=st.booleans(), garbage=st.booleans(), packed=st.booleans(),
    slope=st.sampled_from([1, 0.5, -2]), intercept=st.sampled_from([0, -1024]),
    window=st.sampled_from([None, (40, 400), (-600, 1500)]), limit=st.sampled_from([None, 3, -3]), data=st.data(),
)  # fmt: skip
def test_padding_is_black_and_all_else_is_as_without_it(
    bits: int, signed: bool, garbage: bool, packed: bool, slope: float, intercept: float,
    window: tuple[int, int] | None, limit: int | None, data: st.DataObject,
) -> None:  # fmt: skip
    """`garbage` fills bits that are not stored, of which padding may make use: -32768 among 12 bits."""
    lowest = -(2 ** (bits - 1)) if signed else 0
    ends = (-32768, 32767) if signed else (0, 65535)
    padding = data.draw(st.sampled_from([lowest + 3, lowest + 2**bits - 4, ends[0] + 3, ends[1] - 3]))
    first, last = sorted((padding, padding + (limit or 0)))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    held = rng.integers(lowest + 8, lowest + 2**bits - 8, (6, 7))
    holes = rng.random((6, 7)) < 0.3
    kind = np.int16 if signed else np.uint16
    words = held.astype(kind)
    if garbage:
        words ^= np.left_shift(rng.integers(0, 2, (6, 7)), bits).astype(kind) if bits < 16 else kind(0)
    inside = lowest <= first <= last < lowest + 2**bits
    if not inside:  # garbage must not look like padding
        words[(first <= words) & (words <= last)] = kind(lowest + 9)
        held[(first <= held.astype(kind)) & (held.astype(kind) <= last)] = lowest + 9
    words[holes] = rng.integers(first, last + 1, (6, 7)).astype(kind)[holes]
    values: dict[str, Any] = {"BitsStored": bits, "HighBit": bits - 1, "RescaleSlope": slope}
    values |= {"RescaleIntercept": intercept, "PixelPaddingValue": padding}
    values |= {} if limit is None else {"PixelPaddingRangeLimit": padding + limit}
    values |= {} if window is None else {"WindowCenter": window[0], "WindowWidth": window[1]}
    made = dataset(words, **values)
    decoded = decode(run_length(made) if packed else written(made), (6, 7, 1)).pixels[..., 0]
    assert not decoded[holes].any()
    shown = held[~holes] * slope + intercept
    expected = linear(shown, *window) if window else (shown - shown.min()) * 255 / (np.ptp(shown) or 1)
    assert np.abs(decoded[~holes] - expected).max(initial=0) <= 0.5 + 1e-6


def test_padding_in_a_tag_of_text_or_of_32_bits() -> None:
    pixels = np.array([[-2000, -5, 10, 300]], dtype=np.int16)
    made = written(dataset(pixels, PixelPaddingValue=-2000))
    expected = decode(made, (1, 4, 1)).pixels
    assert expected[0, 0] == 0
    for vr, value in (("IS", b"-2000 "), ("SL", struct.pack("<l", -2000)), ("DS", b"-2000.")):
        other = stored_as(made, 0x00280120, vr, value)
        assert np.array_equal(decode(other, (1, 4, 1)).pixels, expected)
    assert_refused(stored_as(made, 0x00280120, "IS", b"none"), "unreadable", "PixelPaddingValue is malformed")


def test_a_palette_with_an_alpha_table_keeps_its_colours() -> None:
    colours = noise(256, 3)
    pixels = noise(8, 9)
    values: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for channel, name in enumerate(("Red", "Green", "Blue", "Alpha")):
        entries = colours[:, channel] if channel < 3 else np.zeros(256, np.uint8)
        values[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 8]
        values[f"{name}PaletteColorLookupTableData"] = entries.tobytes()
    decoded = decode(dicom(pixels, **values), (8, 9, 3))
    assert np.array_equal(decoded.pixels, colours[pixels])
    assert decoded.notes == ("palette",)

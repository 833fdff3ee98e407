"""DICOM: every file that pydicom ships, and generated ones, are read as pydicom reads them."""

import struct
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from medray._types import Array
from medray.data.decoding import KINDS, Decoded, ImageError, decode
from tests.data.decoding.file_samples import (
    SECRET,
    assert_refused,
    compressed,
    dataset,
    dicom,
    element,
    fragments,
    noise,
    raw_dicom,
    run_length,
    saved,
    smooth,
    written,
)

SHIPPED = Path(pydicom.__file__).parent / "data" / "test_files"
JPEG, JPEG_2000 = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90"


def grey(content: bytes, height: int, width: int) -> Array:
    return decode(content, (height, width, 1)).pixels[..., 0]


# -- the files that pydicom ships


def test_every_file_that_pydicom_ships(record_property: Any) -> None:
    counts, wrong = Counter[str](), []
    for path in sorted(path for path in SHIPPED.rglob("*") if path.is_file()):
        try:
            decoded = decode(path.read_bytes(), (20, 24, 3))
        except ImageError as error:
            counts[error.kind] += 1
            if error.kind not in KINDS or "\n" in str(error) or str(SHIPPED) in str(error):
                wrong.append((path.name, str(error)))
            continue
        except Exception as error:
            wrong.append((path.name, repr(error)))
            continue
        counts["decoded"] += 1
        if decoded.pixels.shape != (20, 24, 3) or decoded.format != "dicom":
            wrong.append((path.name, "another shape or format"))
    record_property("counts", dict(counts))
    assert not wrong, wrong
    assert counts["decoded"] >= 65, counts
    assert counts["multi_frame"] >= 7, counts


def reference(made: Dataset, decoded: Decoded) -> Array:
    """Return what pydicom makes of a data set, scaled to 0..255 but not rounded."""
    pixels = made.pixel_array
    if made.PhotometricInterpretation == "PALETTE COLOR":
        return apply_color_lut(pixels, made) >> 8
    if pixels.ndim == 3:
        return np.round(pixels / 257) if pixels.dtype == np.uint16 else pixels
    with np.errstate(over="ignore"):
        values = apply_voi_lut(apply_modality_lut(pixels, made), made).astype(np.float64)
    if "windowed" in decoded.notes:
        bits, signed = made.BitsStored, made.PixelRepresentation
        ends = np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] if signed else [0, 2**bits - 1])
        low, high = apply_modality_lut(ends, made)
        values = (values - low) / (high - low) * 255
    elif "rescaled_to_8_bit" in decoded.notes:
        held = pixels != made.get("PixelPaddingValue", 1 << 20)
        low, high = values[held].min(), values[held].max()
        values = np.where(held, (values - low) / (high - low) * 255, 0)
    return 255 - values if made.PhotometricInterpretation == "MONOCHROME1" else values


@pytest.mark.filterwarnings("ignore")  # pydicom's own, of its own files
def test_pixels_are_those_that_pydicom_finds() -> None:
    compared, wrong = 0, []
    for path in sorted(path for path in SHIPPED.rglob("*") if path.is_file()):
        content = path.read_bytes()
        try:
            small = decode(content, (1, 1, 3))
        except ImageError:
            continue
        made = pydicom.dcmread(path)
        colours = made.SamplesPerPixel == 3 or made.PhotometricInterpretation == "PALETTE COLOR"
        decoded = decode(content, (small.height, small.width, 3 if colours else 1))
        difference = np.abs(decoded.pixels.squeeze().astype(float) - reference(made, decoded)).max()
        compared += 1
        if difference > (1 if colours else 0.51):
            wrong.append((path.name, decoded.notes, difference))
    assert not wrong, wrong
    assert compared >= 65


# -- grey values


@settings(deadline=None, max_examples=80)
@given(st.data())
def test_grey_values_are_those_that_pydicom_finds(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([np.uint8, np.int8, np.uint16, np.int16]))
    bits = data.draw(st.integers(2, 8 * np.dtype(kind).itemsize))
    low, high = (0, 2**bits - 1) if np.dtype(kind).kind == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    pixels = data.draw(arrays.arrays(kind, (6, 5), elements=st.integers(low, high)))
    values: dict[str, Any] = {"BitsStored": bits, "HighBit": bits - 1}
    values["PhotometricInterpretation"] = data.draw(st.sampled_from(["MONOCHROME1", "MONOCHROME2"]))
    if data.draw(st.booleans()):
        values["RescaleSlope"] = data.draw(st.sampled_from([1, 2, 0.684, -1.5]))
        values["RescaleIntercept"] = data.draw(st.sampled_from([0, -1024, 200.5]))
    windowed = data.draw(st.booleans())
    if windowed:
        values["WindowCenter"] = data.draw(st.sampled_from([0, 40.5, [600, 1], 2.0**bits]))
        values["WindowWidth"] = data.draw(st.sampled_from([1.5, 100, [1600, 1], 2.0**bits]))
        values["VOILUTFunction"] = data.draw(st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]))
    made = dataset(pixels, **values)
    decoded = decode(written(made), (6, 5, 1))
    assert ("windowed" in decoded.notes) == windowed
    assert ("inverted" in decoded.notes) == (values["PhotometricInterpretation"] == "MONOCHROME1")
    if not windowed and np.ptp(pixels.astype(int)) == 0 and "rescaled_to_8_bit" in decoded.notes:
        assert len(np.unique(decoded.pixels)) == 1
        return
    assert np.abs(decoded.pixels[..., 0] - reference(made, decoded)).max() <= 0.5 + 1e-6


def test_a_window_by_hand() -> None:
    pixels = np.array([[-1000, -61, -60, 0, 39, 40, 139, 140, 3000]], dtype=np.int16)
    decoded = decode(dicom(pixels, WindowCenter=40, WindowWidth=200), (1, 9, 1))
    # PS3.3 C.11.2.1.2: ((x - 39.5) / 199 + 0.5) * 255 between -60 and 139
    assert decoded.pixels.ravel().tolist() == [0, 0, 0, 77, 127, 128, 255, 255, 255]
    assert decoded.notes == ("windowed",)
    shifted = decode(
        dicom(pixels + 1024, WindowCenter=40, WindowWidth=200, RescaleSlope=1, RescaleIntercept=-1024), (1, 9, 1)
    )
    assert np.array_equal(shifted.pixels, decoded.pixels)


def test_monochrome1_is_inverted() -> None:
    pixels = np.random.default_rng(0).integers(0, 4096, (9, 7), dtype=np.uint16)
    for values in ({}, {"WindowCenter": 2000, "WindowWidth": 1000}):
        second = decode(dicom(pixels, **values), (9, 7, 1))
        first = decode(dicom(pixels, PhotometricInterpretation="MONOCHROME1", **values), (9, 7, 1))
        assert np.abs(first.pixels.astype(int) + second.pixels - 255).max() <= 1
        assert first.notes == (*second.notes, "inverted")


def test_8_bits_without_a_window_are_left_as_they_are() -> None:
    pixels = noise(9, 7) // 2
    for values in ({}, {"RescaleSlope": 1, "RescaleIntercept": 0}):
        decoded = decode(dicom(pixels, **values), (9, 7, 1))
        assert np.array_equal(decoded.pixels[..., 0], pixels)
        assert decoded.notes == ()
    inverted = decode(dicom(pixels, PhotometricInterpretation="MONOCHROME1"), (9, 7, 1))
    assert np.array_equal(inverted.pixels[..., 0], 255 - pixels)
    assert inverted.notes == ("inverted",)


def test_padding_is_black_and_does_not_count() -> None:
    pixels = np.array([[-2000, -1990, 100, 200, 300]], dtype=np.int16)
    assert grey(dicom(pixels), 1, 5).tolist() == [[0, 1, 233, 244, 255]]
    padded = decode(dicom(pixels, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1990), (1, 5, 1))
    assert padded.pixels.ravel().tolist() == [0, 0, 0, 128, 255]
    white = dicom(pixels, PixelPaddingValue=300, PhotometricInterpretation="MONOCHROME1")
    assert grey(white, 1, 5)[0, -1] == 0
    zero = np.array([[0, 5, 10]], dtype=np.uint16)
    assert grey(dicom(zero, PixelPaddingValue=0), 1, 3).tolist() == [[0, 0, 255]]
    assert_refused(dicom(np.full((4, 4), -2000, np.int16), PixelPaddingValue=-2000), "unreadable", "padding")


def test_bits_that_are_not_stored_are_left_out() -> None:
    pixels = np.array([[0, 100, 4095]], dtype=np.uint16)
    dirty = pixels | 0xA000
    twelve = {"BitsStored": 12, "HighBit": 11, "WindowCenter": 2048, "WindowWidth": 4096}
    assert np.array_equal(grey(dicom(dirty, **twelve), 1, 3), grey(dicom(pixels, **twelve), 1, 3))
    high = dicom(pixels << 4, **twelve | {"HighBit": 15})
    assert np.array_equal(grey(high, 1, 3), grey(dicom(pixels, **twelve), 1, 3))


def table(entries: Array, first: int, bits: int) -> Sequence:
    item = Dataset()
    item.LUTDescriptor = [len(entries) % 65536, first, bits]
    item.LUTData = entries.astype("<u2").tobytes()
    item["LUTDescriptor"].VR, item["LUTData"].VR = "US", "OW"
    return Sequence([item, Dataset()])


@pytest.mark.parametrize("name", ["VOILUTSequence", "ModalityLUTSequence"])
@pytest.mark.parametrize("undefined", [False, True])
def test_look_up_tables(name: str, undefined: bool) -> None:
    entries = np.random.default_rng(0).integers(0, 4096, 50, dtype=np.uint16)
    pixels = np.array([[0, 9, 10, 30, 59, 60, 999]], dtype=np.uint16)
    made = dataset(pixels, **{name: table(entries, 10, 12)})
    made[name].is_undefined_length = undefined
    expected = entries[np.clip(pixels.astype(int) - 10, 0, 49)].astype(float)
    decoded = decode(written(made), (1, 7, 1))
    if name == "VOILUTSequence":
        assert np.array_equal(decoded.pixels[..., 0], np.floor(expected * 255 / 4095 + 0.5))
        assert decoded.notes == ("windowed",)
    else:
        spread = (expected - expected.min()) / np.ptp(expected) * 255
        assert np.abs(decoded.pixels[..., 0] - spread).max() <= 0.5 + 1e-6
        made.WindowCenter, made.WindowWidth = 2000, 1000
        assert (
            np.abs(grey(written(made), 1, 7) - np.clip(((expected - 1999.5) / 999 + 0.5) * 255, 0, 255)).max()
            <= 0.5
        )


def test_the_window_of_an_enhanced_file_is_found() -> None:
    pixels = np.random.default_rng(0).integers(0, 4096, (5, 5), dtype=np.uint16)
    plain = grey(dicom(pixels, WindowCenter=100, WindowWidth=500, RescaleSlope=0.5, RescaleIntercept=-900), 5, 5)
    window, rescale, group = Dataset(), Dataset(), Dataset()
    window.WindowCenter, window.WindowWidth = 100, 500
    rescale.RescaleSlope, rescale.RescaleIntercept = 0.5, -900
    group.FrameVOILUTSequence, group.PixelValueTransformationSequence = Sequence([window]), Sequence([rescale])
    for name in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        assert np.array_equal(grey(dicom(pixels, **{name: Sequence([group])}), 5, 5), plain)


# -- the ways of writing


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16])
def test_all_transfer_syntaxes_give_the_same(kind: type[np.generic]) -> None:
    pixels = (smooth(15, 22).astype(kind) * (100 if kind != np.uint8 else 1)).astype(kind)
    values = {"WindowCenter": 9000, "WindowWidth": 20000} if kind != np.uint8 else {}
    plain = decode(dicom(pixels, **values), (15, 22, 1))
    files = {"run-length": run_length(dataset(pixels, **values))}
    for syntax in (ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian):
        made = dataset(pixels, **values)
        if syntax == ExplicitVRBigEndian:
            made.PixelData = pixels.byteswap().tobytes()
        files[syntax.name] = written(made, syntax)
    for name, content in files.items():
        decoded = decode(content, (15, 22, 1))
        assert np.array_equal(decoded.pixels, plain.pixels), name
        assert decoded.notes == plain.notes


def test_jpeg_2000_without_loss_gives_the_same() -> None:
    for pixels, bits in ((noise(20, 30), 8), (smooth(20, 30).astype(np.uint16) * 200, 16)):
        frame = saved(pixels, "JPEG2000", no_jp2=True)
        assert np.array_equal(
            grey(compressed(JPEG_2000, frame, 20, 30, Bits=bits), 20, 30), grey(dicom(pixels), 20, 30)
        )
    colours = noise(20, 30, 3)
    frame = saved(colours, "JPEG2000", no_jp2=True)
    for meaning in ("RGB", "YBR_RCT"):
        content = compressed(JPEG_2000, frame, 20, 30, Samples=3, Meaning=meaning)
        assert np.array_equal(decode(content, (20, 30, 3)).pixels, colours)


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_read_as_outside_of_dicom(channels: int) -> None:
    frame = saved(smooth(20, 30, channels), "JPEG")
    for meaning in (
        ("MONOCHROME2",) if channels == 1 else ("RGB", "YBR_FULL_422")
    ):  # JFIF says how colours are stored
        content = compressed(JPEG, frame, 20, 30, Samples=channels, Meaning=meaning)
        assert np.array_equal(decode(content, (20, 30, channels)).pixels, decode(frame, (20, 30, channels)).pixels)


def test_colours() -> None:
    image = smooth(10, 12, 3)
    plain = decode(dicom(image), (10, 12, 3))
    assert np.array_equal(plain.pixels, image)
    assert plain.notes == ()
    planes = dicom(image, PlanarConfiguration=1, PixelData=image.transpose(2, 0, 1).tobytes())
    assert np.array_equal(decode(planes, (10, 12, 3)).pixels, image)
    ybr = np.asarray(Image.fromarray(image).convert("YCbCr"))
    full = decode(dicom(ybr, PhotometricInterpretation="YBR_FULL"), (10, 12, 3))
    assert np.abs(full.pixels.astype(int) - image).max() <= 3
    pairs = ybr.reshape(10, 6, 2, 3)
    shared = np.stack([pairs[..., 0, 0], pairs[..., 1, 0], pairs[..., 0, 1], pairs[..., 0, 2]], axis=-1)
    made = dicom(ybr, PhotometricInterpretation="YBR_FULL_422", PixelData=shared.tobytes())
    repeated = ybr.copy().reshape(10, 6, 2, 3)
    repeated[:, :, 1, 1:] = repeated[:, :, 0, 1:]
    expected = np.asarray(Image.frombytes("YCbCr", (12, 10), repeated.tobytes()).convert("RGB"))
    assert np.array_equal(decode(made, (10, 12, 3)).pixels, expected)
    wide = decode(dicom(image.astype(np.uint16) * 257), (10, 12, 3))
    assert np.array_equal(wide.pixels, image)
    assert wide.notes == ("rescaled_to_8_bit",)
    assert decode(dicom(image), (10, 12, 1)).notes == ("greyscaled",)


@pytest.mark.parametrize("bits", [8, 16])
def test_palettes(bits: int) -> None:
    colours = noise(50, 3)
    pixels = np.array([[0, 9, 10, 30, 59, 60, 255]], dtype=np.uint8)
    values: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for channel, name in enumerate(("Red", "Green", "Blue")):
        values[f"{name}PaletteColorLookupTableDescriptor"] = [50, 10, bits]
        entries = colours[:, channel].astype(f"<u{bits // 8}") << (bits - 8)
        values[f"{name}PaletteColorLookupTableData"] = entries.tobytes()
    decoded = decode(dicom(pixels, **values), (1, 7, 3))
    assert np.array_equal(decoded.pixels, colours[np.clip(pixels.astype(int) - 10, 0, 49)])
    assert decoded.notes == ("palette",)
    assert_refused(dicom(pixels, **values | {"BluePaletteColorLookupTableData": bytes(10)}), "unreadable")


# -- what is refused


def test_what_is_not_an_image_is_refused_with_a_reason() -> None:
    made = dataset(noise(8, 8))
    del made.PixelData
    assert_refused(written(made), "unreadable", "PixelData")
    assert_refused(
        dicom(noise(8, 8), NumberOfFrames=3), "multi_frame", "3 frames; only single images are read: save "
    )
    assert_refused(dicom(noise(8, 8), PixelData=bytes(200)), "multi_frame")
    assert_refused(dicom(noise(8, 8), PixelData=bytes(62)), "unreadable")
    assert_refused(dicom(noise(8, 8), Rows=0), "unreadable")
    assert_refused(dicom(noise(8, 8), Rows=60000, Columns=60000), "too_large", "60000 x 60000")
    assert_refused(dicom(noise(8, 8), BitsAllocated=32), "unsupported", "32 bits")
    assert_refused(dicom(noise(8, 8), BitsStored=9), "unreadable", "BitsStored")
    assert_refused(dicom(noise(8, 8), PhotometricInterpretation="ARGB"), "unsupported", "MONOCHROME1")
    assert_refused(dicom(noise(8, 8), PhotometricInterpretation=""), "unreadable", "no PhotometricInterpretation")
    assert_refused(dicom(noise(8, 8), SamplesPerPixel=3), "unreadable")
    assert_refused(dicom(noise(8, 8), RescaleSlope=0, RescaleIntercept=1), "unreadable", "RescaleSlope")
    assert_refused(dicom(noise(8, 8), RescaleSlope="1e308", RescaleIntercept="1e308"), "unreadable")
    assert_refused(
        dicom(noise(8, 8), WindowCenter=1, WindowWidth=9, VOILUTFunction="CUBE"), "unsupported", "SIGMOID"
    )
    assert decode(dicom(noise(8, 8), WindowCenter="", WindowWidth=""), (8, 8, 1)).notes == ()


def test_an_unread_transfer_syntax_is_named() -> None:
    pixels = element(0x7FE00010, "OW", bytes(64))
    assert_refused(raw_dicom("1.2.840.10008.1.2.4.80", pixels), "unsupported", "JPEG-LS Lossless")
    assert_refused(raw_dicom("1.2.840.10008.1.2.4.70", pixels), "unsupported", "JPEG Lossless")
    assert_refused(raw_dicom("1.2.840.10008.1.2.4.70", pixels), "unsupported", "save it uncompressed first")
    for unknown in (SECRET, "1.2.3.4", "9" * 64, "1.2.840.10008.1.2.4.80 " + SECRET):
        assert_refused(raw_dicom(unknown, pixels), "unsupported", "does not name")
    assert_refused(bytes(128) + b"DICM" + pixels, "unreadable", "transfer syntax")


def test_a_compressed_frame_must_be_of_the_size_that_the_file_says() -> None:
    for syntax, kind in ((JPEG, "JPEG"), (JPEG_2000, "JPEG2000")):
        options = {"no_jp2": True} if kind == "JPEG2000" else {}
        frame = saved(noise(16, 16), kind, **options)
        assert decode(compressed(syntax, frame, 16, 16), (8, 8, 1)).width == 16
        for height, width in ((8, 8), (16, 15), (17, 16)):
            assert_refused(compressed(syntax, frame, height, width), "unreadable", "size")
        assert_refused(compressed(syntax, frame, 16, 16, Samples=3), "unreadable", "size")
    assert_refused(compressed(JPEG_2000, saved(noise(16, 16), "JPEG2000"), 16, 16), "unsupported", "JP2")
    run = struct.pack("<16L", 1, 64, *[0] * 14) + b"\xff\x07"
    assert_refused(compressed(RLELossless, run, 16, 16), "unreadable")


def test_patients_are_never_named() -> None:
    content = dicom(noise(16, 16).astype(np.uint16), PatientComments=SECRET, WindowCenter=40, WindowWidth=80)
    assert SECRET.encode() in content
    rng = np.random.default_rng(0)
    for _ in range(300):
        changed = bytearray(content)
        for position in rng.integers(128, len(changed) - 512, 3):
            changed[position] = rng.integers(256)
        try:
            decode(bytes(changed), (8, 8, 1))
        except ImageError as error:
            assert "Doe" not in str(error)  # noqa: PT017  most changes do no harm
    assert_refused(raw_dicom("1.2.840.10008.1.2.1", fragments(SECRET.encode())), "unreadable")

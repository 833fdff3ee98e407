"""DICOM without a preamble, without group 2, or with a transfer syntax that is missing or wrong."""

import io
import struct
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom._uid_dict import UID_dictionary
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from medray.data.decoding import ImageError, decode, sniff
from medray.data.decoding.dicom_opening import SYNTAXES, find_start, guess_coding
from medray.data.listing.dicom.dicom_identity import read_identity
from medray.data.listing.file_tree import HEAD_BYTES
from tests.data.decoding.file_samples import (
    SECRET,
    assert_refused,
    compressed,
    dataset,
    dicom,
    element,
    noise,
    raw_dicom,
    run_length,
    saved,
    smooth,
    written,
)

CODINGS = {"explicit": ExplicitVRLittleEndian, "implicit": ImplicitVRLittleEndian, "big": ExplicitVRBigEndian}
OPENINGS = {
    "whole": lambda content: content,
    "no preamble": lambda content: content[132:],
    "DICM alone": lambda content: content[128:],
    "zeros without DICM": lambda content: bytes(132) + content[132:],
    "a short preamble": lambda content: bytes(128) + content[132:],
}
JPEG, JPEG_2000, JPEG_LS = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.80"


def elements(made: Dataset, coding: str) -> bytes:
    """Return the elements of a data set alone, without preamble and group 2."""
    if coding == "big":
        made.PixelData = np.frombuffer(made.PixelData, "<u2").byteswap().tobytes()
    content = io.BytesIO()
    plain = Dataset()
    plain.update({held.tag: held for held in made})
    pydicom.dcmwrite(
        content, plain, implicit_vr=coding == "implicit", little_endian=coding != "big", enforce_file_format=False
    )
    return content.getvalue()


def group_2(syntax: str = "") -> bytes:
    """Return group 2, which names a transfer syntax or none."""
    named = element(0x00020010, "UI", syntax.encode() + bytes(len(syntax) % 2)) if syntax else b""
    return element(0x00020001, "OB", b"\0\1") + named + element(0x00020012, "UI", b"1.2.3\0")


@settings(deadline=None, max_examples=120)
@given(
    coding=st.sampled_from(sorted(CODINGS)),
    meta=st.sampled_from(["none", "no syntax", "right", "wrong"]),
    opening=st.sampled_from(sorted(OPENINGS)),
    patient=st.sampled_from(["", "p", "p" * 63]),
    described=st.sampled_from([{}, {"ImageType": ["DERIVED", "SECONDARY"]}, {"SpecificCharacterSet": "ISO_IR 100"}]),
    window=st.booleans(),
    data=st.data(),
)  # fmt: skip
def test_a_file_reads_the_same_whatever_its_opening_lacks(
    tmp_path_factory: pytest.TempPathFactory,
    coding: str, meta: str, opening: str, patient: str, described: dict[str, object], window: bool, data: st.DataObject,
) -> None:  # fmt: skip
    pixels = data.draw(st.integers(0, 99).map(lambda seed: noise(7, 6, seed=seed).astype(np.uint16) * 16))
    values = described | ({"WindowCenter": 2000, "WindowWidth": 900} if window else {}) | {"PatientID": patient}
    whole = decode(dicom(pixels, **values), (7, 6, 1))
    others = [name for name in CODINGS if name != coding]
    syntax = {"right": CODINGS[coding], "wrong": CODINGS[data.draw(st.sampled_from(others))]}.get(meta, "")
    start = b"" if meta == "none" else group_2(syntax)
    content = bytes(128) + b"DICM" + start + elements(dataset(pixels, **values), coding)
    content = OPENINGS[opening](content)
    assert sniff(content) == sniff(content[:HEAD_BYTES]) == "dicom"
    decoded = decode(content, (7, 6, 1))
    assert np.array_equal(decoded.pixels, whole.pixels)
    assert set(decoded.notes) == {*whole.notes, *([] if meta == "right" else ["syntax_guessed"])}
    folder = tmp_path_factory.mktemp("bare")
    (folder / "whole").write_bytes(dicom(pixels, **values))
    (folder / "bare").write_bytes(content)
    assert read_identity(folder / "bare") == read_identity(folder / "whole") != None  # noqa: E711  of both


def test_a_preamble_that_is_missing_is_no_guess() -> None:
    content = dicom(noise(9, 9))
    assert decode(content[132:], (9, 9, 1)).notes == decode(content, (9, 9, 1)).notes == ()
    assert np.array_equal(decode(content[132:], (9, 9, 1)).pixels[..., 0], noise(9, 9))


def test_compressed_pixels_show_how_they_are_compressed() -> None:
    image = smooth(16, 20)
    files = {
        JPEG: compressed(JPEG, saved(image, "JPEG"), 16, 20),
        JPEG_2000: compressed(JPEG_2000, saved(image, "JPEG2000", no_jp2=True), 16, 20),
        str(RLELossless): run_length(dataset(image)),
    }
    for syntax, content in files.items():
        named = element(0x00020010, "UI", syntax.encode() + bytes(len(syntax) % 2))
        assert named in content
        uncompressed = element(0x00020010, "UI", ExplicitVRLittleEndian.encode() + b"\0")
        expected = decode(content, (16, 20, 1))
        for other in (content.replace(named, b""), content.replace(named, uncompressed)):
            decoded = decode(other, (16, 20, 1))
            assert np.array_equal(decoded.pixels, expected.pixels), syntax
            assert decoded.notes == ("syntax_guessed", *expected.notes)
    unknown = files[JPEG].replace(b"\xff\xd8\xff", b"SOS")
    named = element(0x00020010, "UI", JPEG.encode())
    assert_refused(unknown.replace(named, b""), "unreadable", "save it uncompressed first")


def test_plain_pixels_under_the_name_of_a_compression_are_read() -> None:
    """As left behind where the pixels were decompressed, and the syntax was not changed."""
    image = smooth(16, 20)
    content = written(dataset(image), ExplicitVRLittleEndian)
    named = element(0x00020010, "UI", ExplicitVRLittleEndian.encode() + b"\0")
    for syntax in (JPEG, JPEG_2000, str(RLELossless)):
        other = content.replace(named, element(0x00020010, "UI", syntax.encode() + bytes(len(syntax) % 2)))
        decoded = decode(other, (16, 20, 1))
        assert np.array_equal(decoded.pixels[..., 0], image)
        assert decoded.notes == ("syntax_guessed",)
    unread = content.replace(named, element(0x00020010, "UI", JPEG_LS.encode()))
    assert_refused(unread, "unsupported", "save it uncompressed first")


def test_a_bare_data_set_may_begin_with_any_group_of_an_image() -> None:
    """Anonymisers leave out group 8, and older files begin with the length of a group."""
    made = dataset(noise(8, 8).astype(np.uint16))
    del made.SOPClassUID, made.SOPInstanceUID
    for coding in CODINGS:
        content = elements(made, coding)
        assert guess_coding(content, 0) is not None
        made.PixelData = noise(8, 8).astype("<u2").tobytes()
        assert decode(content, (8, 8, 1)).format == "dicom"
    length = struct.pack("<HHLL", 8, 0, 4, 24) + struct.pack("<HHL", 8, 1, 4) + struct.pack("<L", 999)
    assert decode(length + elements(made, "implicit"), (8, 8, 1)).format == "dicom"


@settings(deadline=None, max_examples=300)
@given(st.one_of(st.binary(max_size=300), st.text(max_size=200).map(str.encode)))
def test_other_files_are_not_taken_for_dicom(content: bytes) -> None:
    assert find_start(content) is None or content[128:132] == b"DICM"
    for opening in (b"\x08\0", b"\x08\0\0\0", b"\x02\0\0\0", b"\0\x08", b"DICM"):
        if find_start(opening + content) is None:
            with pytest.raises(ImageError):
                decode(opening + content, (8, 8, 1))


def test_usual_files_are_not_taken_for_dicom() -> None:
    numbers = np.arange(400, dtype="<u4")
    for content in (
        (numbers + 8).tobytes(), numbers.astype("<u2").tobytes(), bytes(4000), b"PK\x03\x04" + bytes(90),
        b"\x08\0\0\0\x04\0\0\0" * 9, b"x,y\n" * 90, b"\x93NUMPY\x01\0" + bytes(90),
        *(Path(__file__).read_bytes()[start:] for start in range(50)),
    ):  # fmt: skip
        assert sniff(content) is None, content[:16]


def test_the_guide_lists_the_transfer_syntaxes_that_are_read() -> None:
    guide = (Path(__file__).parents[3] / "docs/data.md").read_text()
    rows = [line.split("|")[2:4] for line in guide.splitlines() if "1.2.840.10008.1.2" in line]
    read = {uid.strip() for uids, answer in rows if answer.strip() != "no" for uid in uids.split(",")}
    refused = {uid.strip() for uids, answer in rows if answer.strip() == "no" for uid in uids.split(",")}
    assert read == set(SYNTAXES)
    for syntax in refused:
        assert_refused(raw_dicom(syntax, element(0x7FE00010, "OW", bytes(64))), "unsupported", "gdcmconv --raw")


def test_every_transfer_syntax_that_is_not_read_is_refused_in_a_short_line() -> None:
    for syntax in UID_dictionary:
        if syntax.startswith("1.2.840.10008.1.2") and syntax not in SYNTAXES:
            with pytest.raises(ImageError) as caught:
                decode(raw_dicom(syntax, bytes(100)), (8, 8, 1))
            assert len(str(caught.value)) < 260
            assert syntax in str(caught.value)


def test_bare_files_are_cut_short_anywhere_and_name_no_patient() -> None:
    content = dicom(noise(6, 6).astype(np.uint16), PatientComments=SECRET)[132:]
    for size in range(len(content)):
        with pytest.raises(ImageError) as caught:
            decode(content[:size], (6, 6, 1))
        assert "Doe" not in str(caught.value)

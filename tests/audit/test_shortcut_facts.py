"""The facts themselves: names without the class, JPEG quality, what DICOM and EXIF say, dates and columns."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from medray.audit.shortcuts.facts import column_fact, date_numbers
from medray.audit.shortcuts.file_facts import jpeg_quality, read_file_facts
from medray.audit.shortcuts.name_facts import ClassWords, folder_names, name_numbers, name_patterns
from medray.data.listing.tables.origin import says_origin
from tests.data.decoding.file_samples import SECRET, dicom, noise, saved

WORDS = st.text("abcdefghijklmnopqrstuvwxyz", min_size=3, max_size=9)


@given(
    st.lists(WORDS, min_size=2, max_size=4, unique=True), st.integers(0, 999), st.sampled_from("-_ ."), st.data()
)
def test_names_and_folders_of_classes_say_nothing(
    classes: list[str], number: int, separator: str, draw: st.DataObject
) -> None:
    """However they are written: upper or lower case, cut short, with an ending."""
    word = draw.draw(st.sampled_from(classes))
    form = draw.draw(st.sampled_from([str.upper, str.title, lambda w: w[:2], lambda w: w + "s"]))
    path = f"Train/{form(word)}/{form(word)}{separator}{number}.png"
    assert folder_names([path], classes).tolist() == [""]
    assert name_patterns([path], classes).tolist() == ["#"]


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("covid19_siemens", "siemens"),
        ("COVID-19", ""),
        ("covid-194", "194"),
        ("normals3", "3"),
        ("abnormal_3", "abnormal_3"),
        ("Viral Pneumonia-12", "12"),
        ("IM-0115-0001", "im-0115-0001"),
        ("NORMAL2-IM-1427", "2-im-1427"),
    ],
)
def test_what_is_left_without_the_classes(text: str, rest: str) -> None:
    assert ClassWords(["COVID-19", "Normal", "Viral Pneumonia"])(text) == rest


def test_patterns_of_hashes_and_ids_are_one() -> None:
    names = ["a3f9c2d1e4.png", "550e8400-e29b-41d4-a716-446655440000.png", "00012.JPG", "1.2.840.dcm"]
    assert name_patterns(names, ["x", "y"]).tolist() == ["#", "#", "#", "#.#.#"]


def test_numbers_that_begin_anew_or_run_class_by_class_are_no_fact() -> None:
    labels = [("a",), ("b",)] * 10
    assert name_numbers([f"{n // 2}.png" for n in range(20)], labels) is None
    assert name_numbers([f"{n // 2 + 10 * (n % 2)}.png" for n in range(20)], labels) is None
    assert name_numbers([f"{n}.png" for n in range(20)], labels) is not None


@pytest.mark.parametrize("quality", [20, 50, 75, 90, 95])
def test_the_quality_of_a_jpeg(quality: int) -> None:
    content = saved(Image.fromarray(noise(16, 16)), "jpeg", quality=quality)
    assert jpeg_quality(content) == pytest.approx(quality, abs=1.5)


@given(st.binary(max_size=300))
def test_no_bytes_are_too_strange_for_facts(tail: bytes) -> None:
    for name, start in (
        ("jpeg", b"\xff\xd8\xff\xe1\x00\x10Exif\0\0"),
        ("tiff", b"II*\0"),
        ("dicom", bytes(128) + b"DICM"),
    ):
        read_file_facts(start + tail, name, 1)


def test_dicom_says_device_station_view_and_date_and_nothing_of_the_patient() -> None:
    content = dicom(
        noise(8, 8), Manufacturer="ACME", ManufacturerModelName="X1", InstitutionName="North", StationName="R2",
        ViewPosition="AP", Modality="DX", StudyDate="20200131", PatientName=SECRET,
    )  # fmt: skip
    facts = read_file_facts(content, "dicom", 1)
    assert (facts.device, facts.station, facts.view, facts.date) == ("ACME X1", "North R2", "DX AP", "20200131")
    assert SECRET not in repr(facts)


def test_exif_says_camera_and_date() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0132] = "Canon", "EOS", "2019:05:04 10:00:00"
    stream = io.BytesIO()
    Image.fromarray(noise(8, 8)).save(stream, "jpeg", exif=exif)
    facts = read_file_facts(stream.getvalue(), "jpeg", 1)
    assert (facts.device, facts.date, facts.mode) == ("Canon EOS", "20190504", "grey")


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("2020-03-31", 20200331), ("20201115", 20201115), ("2020/3", 20200300), ("2019", 20190000),
        ("2020-03-31T10:00", 20200331), ("31.12.2018", 20180000), ("1/22/2020", 20200000), ("NA", None), ("", None),
    ],
)  # fmt: skip
def test_dates(cell: str, number: float | None) -> None:
    (read,) = date_numbers(np.array([cell]))
    assert (None if np.isnan(read) else read) == number


def test_a_column_of_few_numbers_is_one_of_names() -> None:
    assert not column_fact("scanner", np.array(["1", "2", "3"] * 9)).is_numeric
    assert column_fact("spacing", np.array([str(n / 7) for n in range(20)])).is_numeric


@pytest.mark.parametrize(
    "name",
    ["site", "Hospital", "scannerType", "View Position", "StudyDate", "year", "device_model", "data_source"],
)
def test_columns_that_say_where_an_image_comes_from(name: str) -> None:
    assert says_origin(name)


@pytest.mark.parametrize(
    "name",
    [
        "age",
        "sex",
        "birth_date",
        "anatom_site_general",
        "Finding",
        "dx",
        "patient_id",
        "clinical_stage",
        "filename",
    ],
)
def test_columns_that_do_not(name: str) -> None:
    assert not says_origin(name)

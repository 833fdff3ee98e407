"""One number written in two ways is one, in columns of numbers; what stays apart is noted."""

import tempfile
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.data.listing.listing import Listing
from medray.data.listing.tables.plain_numbers import plain_number
from tests.data.listing.folders.folder_trees import check, grow, list_text

WAYS = [
    str,
    lambda n: f"{n}.0",
    lambda n: f"{n:03d}",
    lambda n: f"{n}.",
    lambda n: f"+{n}",
    lambda n: f"{n:05d}.00",
]


def read(root: Path, rows: list[str], head: str = "image,label,patient", options: str = "") -> Listing:
    files = {f"p{i}.png": f"image {i}" for i in range(len(rows))}
    grow(root, {**files, "t.csv": "\n".join([head, *(f"p{i}.png{row}" for i, row in enumerate(rows))])})
    return check(list_text(f"csv:{root}/t.csv{options}"))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 120), st.sampled_from(range(len(WAYS)))), min_size=2, max_size=12))
def test_patients_and_classes_are_the_numbers_however_they_are_written(numbers: list[tuple[int, int]]) -> None:
    numbers = [(0, 0), (1, 1), *numbers]
    cells = [WAYS[way](number) for number, way in numbers]
    with tempfile.TemporaryDirectory() as folder:
        listing = read(Path(folder), [f",{'ab'[i % 2]},{cell}" for i, cell in enumerate(cells)])
    by_patient: dict[str | None, set[int]] = {}
    for image, (number, _) in zip(listing.images, numbers, strict=True):
        by_patient.setdefault(image.patient, set()).add(number)
    assert all(len(members) == 1 for members in by_patient.values())
    assert len(by_patient) == len({number for number, _ in numbers})
    several = len(set(cells)) > len(by_patient)
    assert several == any("one number written in several ways is one" in note for note in listing.notes)


@given(st.decimals(-1000, 1000, places=3), st.integers(0, 3), st.integers(0, 3))
def test_a_number_is_written_shortest(number: Decimal, before: int, after: int) -> None:
    sign, digits = ("-" if number < 0 else ""), f"{abs(number):f}"
    plain = plain_number(f"{sign}{'0' * before}{digits}{'0' * after}")
    assert plain is not None
    assert Decimal(plain) == number
    assert plain_number(plain) == plain == plain_number(f"{sign}{digits}".replace(".", ","))


def test_classes_0_and_1_are_two(tmp_path: Path) -> None:
    listing = read(tmp_path, [",0", ",1", ",0.0", ",1.0"], "image,label")
    assert [image.labels for image in listing.images] == [("0",), ("1",), ("0",), ("1",)]
    assert (
        "column 'label': one number written in several ways is one: '0' and '0.0', '1' and '1.0'" in listing.notes
    )
    assert listing.rows == {"0": 2, "1": 2}


def test_subgroups_too_and_numbers_written_in_one_way_stay_as_they_are(tmp_path: Path) -> None:
    rows = [",a,007,1", ",b,008,1.0", ",a,008,2"]
    listing = read(tmp_path, rows, "image,label,patient,sex", "?subgroups=sex")
    assert [image.subgroups["sex"] for image in listing.images] == ["1", "1", "2"]
    assert [image.patient for image in listing.images] == ["007", "008", "008"]


def test_beside_words_numbers_are_kept_apart_and_noted(tmp_path: Path) -> None:
    listing = read(tmp_path, [",a,100", ",b,100.0", ",a,P7"])
    assert [image.patient for image in listing.images] == ["100", "100.0", "P7"]
    note = "column 'patient' writes one number in several ways, and holds other words too, so they are kept apart"
    assert f"{note}: '100' and '100.0'" in listing.notes


def test_patients_that_differ_only_in_case_are_noted(tmp_path: Path) -> None:
    listing = read(tmp_path, [",a,P1", ",b,p1"])
    assert "column 'patient': names that differ only in case are kept apart: 'P1' and 'p1'" in listing.notes


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["0,0", "1,0", "1,0"], [("0",), ("1",), ("1",)]),
        (["0,1", "1", "1,0"], [("0", "1"), ("1",), ("1", "0")]),
        (["0,1", "1.0", "1"], [("0", "1"), ("1.0",), ("1",)]),
    ],
)
def test_a_decimal_comma_of_a_label_divides_no_labels(
    tmp_path: Path, labels: list[str], expected: list[tuple[str, ...]]
) -> None:
    listing = read(tmp_path, [f';"{label}"' for label in labels], "image;label")
    assert [image.labels for image in listing.images] == expected

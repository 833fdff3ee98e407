"""Ids that a spreadsheet wrote anew: each finds its file by its number, none finds another's."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.data.listing.listing import Listing
from medray.data.listing.tables.id_numbers import read_numbers
from medray.errors import DataError
from tests.data.listing.folders.folder_trees import check, grow, list_text, refusal


def read(root: Path, cells: Sequence[str], files: Sequence[str], options: str = "") -> Listing:
    lines = [f'"{cell}",{"ab"[i % 2]}' for i, cell in enumerate(cells)]
    grow(root, {**{file: file for file in files}, "t.csv": "\n".join(["image,label", *lines])})
    return check(list_text(f"csv:{root}/t.csv{options}"))


def files_of(listing: Listing) -> list[str]:
    return [image.path.read_text() for image in listing.images]


WRITINGS = ["{}", "{}.0", "{:03d}", "{:,}", "{:.2E}", "{:02d}.png"]


def listing_or_line(root: Path, cells: Sequence[str], files: Sequence[str]) -> Listing | str:
    try:
        return read(root, cells, files)
    except DataError as error:
        return str(error)


@settings(max_examples=60, deadline=None)
@given(
    numbers=st.lists(st.integers(0, 1500), min_size=2, max_size=12, unique=True),
    width=st.integers(1, 6),
    writings=st.lists(st.sampled_from(WRITINGS), min_size=1, max_size=12),
    gone=st.integers(0, 2),
    before=st.sampled_from(["", "images/", "scan ", "ISIC_"]),
)
def test_a_number_finds_its_own_file_or_none(
    numbers: list[int], width: int, writings: list[str], gone: int, before: str
) -> None:
    files = [f"{before}{number:0{width}d}.png" for number in numbers]
    written = [writings[i % len(writings)].format(number) for i, number in enumerate(numbers)]
    cells = [f"{before}{cell}" if before in ("scan ", "ISIC_") else cell for cell in written]
    with tempfile.TemporaryDirectory() as folder:
        listing = listing_or_line(Path(folder), cells, files[gone:] or ["other.png"])
    if isinstance(listing, str):
        assert "no image of column 'image' is there" in listing or "'; write the names" in listing
        return
    truth = {f"line {i + 2}": file for i, file in enumerate(files)}
    rounded = {f"line {i + 2}" for i, cell in enumerate(written) if "E" in cell}
    read_as = {image.where: image.path.name for image in listing.images}
    assert all(Path(truth[line]).name == name for line, name in read_as.items() if line not in rounded)
    if before in ("", "images/"):
        assert read_as.keys() | rounded >= {f"line {i + 2}" for i in range(gone, len(files))}


def test_ids_that_lost_their_zeros_in_part_are_all_found(tmp_path: Path) -> None:
    files = [f"{number:02d}.png" for number in range(1, 21)]
    listing = read(tmp_path, [str(number) for number in range(1, 21)], files)
    assert files_of(listing) == files
    assert not listing.missing
    note = "files: 9 cells of column 'image', not here as written, by their numbers, as '01.png' for '1'"
    assert note in listing.notes


@pytest.mark.parametrize(
    ("cells", "files"),
    [
        (["1.png", "10.png"], ["0001.png", "10.png"]),
        (["ISIC_24306", "ISIC_0024307"], ["ISIC_0024306.jpg", "ISIC_0024307.jpg"]),
        (["ISIC_24306", "ISIC_24307"], ["a/ISIC_0024306.jpg", "b/ISIC_0024307.jpg"]),
        (["0001", "0010"], ["1.png", "10.png"]),  # the other way round
        (["0001", "2"], ["1.png", "002.png"]),
        (["1.0", "2.0", "10.0"], ["1.png", "2.png", "10.png"]),
        (["1.0", "2.0", "10.0"], ["img_01.png", "img_02.png", "img_10.png"]),
        (["1,0", "2,00"], ["001.png", "2.png"]),
        (["1.00E+05", "1234"], ["100000.png", "1234.png"]),
        (["1E5", "2E5"], ["0100000.png", "0200000.png"]),
        (["999", "1,000", "12,345"], ["999.png", "1000.png", "12345.png"]),
        (["999", "998", "1,000"], ["999.png", "998.png", "1000.png", "1.png"]),
        (["999", "1.000", "12.345"], ["0999.png", "1000.png", "12345.png"]),
        (["999", "1 000", "1'001"], ["999.png", "1000.png", "1001.png"]),
        (["13_5", "00000013_006.png"], ["00000013_005.png", "00000013_006.png"]),
        (["p1/3.png", "p01/004.png"], ["set/p01/003.png", "set/p01/004.png"]),
        (["scan_010.png", "7"], ["scan_010.png", "scan_007.png"]),
        (["A1", "B10"], ["a01.png", "b10.png"]),
        (["1", "10"], ["images/01.png", "images/10.png", "masks/01.png", "x/masks/10.png"][:3]),
    ],
)
def test_neighbours(tmp_path: Path, cells: list[str], files: list[str]) -> None:
    assert files_of(read(tmp_path, cells, files)) == files[: len(cells)]


@pytest.mark.parametrize(
    ("cells", "files", "missing"),
    [
        (["1", "01", "2"], ["01.png", "2.png"], ["line 2: 1"]),  # another row names 01.png as it is
        (["1", "10", "2"], ["10.png", "2.png", "mask_01.png", "mask_10.png"], ["line 2: 1"]),
        (["1", "10", "2"], ["10.png", "2.png", "masks/01.png"], ["line 2: 1"]),
        (["v1.5", "v2.5", "v3"], ["v1.05.png", "v2.5.png", "v3.png"], ["line 2: v1.5"]),
        (["1.5", "2", "3"], ["15.png", "2.png", "3.png"], ["line 2: 1.5"]),
        (["100", "2", "3"], ["1.png", "2.png", "3.png"], ["line 2: 100"]),
        (["1.jpg", "2.png", "3.png"], ["01.png", "2.png", "3.png"], ["line 2: 1.jpg"]),
    ],
)
def test_a_file_of_another_row_or_form_is_not_taken(
    tmp_path: Path, cells: list[str], files: list[str], missing: list[str]
) -> None:
    assert [*read(tmp_path, cells, files).missing] == missing


def test_one_number_in_two_writings_is_one_image(tmp_path: Path) -> None:
    listing = read(tmp_path, ["1", "2", "1.0"], ["1.png", "2.png"])
    assert files_of(listing) == ["1.png", "2.png"]
    assert not listing.missing
    refusal(lambda: read(tmp_path / "x", ["1", "1.0", "2.0"], ["1.png", "2.png"]), "lines 2 and 3 name one image")


def test_a_number_of_several_files_is_refused_with_the_patterns(tmp_path: Path) -> None:
    line = (
        "column 'image': '1' may be any of 2 files, '001.png' or '01.png'; `?pattern={:03d}.png` or "
        "`?pattern={:02d}.png` behind the source says which"
    )
    files = ["01.png", "001.png", "10.png"]
    refusal(lambda: read(tmp_path / "x", ["1", "10"], files), line)
    assert files_of(read(tmp_path / "y", ["1", "10"], files, "?pattern={:02d}.png")) == ["01.png", "10.png"]
    words = ["S_001.png", "S_01.png", "S_10.png"]
    refusal(lambda: read(tmp_path / "z", ["S_1", "S_10"], words), "write the names of the files into the column")


def test_rounded_numbers_are_named(tmp_path: Path) -> None:
    listing = read(tmp_path, ["1.23457E+11", "2", "3"], ["123456789012.png", "2.png", "3.png"])
    assert listing.missing == ("line 2: 1.23457E+11",)
    assert any("1 number such as '1.23457E+11' may be rounded by a spreadsheet" in note for note in listing.notes)

    refusal(lambda: read(tmp_path / "x", ["1.23E+05", "2"], ["123000.png", "123456.png", "2.png"]),
            "'1.23E+05' may be any of 2 files, '123000.png' or '123456.png'; write the names")  # fmt: skip


def test_a_named_pattern_takes_numbers_in_any_writing(tmp_path: Path) -> None:
    listing = read(tmp_path, ["1.0", "1,234"], ["s_0001.png", "s_1234.png"], "?pattern=s_{:04d}.png")
    assert files_of(listing) == ["s_0001.png", "s_1234.png"]


@given(st.lists(st.integers(0, 10**9), min_size=1), st.sampled_from(WRITINGS[:4]))
def test_numbers_are_read_back(numbers: list[int], writing: str) -> None:
    cells = [writing.format(number) for number in numbers]
    if writing != "{:,}" or any(number % 1000 for number in numbers if number >= 1000):
        assert [read_numbers(cells)[cell] for cell in cells] == numbers


@given(st.lists(st.text("0123456789.,eE+' x", max_size=9)))
def test_any_cell_is_a_number_or_none(cells: list[str]) -> None:
    assert {*read_numbers(cells)} <= {*cells}

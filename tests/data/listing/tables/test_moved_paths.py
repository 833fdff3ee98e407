"""Tables that were written elsewhere: files by the ends of their paths, or refused with the option that helps."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.data.listing.listing import Listing
from medray.errors import DataError
from tests.data.listing.folders.folder_trees import check, grow, list_text, refusal

names = st.text("abcxyz", min_size=1, max_size=3)
ROOTS = [
    "/kaggle/input/set/",
    "D:\\set\\",
    "\\\\server\\share\\",
    "https://host/set/",
    "file:///home/me/",
    "../gone/",
    "old/set/",
]


def read(root: Path, cells: Sequence[str], files: Sequence[str], options: str = "", at: str = "t.csv") -> Listing:
    lines = [f'"{cell}",{"ab"[i % 2]}' for i, cell in enumerate(cells)]
    grow(root, {**{file: file for file in files}, at: "\n".join(["image,label", *lines])})
    return check(list_text(f"csv:{root}/{at}{options}"))


def files_of(listing: Listing) -> list[str]:
    return [image.path.read_text() for image in listing.images]


def listing_or_line(root: Path, cells: Sequence[str], files: Sequence[str]) -> Listing | str:
    try:
        return read(root, cells, files)
    except DataError as error:
        return str(error)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(names, min_size=1, max_size=3), min_size=2, max_size=8, unique_by=tuple),
    st.sampled_from(ROOTS),
    st.integers(0, 2),
)
def test_each_path_of_elsewhere_is_its_own_file_or_none(tree: list[list[str]], root: str, missing: int) -> None:
    files = ["/".join(parts) + ".png" for parts in tree]
    cells = [root + (file.replace("/", "\\") if "\\" in root else file) for file in files]
    with tempfile.TemporaryDirectory() as folder:
        here = [f"below/{file}" for file in files[missing:]] or ["below/other.png"]
        listing = listing_or_line(Path(folder), cells, here)
        if isinstance(listing, str):
            assert len(here) < len(files) or "may be any of" in listing
        else:
            # A file that is gone may be taken for none of another folder.
            truth = {f"line {i + 2}": f"below/{file}" for i, file in enumerate(files)}
            assert all(truth[image.where] == image.path.read_text() for image in listing.images)
            assert len(listing) == len(here)
            assert any("by their ends" in note for note in listing.notes)


def test_the_longest_end_is_taken_and_noted(tmp_path: Path) -> None:
    cells = [f"/kaggle/input/set/{kind}/p{i}.png" for kind in ("left", "right") for i in range(2)]
    files = [cell.removeprefix("/kaggle/input/set/") for cell in cells]
    listing = read(tmp_path, cells, files)
    assert files_of(listing) == files
    note = "files: 4 paths of column 'image', not here as written, by their ends, as 'left/p0.png' for '/kaggle/input/set/left/p0.png'"
    assert note in listing.notes


@pytest.mark.parametrize(
    ("cells", "files"),
    [
        (["/k/set/1.JPG", "/k/set/2.JPG"], ["images/1.png", "images/2.png"]),  # converted
        (["C:\\a\\1.PNG", "/home/b/2.png"], ["images/1.png", "images/2.png"]),  # two machines
        (["/k/p1/1", "/k/p2/2"], ["all/1.png", "all/2.png"]),  # one folder for all
        (["/k/a%20b.png", "/k/2.png"], ["x/a b.png", "x/2.png"]),
        (["set/images/1.png", "set/images/2.png"], ["images/1.png", "images/2.png"]),  # a table below its root
    ],
)
def test_neighbours_of_such_paths(tmp_path: Path, cells: list[str], files: list[str]) -> None:
    assert files_of(read(tmp_path, cells, files)) == files


def test_an_address_in_some_cells_only(tmp_path: Path) -> None:
    assert files_of(read(tmp_path, ["a%20b.png", "2.png"], ["x/a b.png", "x/2.png"])) == ["x/a b.png", "x/2.png"]


@pytest.mark.parametrize(
    ("cells", "files"),
    [
        (["/k/train/1.png", "/k/train/2.png"], ["test/1.png", "test/2.png"]),  # of another split
        (["/k/images/1.jpg", "/k/images/2.jpg"], ["masks/1.png", "masks/2.png"]),
        (["/k/p1/1.png", "/k/p2/2.png"], ["p3/1.png", "p4/2.png"]),  # of other patients
    ],
)
def test_files_of_other_folders_are_others(tmp_path: Path, cells: list[str], files: list[str]) -> None:
    refusal(
        lambda: read(tmp_path, cells, files),
        "no image of column 'image' is there",
        "2 cells hold paths of elsewhere",
    )


def test_two_paths_are_never_one_file(tmp_path: Path) -> None:
    cells = ["/k/p1/1.png", "/k/p2/1.png"]
    refusal(lambda: read(tmp_path, cells, ["all/1.png"]), "'/k/p1/1.png' and '/k/p2/1.png' are paths of elsewhere",
            "only 'all/1.png' is here of both")  # fmt: skip


def test_of_two_ends_that_fit_none_is_taken(tmp_path: Path) -> None:
    cells, files = ["/k/1.png", "/k/2.png"], ["a/1.png", "b/1.png", "a/2.png"]
    refusal(lambda: read(tmp_path, cells, files), "'/k/1.png' may be any of 2 files, 'a/1.png' or 'b/1.png'; write ",
            "paths from its folder into the column")  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "files"),
    [
        (["p0.png", "p1.png"], ["images/p0.png", "images/p1.png", "masks/p0.png", "masks/p1.png"]),
        (["0", "1"], ["train/0.png", "train/1.png", "test/0.png", "test/1.png"]),
        (["0", "1"], ["a/0.png", "a/1.png", "a/0.jpg", "a/1.jpg"]),
        (["x/0", "x/1"], ["a/x/0.png", "a/x/1.png", "b/x/0.png", "b/x/1.png"]),
    ],
)
def test_the_refusal_of_a_name_that_fits_two_files_names_a_pattern_that_helps(
    tmp_path: Path, cells: list[str], files: list[str]
) -> None:
    line = refusal(lambda: read(tmp_path, cells, files), "may be any of 2 files", "behind the source says which")
    patterns = [part.removeprefix("?pattern=") for part in line.split("`")[1::2]]
    assert len(patterns) == 2
    listings = [files_of(read(tmp_path, cells, files, f"?pattern={pattern}")) for pattern in patterns]
    assert sorted([*listings[0], *listings[1]]) == sorted(files)


@pytest.mark.parametrize("at", ["tables/labels.csv", "tables/v1/labels.csv"])
@pytest.mark.parametrize("suffix", [".png", ""])
def test_of_a_table_beside_its_images_the_refusal_names_the_pattern(tmp_path: Path, at: str, suffix: str) -> None:
    files, cells = ["images/p0.png", "images/p1.png"], [f"p0{suffix}", f"p1{suffix}"]
    line = refusal(lambda: read(tmp_path, cells, files, at=at), "no image of column 'image' is there")
    pattern = line.split("`?pattern=")[1].partition("`")[0]
    assert files_of(read(tmp_path, cells, files, f"?pattern={pattern}", at=at)) == files

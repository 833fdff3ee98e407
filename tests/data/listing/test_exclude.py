"""Folders and files left out by names and patterns: public sets in their own layouts, and folders of masks."""

import fnmatch
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.data.listing.exclude import Entry, exclude_paths
from medray.data.listing.file_tree import FileTree, find_files
from tests.data.decoding.file_samples import dicom
from tests.data.listing.folders.folder_trees import by_where, check, grow, labels, list_text, listed, refusal

KINDS = {"COVID": 3, "Lung_Opacity": 2, "Normal": 4, "Viral Pneumonia": 2}
BLOOD = ("EOSINOPHIL", "LYMPHOCYTE", "MONOCYTE", "NEUTROPHIL")


def radiography(root: Path) -> Path:
    """The COVID-19 Radiography Database as it is unpacked: a mask of each film's name beside the films."""
    films = {
        name: [f"{name.removesuffix(' Pneumonia')}-{n + 1}.png" for n in range(c)] for name, c in KINDS.items()
    }
    grow(root, [f"{name}/{kind}/{film}" for name in films for kind in ("images", "masks") for film in films[name]])
    return grow(root, [*(f"{name}.metadata.xlsx" for name in KINDS), "README.md.txt"])


def blood_cells(root: Path) -> Path:
    """Kaggle's "Blood Cell Images": two splits, and a small third folder of the same classes."""
    grow(root, [f"TRAIN/{name}/_{n}_1.jpeg" for name in BLOOD for n in range(3)])
    grow(root, [f"TEST/{name}/_{n}_2.jpeg" for name in BLOOD for n in range(2)])
    return grow(root, [f"TEST_SIMPLE/{name}/_{n}_3.jpeg" for name in BLOOD for n in range(1)])


# -- public sets


def test_masks_of_the_radiography_database_are_left_out(tmp_path: Path) -> None:
    listing = listed(f"{radiography(tmp_path)}?exclude=masks")
    assert len(listing) == sum(KINDS.values())
    assert all("/images/" in where for where in by_where(listing))
    assert sorted(labels(listing).values()) == [name for name, count in KINDS.items() for _ in range(count)]
    assert listing.notes[0] == "left out by exclude: 'masks' (folders: 4, images: 11, other files: 0)"
    assert "README.md.txt" in listing.ignored


def test_masks_of_the_radiography_database_do_not_become_films(tmp_path: Path) -> None:
    refusal(
        lambda: listed(radiography(tmp_path)),
        "11 images lie in folders of masks or the like, as 'COVID/masks/COVID-1.png'",
        "`?exclude=masks` behind the source",
    )


def test_kaggles_third_folder_of_blood_cells_is_left_out(tmp_path: Path) -> None:
    blood_cells(tmp_path)
    listing = listed(f"{tmp_path}?exclude=TEST_SIMPLE")
    assert {image.split for image in listing.images} == {"train", "test"}
    assert len(listing) == 20
    assert listing.notes[0] == "left out by exclude: 'TEST_SIMPLE' (folders: 1, images: 4, other files: 0)"
    refusal(
        lambda: listed(tmp_path),
        "two folders are the test split: 'TEST' and 'TEST_SIMPLE'; `?exclude=TEST_SIMPLE`",
    )


# -- what holds for all names


@given(st.sets(st.sampled_from(["a/1", "a/M/2", "a/m /3", "b/4", "b/x/M/y/5", "b/n/6", "c/N/m/7"]), min_size=1))
def test_every_file_is_left_or_counted(files: set[str]) -> None:
    folders = {"/".join(file.split("/")[:end]) for file in files for end in range(1, file.count("/") + 1)}
    tree = FileTree(Path("root"), tuple(sorted({*files, "z/9"})), (), tuple(sorted({*folders, "z", "z/m"})))
    left, notes = exclude_paths(tree, " M")
    assert all("m" not in {part.strip().lower() for part in file.split("/")} for file in left.images)
    assert set(left.images) | {file for file in tree.images if "/m" in file.lower()} == set(tree.images)
    assert f"images: {len(tree.images) - len(left.images)}," in notes[0]
    assert set(left.folders) == {folder for folder in tree.folders if "/m" not in folder.lower()}


def test_several_names_case_accents_and_files_that_are_no_images(tmp_path: Path) -> None:
    grow(
        tmp_path,
        ["a/1.png", "b/1.png", "a/MASKS/1.png", "b/masks/2.png", "b/masks/notes.txt", "b/Pré/masks/3.png"],
    )
    listing = listed(f"{tmp_path}?exclude=Masks, pre\u0301")
    assert list(labels(listing)) == ["a/1.png", "b/1.png"]
    assert listing.ignored == ()
    assert listing.notes[:2] == (
        "left out by exclude: 'Masks' (folders: 3, images: 2, other files: 1)",
        "left out by exclude: 'pré' (folders: 1, images: 1, other files: 0)",
    )


def test_an_option_more_is_read_too(tmp_path: Path) -> None:
    grow(tmp_path, ["a/p1/1.png", "a/p1/mask/1.png", "b/p2/1.png"])
    listing = check(list_text(f"folder:{tmp_path}?patients=folder&exclude=mask"))
    assert [image.patient for image in listing.images] == ["p1", "p2"]


def test_dicom_folders_leave_out_too(tmp_path: Path) -> None:
    pixels = np.zeros((4, 4), dtype=np.uint8)
    content = dicom(pixels)
    grow(tmp_path, {"a/1.dcm": content, "a/Masks/1.dcm": content, "b/1.dcm": content})
    listing = listed(f"{tmp_path}?exclude=masks", "dicom")
    assert list(labels(listing)) == ["a/1.dcm", "b/1.dcm"]
    assert listing.notes[0] == "left out by exclude: 'masks' (folders: 1, images: 1, other files: 0)"
    refusal(lambda: listed(tmp_path, "dicom"), "as 'a/Masks/1.dcm'", "`?exclude=Masks`")


def test_a_class_may_be_called_mask(tmp_path: Path) -> None:
    assert len(listed(grow(tmp_path, ["mask/1.png", "bare/1.png"]))) == 2


# -- what is refused


@pytest.mark.parametrize(
    ("names", "fragments"),
    [
        ("maks", ["option 'exclude': no folder or file 'maks' (did you mean 'masks'?); valid: a, b, masks; or"]),
        ("masks,c", ["option 'exclude': no folder or file 'c'; valid: a, b, masks"]),
        ("", ["option 'exclude' names nothing; valid: a, b, masks"]),
        (" ,/", ["option 'exclude' names nothing"]),
        ("a,b", ["option 'exclude' leaves none of the 3 images"]),
        ("*.png", ["option 'exclude' leaves none of the 3 images"]),
        ("b/masks", ["no folder or file 'b/masks' (did you mean 'masks'?)"]),
        ("*_maks*", ["no folder or file fits '*_maks*' (did you mean 'masks'?)"]),
        ("?.jpg", ["no folder or file fits '?.jpg'"]),
    ],
)
def test_names_that_are_refused(tmp_path: Path, names: str, fragments: list[str]) -> None:
    grow(tmp_path, ["a/1.png", "a/masks/1.png", "b/1.png"])
    assert refusal(lambda: listed(f"{tmp_path}?exclude={names}"), *fragments).startswith(str(tmp_path))


def test_of_many_folders_some_are_listed(tmp_path: Path) -> None:
    grow(tmp_path, [f"{'ab'[n % 2]}/patient{n:02}/1.png" for n in range(20)])
    refusal(lambda: listed(f"{tmp_path}?exclude=zzz"), "patient07 and 12 more")


@pytest.mark.parametrize(
    ("files", "fragments"),
    [
        (["a/1.png", "a/Mask/1.png", "b/1.png"], ["an image lies", "as 'a/Mask/1.png'; `?exclude=Mask`"]),
        (["train/a/1.png", "train/a/p/MASKS/7.png", "train/b/1.png"], ["MASKS/7.png'; `?exclude=MASKS`"]),
        (["a/mask/1.png", "a/x/1.png", "b/masks/1.png"], ["2 images lie", "`?exclude=mask,masks`"]),
    ],
)
def test_masks_that_are_refused(tmp_path: Path, files: list[str], fragments: list[str]) -> None:
    refusal(lambda: listed(grow(tmp_path, files)), *fragments)


# -- patterns and paths

TREE = ["a/1.png", "a/1_mask.png", "a/MASK_2.jpg", "a/old/3.png", "b/1.png", "b/x/old/2_Mask.tif", "b/é.png"]


@pytest.mark.parametrize(
    ("option", "left_out"),
    [
        ("*_mask*", {"a/1_mask.png", "b/x/old/2_Mask.tif"}),
        ("*MASK*", {"a/1_mask.png", "a/MASK_2.jpg", "b/x/old/2_Mask.tif"}),
        ("*_mask.png", {"a/1_mask.png"}),
        ("mask_?.*", {"a/MASK_2.jpg"}),
        ("?.png", {"a/1.png", "a/old/3.png", "b/1.png", "b/é.png"}),
        ("e\u0301.png", {"b/é.png"}),
        ("o?d", {"a/old/3.png", "b/x/old/2_Mask.tif"}),
        ("old/", {"a/old/3.png", "b/x/old/2_Mask.tif"}),
        ("1.png", {"a/1.png", "b/1.png"}),
        ("a/1.png", {"a/1.png"}),
        ("a/*.png", {"a/1.png", "a/1_mask.png"}),
        ("*/old", {"a/old/3.png"}),
        ("**/old", {"a/old/3.png", "b/x/old/2_Mask.tif"}),
        ("**/*.png", {"a/1.png", "a/1_mask.png", "a/old/3.png", "b/1.png", "b/é.png"}),
        ("b/**/2*", {"b/x/old/2_Mask.tif"}),
        ("*_mask*, old", {"a/1_mask.png", "a/old/3.png", "b/x/old/2_Mask.tif"}),
    ],
)
def test_what_a_pattern_leaves_out(tmp_path: Path, option: str, left_out: set[str]) -> None:
    tree = find_files(grow(tmp_path, TREE))
    kept, notes = exclude_paths(tree, option)
    assert {*tree.images} - {*kept.images} == left_out
    assert sum(int(note.split("images: ")[1].split(",")[0]) for note in notes) == len(left_out)


@given(st.text("ab*?.[]/\\^$+(", min_size=1, max_size=6), st.lists(st.text("ab.[]\\^$+(", min_size=1, max_size=4)))
def test_only_stars_and_question_marks_have_a_meaning(pattern: str, names: list[str]) -> None:
    """In a name they mean what fnmatch has them mean; all else stands for itself."""
    entry = Entry(pattern)
    escaped = pattern.strip("/").replace("[", "[[]")
    for name in names:
        assert entry.fits(name) == (fnmatch.fnmatchcase(name, escaped) if "/" not in escaped else False)


def test_a_tables_rows_of_files_that_are_left_out_are_left_out(tmp_path: Path) -> None:
    grow(tmp_path, [f"{folder}/{n}.png" for folder in ("films", "masks") for n in range(4)])
    grow(tmp_path, [f"films/{n}_seg.png" for n in range(3)])
    cells = ["0", "1.png", "films/2.png", "3", "0_seg", "films/1_seg.png", "D:\\set\\films\\2_SEG.png"]
    rows = "".join(f"{cell},{'ab'[n % 2]}\n" for n, cell in enumerate(cells))
    table = grow(tmp_path, {"t.csv": f"file,label\n{rows}"}) / "t.csv"
    listing = listed(f"{table}?exclude=masks,*_seg.png", "csv")
    assert [image.where for image in listing.images] == [f"line {line}" for line in range(2, 6)]
    assert all("films" in image.path.parts for image in listing.images)  # and no name fits two files
    assert "left out by exclude: 'masks' (folders: 1, images: 4, other files: 0)" in listing.notes
    assert "rows left out by exclude: 3, the first line 6: '0_seg'" in listing.notes
    assert listing.rows == {"a": 2, "b": 2}
    assert not listing.missing
    refusal(lambda: listed(f"{table}?exclude=*_sag*", "csv"), "no folder or file fits '*_sag*'")
    refusal(lambda: listed(f"{table}?exclude=*_seg*", "csv"), "may be any of 2 files")


def test_a_row_whose_image_is_not_there_is_missing_and_not_left_out(tmp_path: Path) -> None:
    grow(tmp_path, ["films/0.png", "films/1.png", "masks/2.png", "masks/0.png"])
    grow(tmp_path, {"t.csv": "file,label\n0.png,a\n1.png,b\n2.png,b\n"})
    assert listed(f"{tmp_path}/t.csv?exclude=masks", "csv").missing == ("line 4: 2.png",)

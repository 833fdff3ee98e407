"""Folders left out by their names: public sets in their own layouts, and masks that nobody asked to be films."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.data.listing.exclude import exclude_folders
from medray.data.listing.file_tree import FileTree
from tests.data.decoding.file_samples import dicom
from tests.data.listing.folder_trees import by_where, check, grow, labels, list_text, listed, refusal

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
        "11 images lie in folders of masks below those of classes, as 'masks' below 'COVID'",
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
    left, notes = exclude_folders(tree, " M")
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
    refusal(lambda: listed(tmp_path, "dicom"), "as 'Masks' below 'a'", "`?exclude=masks`")


def test_a_class_may_be_called_mask(tmp_path: Path) -> None:
    assert len(listed(grow(tmp_path, ["mask/1.png", "bare/1.png"]))) == 2


# -- what is refused


@pytest.mark.parametrize(
    ("names", "fragments"),
    [
        ("maks", ["option 'exclude': no folder 'maks' (did you mean 'masks'?); valid: a, b, masks"]),
        ("masks,c", ["option 'exclude': no folder 'c'; valid: a, b, masks"]),
        ("", ["option 'exclude' names no folder; valid: a, b, masks"]),
        (" ,", ["option 'exclude' names no folder"]),
        ("a,b", ["option 'exclude' leaves none of the 3 images"]),
        ("a/masks", ["no folder 'a/masks' (did you mean 'masks'?)"]),
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
        (["a/1.png", "a/Mask/1.png", "b/1.png"], ["an image lies", "as 'Mask' below 'a'; `?exclude=mask`"]),
        (["train/a/1.png", "train/a/p/MASKS/1.png", "train/b/1.png"], ["as 'MASKS' below 'a'; `?exclude=masks`"]),
        (["a/mask/1.png", "a/x/1.png", "b/masks/1.png"], ["2 images lie", "`?exclude=mask,masks`"]),
    ],
)
def test_masks_that_are_refused(tmp_path: Path, files: list[str], fragments: list[str]) -> None:
    refusal(lambda: listed(grow(tmp_path, files)), *fragments)

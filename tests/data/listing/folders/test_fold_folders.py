"""Fold folders: an image stands in many folds under any name, and is listed once; leaks and quarrels are told."""

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.data.listing.folder_names import fold_number
from medray.data.listing.listing import TEST, Listing
from tests.data.listing.folders.folder_trees import by_where, grow, listed, refusal

PARTS = {"train": "Train", "val": "Valid", "test": "Test"}


def contents(listing: Listing, positions: object) -> set[bytes]:
    return {listing.images[int(i)].path.read_bytes() for i in positions}  # type: ignore[attr-defined]


@st.composite
def plans(draw: st.DrawFn) -> dict[tuple[int, str], tuple[str, str]]:
    """For each fold and image: its split and the name of its file there."""
    folds = draw(st.lists(st.integers(0, 30), min_size=1, max_size=4, unique=True))
    images = [f"{label}{number}" for label in "ab" for number in range(draw(st.integers(3, 5)))]
    plan = {}
    for fold in folds:
        for image in images:
            fixed = {"0": "train", "1": "val"}.get(image[1])  # both classes in train and val of every fold
            split = fixed or draw(st.sampled_from(["train", "val", "test", "none"]))
            name = draw(st.sampled_from([image, f"copy of {image}", f"{image.upper()} ({fold})"]))
            plan[fold, image] = (split, name)
    return plan


@settings(max_examples=30, deadline=None)
@given(plans())
def test_the_folds_are_those_of_the_folders(plan: dict[tuple[int, str], tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for (fold, image), (split, name) in plan.items():
            if split != "none":
                grow(root, {f"Fold{fold}/{PARTS[split]}/{image[0]}/{name}.png": image})
        listing = listed(root)
        numbers = sorted({fold for fold, _ in plan})
        placed = {image: {fold: plan[fold, image][0] for fold in numbers} for _, image in plan}
        listed_once = sorted(image.path.read_text() for image in listing.images)
        assert listed_once == sorted(image for image, where in placed.items() if set(where.values()) != {"none"})
        for listed_image in listing.images:
            split = placed[listed_image.path.read_text()][numbers[0]]
            assert listed_image.split == (None if split == "none" else split)
            assert listed_image.labels == (listed_image.path.read_text()[0],)
        assert listing.folds is not None
        assert len(listing.folds) == len(numbers)
        for number, (train, held_out) in zip(numbers, listing.folds, strict=True):
            for split, positions in (("train", train), ("val", held_out)):
                expected = {image.encode() for image, where in placed.items() if where[number] == split}
                assert contents(listing, positions) == expected
        assert [image.where for image in listing.images] == sorted(by_where(listing))


def ten_folds(root: Path, name: str = "Fold{}") -> Path:
    """Ten images of each class; fold k holds out number k and tests on number k + 1."""
    for fold, number, label in itertools.product(range(10), range(10), ("normal", "tumour")):
        part = "Valid" if number == fold else "Test" if number == (fold + 1) % 10 else "Train"
        path = f"{name.format(fold)}/{part}/{label}/{fold}-{number}.png"
        grow(root, {path: f"{label} {number}"})
    return root


@pytest.mark.parametrize("name", ["Fold{}", "fold_{}", "Fold {}", "FOLD-{}", "fold0{}"])
def test_ten_folds_of_the_same_images(tmp_path: Path, name: str) -> None:
    listing = listed(ten_folds(tmp_path, name))
    assert len(listing) == 20
    first = name.format(0)
    assert {image.where.partition("/")[0] for image in listing.images} == {first}
    assert sum(image.split == TEST for image in listing.images) == 2
    assert listing.folds is not None
    assert [(len(train), len(held_out)) for train, held_out in listing.folds] == [(16, 2)] * 10
    assert any(
        note.startswith("10 fold folders: ") and f"test is {first}'s (images: 2)" in note for note in listing.notes
    )
    assert "200 files in fold folders are 20 images" in listing.notes


def test_the_first_fold_is_that_of_the_lowest_number(tmp_path: Path) -> None:
    for fold, held_out in ((10, "1"), (2, "2")):
        for number, label in itertools.product("0123", "ab"):
            part = "Valid" if number == held_out else "Test" if number == str(fold)[0] + "9" else "Train"
            grow(tmp_path, {f"Fold{fold}/{part}/{label}/{number}.png": label + number})
    splits = {image.where: image.split for image in listed(tmp_path).images}
    assert splits["Fold2/Valid/a/2.png"] == "val"
    assert all(where.startswith("Fold2/") for where in splits)


def test_images_that_the_first_fold_lacks_have_no_split(tmp_path: Path) -> None:
    files = {f"fold{f}/{part}/{c}/1.png": f"{c} {part}" for f in (1, 2) for part in ("train", "val") for c in "ab"}
    listing = listed(grow(tmp_path, {**files, "fold2/train/a/more.png": "more"}))
    assert by_where(listing)["fold2/train/a/more.png"].split is None
    assert "images that are not in fold1 and so have no split: 1" in listing.notes
    assert listing.folds is not None
    assert [len(train) for train, _ in listing.folds] == [2, 3]


def test_linked_images_are_one(tmp_path: Path) -> None:
    grow(tmp_path / "all", {f"{c}/{n}.png": f"{c}{n}" for c in "ab" for n in range(3)})
    for fold, number in itertools.product(range(3), range(3)):
        part = tmp_path / "set" / f"Fold{fold}" / ("val" if fold == number else "train")
        for label in "ab":
            (part / label).mkdir(parents=True, exist_ok=True)
            (part / label / f"{number}.png").symlink_to(tmp_path / "all" / label / f"{number}.png")
    assert len(listed(tmp_path / "set")) == 6


def test_empty_files_are_copies_of_nothing(tmp_path: Path) -> None:
    files = [f"Fold0/{part}/{c}/1.png" for part in ("train", "val") for c in "ab"]
    assert len(listed(grow(tmp_path, dict.fromkeys(files, b"")))) == 4


def test_folds_without_val_are_no_folds(tmp_path: Path) -> None:
    parts = {
        (f, p): p if f == 0 else {"Train": "Test", "Test": "Train"}[p] for f in (0, 1) for p in ("Train", "Test")
    }
    listing = listed(
        grow(tmp_path, {f"Fold{f}/{p}/{c}/1.png": c + was for (f, p), was in parts.items() for c in "ab"})
    )
    assert len(listing) == 4
    assert listing.folds is None
    assert any("hold no val, so only Fold0 is used" in note for note in listing.notes)


WHOLE = {f"Fold{f}/{part}/{c}/1.png": f"{c} {part}" for f in (0, 1) for part in ("Train", "Valid") for c in "ab"}


@pytest.mark.parametrize(
    ("more", "fragments"),
    [
        (
            {"Fold1/Train/b/x.png": "a Train"},
            ["one image is of class 'a' and 'b'", "'Fold0/Train/a/1.png'", "'Fold1/Train/b/x.png'"],
        ),
        (
            {"Fold1/Test/a/x.png": "a Train"},
            [
                "leak: 1 image is in two splits of one fold: test and train of Fold1: ",
                "'Fold1/Test/a/x.png' and 'Fold1/Train/a/1.png'",
            ],
        ),
        (
            {"Fold0/Valid/a/x.png": "a Train"},
            ["leak: 1 image is in two splits of one fold: train and val of Fold0"],
        ),
        ({"Fold2/Train/a/1.png": "a Train"}, ["Fold2 has no val, but other fold folders have"]),
        ({"fold_1/Train/a/1.png": "x"}, ["two folders are fold 1: 'Fold1' and 'fold_1'"]),
        ({"Test/a/1.png": "x"}, ["'Test' lies beside fold folders"]),
        ({"Fold2/a/1.png": "x"}, ["Fold2: 'a' lies where split folders do; valid: train"]),
        ({"Fold2/Valid/a/1.png": "a Valid"}, ["Fold2: no folder for train, only Valid"]),
        ({"Fold1/Test/c/1.png": "x"}, ["class 'c' of test is not in train", "'Fold1/Test/c/1.png'"]),
        ({"Fold1/stray.png": "x"}, ["an image lies beside the folders", "'Fold1/stray.png'"]),
    ],
)
def test_fold_folders_that_are_refused(tmp_path: Path, more: dict[str, str], fragments: list[str]) -> None:
    grow(tmp_path, {**WHOLE, **more})
    refusal(lambda: listed(tmp_path), *fragments)


def test_a_fold_folder_is_known_by_its_name() -> None:
    known = {"Fold0": 0, "fold_1": 1, "Fold 3": 3, "FOLD-07": 7, "fold10": 10}
    assert {name: fold_number(name) for name in known} == known
    for name in ("fold", "folder1", "1", "Fold1a", "manifold2", "Fold٣"):
        assert fold_number(name) is None

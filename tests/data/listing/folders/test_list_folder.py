"""Class folders, with and without splits: what is found under awkward names, and what is refused."""

import os
import tempfile
import unicodedata
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from medray.data.listing.file_tree import IMAGE_SUFFIXES, SYSTEM_NAMES, UNREAD_SUFFIXES, find_files
from medray.data.listing.folder_names import SPLIT_NAMES, fold_number, split_named, splits_in, unify_spelling
from medray.data.listing.folders.looks import is_copy
from medray.data.listing.side_cars.side_words import is_side_name
from medray.errors import printable
from tests.data.listing.folders.folder_trees import by_where, grow, labels, listed, refusal

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
DICOM = bytes(128) + b"DICM" + bytes(40)


# -- what holds for all trees

letters = st.characters(codec="utf-8", exclude_characters="/\0", exclude_categories=["Cs"])
names = (
    st.text(letters, min_size=1, max_size=12)
    .filter(lambda n: n.strip() and not n.startswith(".") and len(n.encode()) < 100)
    .filter(lambda n: split_named(n) is None and fold_number(n) is None)
    .filter(lambda n: n.strip().lower() not in SYSTEM_NAMES)
    .filter(lambda n: not is_copy(n) and not splits_in(n)[0] and not is_side_name(n))
)
spellings = st.sampled_from(sorted(SPLIT_NAMES)).flatmap(
    lambda name: st.sampled_from([name, name.upper(), name.title(), name.swapcase().title(), f"{name} "])
)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(names, st.sets(names, min_size=1, max_size=4), max_size=4))
def test_every_image_is_listed_once_and_in_the_order_of_paths(classes: dict[str, set[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        folders = {**classes, "one class": {"x"}, "other class": {"x"}}
        grow(Path(folder), [f"{name}/{file}.PNG" for name, files in folders.items() for file in files])
        listing = listed(folder)
        paths = find_files(Path(folder)).images
        assert [image.path for image in listing.images] == [Path(folder) / name for name in paths]
        assert len(listing) == len([1 for _, _, files in os.walk(folder) for _ in files])
        for image in listing.images:
            (label,) = image.labels
            assert label.isprintable()
            assert "\n" not in image.where
        assert listing == listed(folder)


@settings(max_examples=30, deadline=None)
@given(st.lists(spellings, min_size=1, max_size=3, unique_by=split_named))
def test_any_usual_spelling_of_a_split_is_understood(folders: list[str]) -> None:
    assume("train" in map(split_named, folders))
    with tempfile.TemporaryDirectory() as folder:
        grow(Path(folder), [f"{split}/{name}/1.png" for split in folders for name in ("a", "b")])
        listing = listed(folder)
        for image in listing.images:
            assert image.split == split_named(image.where.partition("/")[0])
        assert len(listing) == 2 * len(folders)


@given(st.text(max_size=20))
def test_a_name_that_is_shown_is_one_line_and_can_be_written(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text)
    printable(text + "\udcff").encode()


@given(st.lists(st.text(min_size=1, max_size=5), max_size=8))
def test_one_spelling_is_the_first_of_those_that_differ_in_case(words: list[str]) -> None:
    unified, notes = unify_spelling(words)
    for name, spelling in unified.items():
        assert unified[spelling] == spelling
        assert unicodedata.normalize("NFC", spelling.casefold()) == unicodedata.normalize("NFC", name.casefold())
    assert len(notes) == sum(name != spelling for name, spelling in unified.items())


# -- what is listed


def test_classes_without_splits(tmp_path: Path) -> None:
    listing = listed(grow(tmp_path, ["normal/b.png", "normal/a.png", "tumour/1.jpg"]))
    assert labels(listing) == {"normal/a.png": "normal", "normal/b.png": "normal", "tumour/1.jpg": "tumour"}
    assert {image.split for image in listing.images} == {None}
    assert listing.folds is None
    assert listing.root == tmp_path
    assert listing.source == f"folder:{tmp_path}"
    assert listing.notes == ("2 classes by their folders, no splits",)


def test_train_and_test_only(tmp_path: Path) -> None:
    listing = listed(grow(tmp_path, ["TRAIN/a/1.png", "TRAIN/b/1.png", "TEST/a/2.png"]))
    assert [image.split for image in listing.images] == ["test", "train", "train"]
    assert listing.notes == ("2 classes by their folders, splits by theirs: train, test",)


def test_train_only(tmp_path: Path) -> None:
    listing = listed(grow(tmp_path, ["training/a/1.png", "training/b/1.png"]))
    assert {image.split for image in listing.images} == {"train"}


def test_awkward_trees(tmp_path: Path) -> None:
    """Spaces, accents, upper case, hidden files, and text among the images."""
    grow(
        tmp_path,
        ["Tumeur bénigne/Série 1/IMG 1.JPEG", "Tumeur bénigne/.hidden.png", "NORMAL/a.TIF", "NORMAL/notes.txt",
         "NORMAL/Thumbs.db", "__MACOSX/NORMAL/._a.TIF", ".DS_Store", "README.md", ".cache/x/a.png"],
    )  # fmt: skip
    listing = listed(tmp_path)
    assert labels(listing) == {"NORMAL/a.TIF": "NORMAL", "Tumeur bénigne/Série 1/IMG 1.JPEG": "Tumeur bénigne"}
    assert listing.ignored == ("NORMAL/notes.txt", "README.md")


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES | UNREAD_SUFFIXES))
def test_an_image_suffix_is_enough_in_any_case(tmp_path: Path, suffix: str) -> None:
    grow(tmp_path, {f"a/1{suffix}": b"", f"b/1{suffix.upper()}": b"no image at all"})
    assert len(listed(tmp_path)) == 2


def test_other_suffixes_are_judged_by_content(tmp_path: Path) -> None:
    files = {"a/IM0001": DICOM, "a/1.2.840.10008": DICOM, "b/x.img": PNG, "b/y.img": b"text", "b/DICOMDIR": DICOM}
    listing = listed(grow(tmp_path, files))
    assert list(labels(listing)) == ["a/1.2.840.10008", "a/IM0001", "b/x.img"]
    assert listing.ignored == ("b/DICOMDIR", "b/y.img")


def test_accents_are_one_class_however_written(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "bénigne") for form in ("NFC", "NFD"))
    assert composed != decomposed
    listing = listed(grow(tmp_path, [f"train/{composed}/1.png", "train/b/1.png", f"test/{decomposed}/2.png"]))
    assert {image.labels for image in listing.images} == {(composed,), ("b",)}


def test_case_is_as_in_train_and_noted(tmp_path: Path) -> None:
    listing = listed(grow(tmp_path, ["Test/normal/2.png", "Train/Normal/1.png", "Train/b/1.png"]))
    assert labels(listing)["Test/normal/2.png"] == "Normal"
    assert "classes 'Normal' and 'normal' are one, 'Normal'" in listing.notes


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    grow(tmp_path / "else", ["1.png", "2.png"])
    data = grow(tmp_path / "data", ["a/1.png"])
    (data / "a" / "link.png").symlink_to(tmp_path / "else" / "2.png")
    (data / "a" / "broken.png").symlink_to(tmp_path / "nowhere.png")
    (data / "a" / "broken.txt").symlink_to(tmp_path / "nowhere.txt")
    (data / "a" / "loop").symlink_to(data)
    (data / "b").symlink_to(tmp_path / "else")
    listing = listed(data)
    assert list(labels(listing)) == ["a/1.png", "a/broken.png", "a/link.png", "b/1.png", "b/2.png"]
    assert listing.ignored == ("a/broken.txt", "a/loop")


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    grow(tmp_path, ["a/1.png", "b/1.png"])
    os.mkfifo(tmp_path / "a" / "pipe.png")
    assert listed(tmp_path).ignored == ("a/pipe.png",)


def test_a_name_that_is_no_utf8_can_be_told(tmp_path: Path) -> None:
    grow(tmp_path, ["a/1.png", "b/1.png"])
    try:
        (tmp_path / "b" / os.fsdecode(b"caf\xe9.png")).write_bytes(b"x")
    except OSError:
        pytest.skip("the file system takes UTF-8 only")
    listing = listed(tmp_path)
    assert "b/caf\\udce9.png" in by_where(listing)
    assert all(image.path.exists() for image in listing.images)


def test_an_empty_class_is_noted(tmp_path: Path) -> None:
    grow(tmp_path, ["a/1.png", "b/1.png", "c/readme.txt"])
    assert "folders without images: c" in listed(tmp_path).notes


# -- what is refused


@pytest.mark.parametrize(
    ("files", "fragments"),
    [
        ([], ["no images", "valid: .bmp, .dcm"]),
        (["a/x.txt", "b.md"], ["no images (2 other files, the first 'a/x.txt')"]),
        (["1.png", "2.png"], ["2 images but no class folders"]),
        (["a/1.png"], ["one class only, 'a'; at least two are needed"]),
        (["A/1.png", "a/2.png"], ["one class only, 'A'"]),
        (["set/a/1.png", "set/b/1.png"], ["one class only, 'set'", "did you mean '", "/set'?"]),
        (["x/set/a/1.png", "x/set/b/1.png"], ["one class only, 'x'", "did you mean '", "/x/set'?"]),
        (["set/train/a/1.png", "set/test/a/1.png"], ["did you mean '", "/set'?"]),
        (["a/1.png", "b/1.png", "x.png", "y.png"], ["2 images lie beside the folders", "the first 'x.png'"]),
        (["train/a/1.png", "train/b/1.png", "train/x.png"], ["an image lies beside", "the first 'train/x.png'"]),
        (["train/a/1.png", "train/b/1.png", "test/n.txt"], ["the test split's folder 'test' holds no classes"]),
        (["train/a/1.png", "train/b/1.png", "more/b/1.png"], ["'more' lies where split folders do", "valid: train"]),
        (["train/a/1.png", "train/b/1.png", "vlaid/b/1.png"], ["'vlaid'", "did you mean 'valid'?"]),
        (["a/train/1.png", "b/test/1.png"], ["'train' lies below class 'a'; split folders must stand above"]),
        (["train/fold1/a/1.png", "train/fold2/a/1.png"], ["fold folders lie below 'train'"]),
        (["val/a/1.png", "test/b/1.png"], ["no folder for train, only test, val"]),
        (["Train/a/1.png", "training/b/1.png"], ["two folders are the train split: 'Train' and 'training'"]),
        (
            ["train/ab/1.png", "train/cd/1.png", "test/abb/1.png"],
            ["class 'abb' of test is not in train (did you mean 'ab'?)", "train has: ab, cd", "test/abb/1.png"],
        ),
    ],
)  # fmt: skip
def test_trees_that_are_refused(tmp_path: Path, files: list[str], fragments: list[str]) -> None:
    grow(tmp_path, files)
    assert refusal(lambda: listed(tmp_path), *fragments).startswith(str(tmp_path))


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    grow(tmp_path, ["file"])
    refusal(lambda: listed(tmp_path / "file"), "is a file, not a folder")
    refusal(lambda: listed("x" * 5000), "no such folder")
    refusal(lambda: listed("a\0b"), "no such folder: a\\x00b")
    refusal(lambda: listed("~nobody-of-this-name/x"), "no such folder: ~nobody")

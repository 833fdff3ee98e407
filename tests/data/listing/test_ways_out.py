"""Refusals and notes whose way out is followed literally: it leads to what a person meant, whatever names hold."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from medray.data.listing.listing import Listing
from tests.data.listing.folders.folder_trees import check, grow, labels, list_text, listed, refusal

NASTY = "R&D 50%, a"  # letters with a meaning in a source


def ways(message: str) -> list[str]:
    """The options that a line names, as they stand there."""
    return re.findall(r"`(\?[^`]+)`", message)


def followed(read: Callable[[str], Listing], *fragments: str) -> list[Listing]:
    """What is listed by each of the ways that the refusal names."""
    return [read(way) for way in ways(refusal(lambda: read(""), *fragments))]


def table(root: Path, text: str, files: list[str]) -> Callable[[str], Listing]:
    grow(root, {**{name: name for name in files}, "t.csv": text})
    return lambda options: check(list_text(f"csv:{root}/t.csv{options}"))


@pytest.mark.parametrize("name", ["cell_images", NASTY])
@pytest.mark.parametrize("above", ["", "train/"])
def test_a_folder_that_holds_the_classes_again_is_no_class(tmp_path: Path, name: str, above: str) -> None:
    """As archives hold it that were packed twice: yes, no, and brain/yes, brain/no."""
    grow(
        tmp_path, [f"{above}{part}{c}/{n}.png" for part in ("", f"{name}/") for c in ("yes", "no") for n in (1, 2)]
    )
    without, kept = followed(
        lambda way: listed(f"{tmp_path}{way}"), "it holds folders of the classes beside it, no, yes"
    )
    assert {*labels(without).values()} == {"yes", "no"}
    assert len(without) == 4
    assert {*labels(kept).values()} == {"yes", "no", name}


def test_a_test_folder_without_classes_is_left_out(tmp_path: Path) -> None:
    """As a competition has it, whose test labels are secret."""
    grow(tmp_path, [f"train/{c}/{n}.png" for c in "ab" for n in range(3)] + [f"test/{n}.png" for n in range(2)])
    (listing,) = followed(lambda way: listed(f"{tmp_path}{way}"), "2 images lie beside", "'test/0.png'")
    assert len(listing) == 6


@pytest.mark.parametrize(
    "names",
    [("{}_aug", "{}_flip_h"), ("aug_0_{}", "aug_1_{}"), ("{}Rot90", "{}Rot180"), ("{} - Copy", "{}-Kopie")],
)
@pytest.mark.parametrize("stem", ["7", "ISIC_001", "img1"])
def test_augmented_copies_among_their_images_are_noted(tmp_path: Path, names: tuple[str, ...], stem: str) -> None:
    files = [f"{c}/{name.format(stem)}.png" for c in "ab" for name in ("{}", *names)]
    (note,) = [note for note in listed(grow(tmp_path / "x", files)).notes if note.startswith("copies: 4 files")]
    assert {*labels(listed(f"{tmp_path}/x{ways(note)[0]}"))} == {f"a/{stem}.png", f"b/{stem}.png"}
    read = table(tmp_path / "t", "image,label\n" + "".join(f"{name},{name[0]}\n" for name in files), files)
    assert len(read(ways(next(note for note in read("").notes if note.startswith("copies: 4 files")))[0])) == 2


def test_names_of_copies_without_an_original_are_images(tmp_path: Path) -> None:
    files = [f"{c}/{n}.png" for c in ("crop", "weed") for n in ("crop_1", "rot_2", "bright 3", "flip", "contrast")]
    assert not [note for note in listed(grow(tmp_path, files)).notes if "copies" in note]


def test_an_image_beside_the_classes_is_left_out_by_its_name(tmp_path: Path) -> None:
    grow(tmp_path, [*(f"{c}/{n}.png" for c in "ab" for n in range(3)), "sample grid.png"])
    (listing,) = followed(lambda way: listed(f"{tmp_path}{way}"), "an image lies beside", "'sample grid.png'")
    assert len(listing) == 6
    grow(tmp_path, ["0.png"])  # this name is an image's too
    refusal(lambda: listed(tmp_path), "2 images lie beside", "move them elsewhere")


def test_folders_of_splits_without_classes_need_a_table(tmp_path: Path) -> None:
    grow(tmp_path, [f"{split}/{n}.png" for split in ("train", "test") for n in range(3)])
    refusal(lambda: listed(tmp_path), "a table (csv:) names the class of each image")


@pytest.mark.parametrize("column", ["Bild", "id_code", NASTY])
@pytest.mark.parametrize("suffix", ["", ".png"])
def test_the_column_of_images_is_offered_by_its_cells(tmp_path: Path, column: str, suffix: str) -> None:
    rows = "".join(f"n{n}{suffix};{'ab'[n % 2]};{n / 2}\n" for n in range(4))
    read = table(tmp_path, f"{column};label;weight\n{rows}", [f"n{n}.png" for n in range(4)])
    message = refusal(lambda: read(""), "`?image=COLUMN` behind", f"it may be '{column}' (n0{suffix}, n1{suffix}")
    assert "'label' (" not in message


def test_several_columns_of_one_kind_are_options(tmp_path: Path) -> None:
    rows = "".join(f"{n}.png,{'ab'[n % 2]},{'xy'[n % 2]}\n" for n in range(4))
    read = table(tmp_path, f"image,label,class\n{rows}", [f"{n}.png" for n in range(4)])
    first, second = followed(read, "may all be the label")
    assert {*labels(first).values()} == {"a", "b"}
    assert {*labels(second).values()} == {"x", "y"}


@pytest.mark.parametrize("folder", ["left", NASTY])
def test_patterns_of_numbers_and_names_that_fit_twice(tmp_path: Path, folder: str) -> None:
    names = [f"{part}/{n:03d}.png" for part in (folder, "right") for n in range(4)]
    rows = "".join(f"{n:03d}.png,{'ab'[n % 2]}\n" for n in range(4))
    for listing in followed(table(tmp_path / "names", f"image,label\n{rows}", names), "may be any of 2 files"):
        assert len(listing) == 4
    rows = "".join(f"{n},{'ab'[n % 2]}\n" for n in range(1, 4))
    names = [f"{part}_{n:03d}.png" for part in (folder.replace(",", ""), "right") for n in range(4)]
    for listing in followed(table(tmp_path / "numbers", f"image,label\n{rows}", names), "by several patterns"):
        assert len(listing) == 3


def test_images_that_lie_nowhere_near(tmp_path: Path) -> None:
    read = table(tmp_path / "a" / "b" / "c" / "d" / "tables", "image,label\n1.png,a\n2.png,b\n", [])
    refusal(lambda: read(""), "(0 images); `?pattern=../FOLDER/{}` behind the source says where they lie")


@pytest.mark.parametrize("column", ["patient no", NASTY])
def test_a_noted_column_is_taken_as_it_is_written(tmp_path: Path, column: str) -> None:
    rows = "".join(f"{n}.png,{'ab'[n % 2]},Pat{n // 2}\n" for n in range(40))
    read = table(tmp_path, f'image,label,"{column}"\n{rows}', [f"{n}.png" for n in range(40)])
    (note,) = [note for note in read("").notes if note.startswith("unused")]
    assert len({image.patient for image in read(ways(note)[0]).images}) == 20


def test_a_class_called_none_is_kept_by_the_option_of_the_note(tmp_path: Path) -> None:
    rows = "".join(f"{n}.png,{('none', 'mild', 'severe')[n % 3]}\n" for n in range(6))
    read = table(tmp_path, f"image,label\n{rows}", [f"{n}.png" for n in range(6)])
    (note,) = [note for note in read("").notes if "read as blank" in note]
    assert {*labels(read(ways(note)[0])).values()} == {"none", "mild", "severe"}


def test_rows_of_one_image_that_differ_in_what_is_uncertain(tmp_path: Path) -> None:
    read = table(tmp_path, "image,A,B\n1.png,1,0\n1.png,-1,0\n2.png,0,1\n", ["1.png", "2.png"])
    message = refusal(lambda: read("?uncertain=ignore&rows=majority"), "with different uncertain labels (A)")
    assert "[" not in message
    assert len(read(f"{ways(message)[1]}&rows=majority")) == 2

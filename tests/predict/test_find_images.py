"""What `medray predict` is given: files, flat folders and trees without labels, tables as people have them."""

import csv
import io
import os
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medray.errors import DataError
from medray.predict.find_images import FoundImages, find_images
from medray.text import first_names
from tests.data.listing.folders.folder_trees import grow


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((2, 2), np.uint8)).save(folder / name)
    return folder


def table(path: Path, *rows: tuple[str, ...], delimiter: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


def names(found: FoundImages) -> list[str]:
    return [file.path.name for file in found.files]


def refusal(*paths: object) -> str:
    with pytest.raises(DataError) as caught:
        find_images([str(path) for path in paths])
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_flat_folders_and_trees_need_no_labels(tmp_path: Path) -> None:
    make(tmp_path, "b.png", "a.PNG", "ward/x/1.png", "ward/1.png")
    (tmp_path / "readme.txt").write_text("x")
    found = find_images([str(tmp_path)])
    assert [str(file.path.relative_to(tmp_path)) for file in found.files] == [
        "a.PNG", "b.png", "ward/1.png", "ward/x/1.png",
    ]  # fmt: skip
    assert found.notes == [f"{tmp_path}: 1 other file left out: readme.txt"]
    assert names(find_images([f"folder:{tmp_path}?exclude=x"])) == ["a.PNG", "b.png", "1.png"]
    assert names(find_images([str(tmp_path / "b.png"), str(tmp_path / "ward")])) == ["b.png", "1.png", "1.png"]


def test_images_in_folders_of_masks_are_told_of(tmp_path: Path) -> None:
    make(tmp_path, "1.png", "Masks/1.png", "a/mask/2.png")
    (note,) = find_images([str(tmp_path)]).notes
    assert "2 images in folders of masks" in note
    source = note.partition("'")[2].partition("'")[0]
    assert names(find_images([source])) == ["1.png"]


@pytest.mark.parametrize("heading", ["image", "File Name", "img_path", "filename", "photo", "x"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_names_its_files_in_a_column_of_any_name(heading: str, delimiter: str, tmp_path: Path) -> None:
    make(tmp_path, "films/f1.png", "films/f2.png")
    rows = [("age", heading, "label"), ("41", "f2.png", "a"), ("2", "films/f1.png", "")]
    path = table(tmp_path / "test.csv", *rows, delimiter=delimiter)
    found = find_images([str(path)])
    assert names(found) == ["f2.png", "f1.png"]  # in the table's order
    assert [file.cell for file in found.files] == ["f2.png", "films/f1.png"]
    assert f"image: column '{heading}'" in found.notes[0]
    assert found.notes[1] == f"{path}: columns that are not read: age, label"
    assert names(find_images([f"csv:{path}?image={heading.upper()}"])) == ["f2.png", "f1.png"]


def test_ids_without_suffix_and_numbers_in_a_pattern(tmp_path: Path) -> None:
    make(tmp_path, "ISIC_1.png", "ISIC_2.png")
    found = find_images([str(table(tmp_path / "t.csv", ("image_id", "x"), ("ISIC_2", "1"), ("ISIC_1", "2")))])
    assert [file.fields()["id"] for file in found.files] == ["ISIC_2", "ISIC_1"]
    make(tmp_path / "n", "img_001.png", "img_010.png")
    found = find_images([str(table(tmp_path / "n/t.csv", ("id",), ("10",), ("1",)))])
    assert [(file.path.name, file.cell) for file in found.files] == [("img_010.png", "10"), ("img_001.png", "1")]
    assert any("'img_{:03d}.png'" in note for note in found.notes)


def test_a_list_of_files_without_a_heading(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "b.png", "image.png")
    (tmp_path / "list.txt").write_text("a.png\nb.png\n")
    found = find_images([str(tmp_path / "list.txt")])
    assert names(found) == ["a.png", "b.png"]
    assert "no headings" in found.notes[0]
    assert names(find_images([str(table(tmp_path / "t.csv", ("a.png", "0"), ("b.png", "1")))])) == [
        "a.png",
        "b.png",
    ]
    assert names(find_images([str(table(tmp_path / "t.csv", ("image",), ("b.png",)))])) == ["b.png"]  # a heading


def test_rows_without_a_file_are_named(tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    found = find_images(
        [str(table(tmp_path / "t.csv", ("image", "x"), ("gone.png", ""), ("", "1"), ("a.png", "")))]
    )
    assert names(found) == ["a.png"]
    path = tmp_path / "t.csv"
    assert found.missing == [f"{path}: line 2: no file 'gone.png'", f"{path}: line 3: names no file"]


def test_slips_are_one_line_with_the_way_out(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "b.png")
    path = table(tmp_path / "t.csv", ("age", "sex"), ("1", "f"))
    assert f"no column names images; give it as 'csv:{path}?image=COLUMN'; its columns: age, sex" in refusal(path)
    path = table(tmp_path / "t.csv", ("left", "right"), ("a.png", "b.png"))
    assert "columns 'left' and 'right' may all name the images; give it as 'csv:" in refusal(path)
    assert "a spreadsheet is not read" in refusal(_touch(tmp_path / "t.xlsx"))
    assert "holds arrays; image files are predicted" in refusal(_touch(tmp_path / "t.npz"))
    (tmp_path / "empty").mkdir()
    assert refusal(tmp_path / "empty").endswith("holds no images")
    _touch(tmp_path / "empty" / "notes.doc")
    assert refusal(tmp_path / "empty").endswith("holds no images, only notes.doc")
    assert "no such file or folder" in refusal(tmp_path / "c.csv")
    assert "unknown option 'imag' (did you mean 'image'?)" in refusal(f"csv:{path}?imag=a")


def _touch(path: Path) -> Path:
    path.touch()
    return path


TEXT = st.text(st.characters(categories=["L", "N"], max_codepoint=0x17F), min_size=1, max_size=6)


@given(
    st.lists(TEXT.map(lambda text: f"f{text}"), min_size=1, max_size=6, unique_by=str.casefold),
    st.lists(TEXT.map(lambda text: f"col {text}"), max_size=3, unique_by=str.casefold),
    st.integers(0, 3),
    st.sampled_from(["{}.png", "{}", "sub/{}.png", "./sub/{}.png", "sub\\{}.png"]),
    st.sampled_from(["utf-8", "utf-8-sig"]),
)
@settings(max_examples=60, deadline=None)
def test_a_table_of_any_names_and_columns_gives_its_files_in_order(
    stems: list[str], others: list[str], at: int, form: str, encoding: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = make(Path(folder), *(f"sub/{stem}.png" for stem in stems))
        columns = [*others[:at], "filename", *others[at:]]
        rows = [[form.format(stem) if column == "filename" else "7" for column in columns] for stem in stems[::-1]]
        text = io.StringIO()
        csv.writer(text).writerows([columns, *rows])
        (root / "t.csv").write_bytes(text.getvalue().encode(encoding))
        found = find_images([str(root / "t.csv")])
        assert [os.fspath(file.path.relative_to(root)) for file in found.files] == [
            f"sub/{stem}.png" for stem in stems[::-1]
        ]
        assert not found.missing
        if others:
            listed = first_names([*others[:at], *others[at:]], 6)
            assert any(note.endswith(f"columns that are not read: {listed}") for note in found.notes)


def test_masks_beside_their_images_are_told_of(tmp_path: Path) -> None:
    grow(tmp_path, ["a/1.png", "a/1_mask.png", "2.png", "2_seg.png"])
    found = find_images([str(tmp_path)])
    assert len(found.files) == 4
    (note,) = (note for note in found.notes if "predicted like the others" in note)
    assert "2 images made from others (masks, labels, overlays), as '2_seg.png' from '2.png'" in note
    match = re.search("'(folder:[^']+)' leaves them out", note)
    assert match
    assert [file.path.name for file in find_images([match[1]]).files] == ["2.png", "1.png"]


def test_a_tables_files_that_are_left_out_are_not_predicted(tmp_path: Path) -> None:
    grow(tmp_path, ["a/1.png", "a/1_mask.png", "masks/1.png"])
    grow(tmp_path, {"t.csv": "file,label\n1,x\n1_mask,x\n"})
    found = find_images([f"csv:{tmp_path}/t.csv?exclude=masks,*_mask.png"])
    assert [file.path.name for file in found.files] == ["1.png"]
    assert not found.missing

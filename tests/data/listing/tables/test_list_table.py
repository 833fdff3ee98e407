"""Tables: columns named and guessed, cells to files, labels, splits, folds; and what is refused."""

import csv
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.data.labels import choose_labels
from medray.data.listing.folder_names import SPLIT_NAMES
from medray.data.listing.listing import BLANK, SEVERAL, Listing
from medray.data.listing.tables.list_table import list_table
from medray.data.source import Source
from medray.errors import DataError
from medray.space.preparation import Labels
from tests.data.decoding.file_samples import dicom
from tests.data.listing.folders.folder_trees import check, grow, labels, list_text, listed, refusal

THREE = ["images/1.png", "images/2.png", "images/3.png"]


def table(root: Path, text: str | bytes, images: Sequence[str] = THREE, name: str = "labels.csv") -> Path:
    """A table, and images beside it; lines may be indented."""
    content = "\n".join(line.strip() for line in text.strip().splitlines()) if isinstance(text, str) else text
    grow(root, {**{image: image for image in images}, name: content})
    return root / name


def read(root: Path, text: str | bytes, images: Sequence[str] = THREE, **columns: str) -> Listing:
    return check(list_table(Source("csv", str(table(root, text, images)), columns)))


# -- what holds for all tables


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 30), st.lists(st.sampled_from(["a", "b", "c d"]), max_size=3), cells), max_size=20),
    delimiter=st.sampled_from(",;\t"), mark=st.booleans(), end=st.sampled_from(["\n", "\r\n"]),
    split=st.sampled_from(sorted(SPLIT_NAMES)), parted=st.sampled_from([",", " | ", "; "]),
)  # fmt: skip
def test_every_row_is_an_image_or_missing(
    rows: list[tuple[int, list[str], str]], delimiter: str, mark: bool, end: str, split: str, parted: str
) -> None:
    rows = list({number: (number, *rest) for number, *rest in rows}.values())
    rows += [(100, ["a"], ""), (101, ["b"], ""), (102, ["c d"], "")]
    there = [number for number, *_ in rows if number % 3 or number >= 100]
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter, lineterminator=end)
    writer.writerow(["Image", "Note", "Label", "Split"])
    for number, names, note in rows:
        writer.writerow([f"{number:03d}", f"x{note}", parted.join(names), split.upper()])
    with tempfile.TemporaryDirectory() as folder:
        text = stream.getvalue().encode("utf-8-sig" if mark else "utf-8")
        path = table(Path(folder), text, [f"img/{number:03d}.jpg" for number in there])
        listing = check(list_table(Source("csv", str(path))))
    assert [int(image.path.stem) for image in listing.images] == there
    assert len(listing) + len(listing.missing) == len(rows) == sum(listing.rows.values())
    assert [image.labels for image in listing.images] == [
        tuple(names) for number, names, _ in rows if number in there
    ]
    assert {image.split for image in listing.images} == {SPLIT_NAMES[split]}
    assert listing.rows.get(BLANK, 0) == sum(not names for _, names, _ in rows)
    assert listing.rows.get(SEVERAL, 0) == sum(len(names) > 1 for _, names, _ in rows)
    lines = [int(image.where.removeprefix("line ")) for image in listing.images]
    assert lines == sorted(lines)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=2, max_size=15).filter(lambda folds: len(set(folds)) > 1), st.data())
def test_a_fold_column_holds_each_image_out_once_but_those_of_test(folds: list[int], data: st.DataObject) -> None:
    tested = data.draw(st.lists(st.booleans(), min_size=len(folds), max_size=len(folds)))
    tested = [is_test and index > 1 for index, is_test in enumerate(tested)]
    folds[:2] = [0, 1]
    lines = [f"{n},{'ab'[n % 2]},{'test' if is_test else 'train'},{fold}" for n, (is_test, fold) in enumerate(zip(tested, folds, strict=True))]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        images = [f"{n}.png" for n in range(len(folds))]
        listing = read(Path(folder), "\n".join(["image,label,split,fold", *lines]), images)
    assert listing.folds is not None
    pool = np.flatnonzero(~np.array(tested))
    assert np.sort(np.concatenate([held_out for _, held_out in listing.folds])).tolist() == pool.tolist()
    for train, held_out in listing.folds:
        assert sorted([*train, *held_out]) == pool.tolist()
        assert len({folds[i] for i in held_out}) == 1


texts = st.lists(
    st.sampled_from(["image", "label", "split", "fold", "1", "2.png", "a", "b", "0", "train", ",", ";", "\t", "\n", "\n", '"', "\r", "é", "{", "/", "..", " "]),
    max_size=40,
).map("".join)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["", "image,label\n1,a\n2,b\n", "image,label,split,fold\n1,a,train,0\n2,b,val,1\n"]), texts)
def test_any_text_is_listed_or_refused_in_one_line(before: str, text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = table(Path(folder), (before + text).encode(), ["1.png", "2.png"])
        try:
            listing = check(list_text(f"csv:{path}"))
        except DataError as error:
            message = str(error)
        else:
            message = ""
            assert len(listing) + len(listing.missing) <= sum(listing.rows.values())
    assert "\n" not in message


# -- columns


def test_columns_are_guessed_by_their_names_and_noted(tmp_path: Path) -> None:
    text = """
        Patient ID,File Name,dx,Set,fold
        P1,1.png,a,train,0
        P2,2.png,b,Training,1
        P2,3.png,b,TEST,
    """
    listing = read(tmp_path, text)
    assert labels(listing) == {"line 2": "a", "line 3": "b", "line 4": "b"}
    assert [image.split for image in listing.images] == ["train", "train", "test"]
    assert [image.patient for image in listing.images] == ["P1", "P2", "P2"]
    assert listing.notes == (
        "image: column 'File Name', by its name", "label: column 'dx', by its name", "split: column 'Set', by its name",
        "fold: column 'fold', by its name", "patient: column 'Patient ID', by its name",
    )  # fmt: skip


def test_columns_are_named(tmp_path: Path) -> None:
    path = table(tmp_path, "A,label,B,sex,Scanner\n1.png,x,a,m,GE\n2.png,x,b,f,\n")
    source = f"csv:{path}?image=A&label=b&subgroups=sex,%53canner"
    listing = check(list_text(source))
    assert listing.source == source.replace("%53", "S")
    assert labels(listing) == {"line 2": "a", "line 3": "b"}
    assert [image.subgroups for image in listing.images] == [
        {"sex": "m", "Scanner": "GE"}, {"sex": "f", "Scanner": ""}
    ]  # fmt: skip


def test_subgroups_are_not_guessed_and_a_guess_can_be_declined(tmp_path: Path) -> None:
    listing = read(tmp_path, "image,label,split,sex\n1.png,a,left,m\n2.png,b,right,f\n", split="")
    assert all(not image.subgroups and image.split is None for image in listing.images)


def test_an_id_is_the_image_only_where_nothing_else_is(tmp_path: Path) -> None:
    assert len(read(tmp_path, "id,path,label\n7,1.png,a\n8,2.png,b\n")) == 2
    assert len(read(tmp_path, "id,label\n1,a\n2,b\n")) == 2


def test_a_column_for_each_class(tmp_path: Path) -> None:
    text = """
        image,MEL,NV,BCC
        1,1.0,0.0,0.0
        2,0,1,0
        3,1,0,1
    """
    listing = read(tmp_path, text)
    assert labels(listing) == {"line 2": "MEL", "line 3": "NV", "line 4": "MEL, BCC"}
    assert "label: the column with a 1, of MEL, NV, BCC" in listing.notes
    assert listing.rows == {"MEL": 1, "NV": 1, SEVERAL: 1}


# As published: of 2,000 rows 1,372 have a 0 in both columns, which means nevus.
ISIC_2017 = """
    image_id,melanoma,seborrheic_keratosis
    ISIC_0000000,0.0,0.0
    ISIC_0000002,1.0,0.0
    ISIC_0000008,0.0,0.0
    ISIC_0000043,0.0,1.0
"""
LESIONS = [f"ISIC-2017_Training_Data/ISIC_00000{n}{kind}" for n in ("00", "02", "08", "43")
           for kind in (".jpg", "_superpixels.png")]  # fmt: skip


def test_rows_of_none_of_the_classes_have_a_label_of_their_own(tmp_path: Path) -> None:
    path = table(tmp_path, ISIC_2017, LESIONS, "ISIC-2017_Training_Part3_GroundTruth.csv")
    listing = check(list_text(f"csv:{path}?none=nevus"))
    assert [image.path.name for image in listing.images][:2] == ["ISIC_0000000.jpg", "ISIC_0000002.jpg"]
    assert list(labels(listing).values()) == ["nevus", "melanoma", "nevus", "seborrheic_keratosis"]
    assert listing.rows == {"nevus": 2, "melanoma": 1, "seborrheic_keratosis": 1}
    assert listing.notes[1:3] == (
        "label: the column with a 1, of melanoma, seborrheic_keratosis",
        "label of rows with a 1 in none of these: nevus (rows: 2)",
    )
    assert choose_labels(listing, Labels()).class_names == ("melanoma", "nevus", "seborrheic_keratosis")


def test_without_such_a_label_they_are_blank_and_the_refusal_names_it(tmp_path: Path) -> None:
    listing = read(tmp_path, ISIC_2017, LESIONS)
    assert listing.rows[BLANK] == 2
    line = "2 blank labels (first: line 2); `labels: {blank: drop}` leaves such images out, `?none=NAME` behind"
    refusal(lambda: choose_labels(listing, Labels()), line)
    plain = read(tmp_path / "plain", "image,label\n1.png,a\n2.png,\n3.png,b\n")
    assert "?none" not in refusal(lambda: choose_labels(plain, Labels()), "leaves such images out")


def test_one_column_is_enough_where_the_others_have_a_label(tmp_path: Path) -> None:
    listing = read(tmp_path, "image,melanoma\n1.png,1\n2.png,0\n3.png,0\n", none=" other\n")
    assert list(labels(listing).values()) == ["melanoma", "other", "other"]


@pytest.mark.parametrize(
    ("text", "none", "line"),
    [
        (
            "image,label\n1.png,a\n2.png,",
            "x",
            "option 'none' is for tables with a column for each class, not 'label'",
        ),
        (
            "image,a,b\n1.png,0,1\n2.png,1,0",
            "A",
            "'A' has a column of its own; name another label than these: a, b",
        ),
        ("image,a,b\n1.png,0,1\n2.png,1,0", " ", "option 'none' needs the label of rows without a class"),
        ("image,a,b\n1.png,0,1\n2.png,q,0", "c", "'a' (0, q) may be the label"),
    ],
)
def test_labels_of_none_that_are_refused(tmp_path: Path, text: str, none: str, line: str) -> None:
    refusal(lambda: read(tmp_path, text, none=none), line)


def test_row_numbers_of_pandas_are_no_class(tmp_path: Path) -> None:
    listing = read(tmp_path, ",image,a,b\n0,1,1,0\n1,2,0,1\n")
    assert labels(listing) == {"line 2": "a", "line 3": "b"}


@pytest.mark.parametrize(
    ("header", "fragments"),
    [
        (
            "x,y,z",
            [
                "no column for the image; `?image=COLUMN` behind the source names it; it may be 'x' (1.png, 2.png); its columns: x, y, z"
            ],
        ),
        (
            "image,y,z",
            ["no column for the label; `?label=COLUMN` behind the source names it; its columns: image, y, z"],
        ),
        (
            "image,file,label",
            ["columns 'image' and 'file' may all be the image; `?image=image` or `?image=file` behind"],
        ),
        ("image,label,class", ["columns 'label' and 'class' may all be the label"]),
        ("image,image,label", ["2 columns are called 'image'"]),
    ],
)
def test_columns_that_are_refused(tmp_path: Path, header: str, fragments: list[str]) -> None:
    refusal(lambda: read(tmp_path, f"{header}\n1.png,a,b\n2.png,b,b\n"), *fragments)


def test_names_of_columns_that_are_not_there_are_refused(tmp_path: Path) -> None:
    text = "image,Diagnosis\n1.png,a\n2.png,b\n"
    refusal(lambda: read(tmp_path, text, label="diagnoses"), "no column 'diagnoses' (did you mean 'Diagnosis'?)",
            "its columns: image, Diagnosis")  # fmt: skip
    refusal(lambda: read(tmp_path, text, labels="x"), "unknown option 'labels' (did you mean 'label'?)")


# -- cells to files


@pytest.mark.parametrize(
    ("cell", "file"),
    [
        ("images/1.png", "images/1.png"),
        ("./images/1.png", "images/1.png"),
        ("images\\1.png", "images/1.png"),
        ("1.png", "images/1.png"),
        ("1.PNG", "images/1.png"),
        ("1", "images/1.png"),
        ("images/1", "images/1.png"),
        ("../set/images/1.png", "images/1.png"),
        ("a b.c", "deep/er/a b.c.JPG"),
        ("er/a b.c.jpg", "deep/er/a b.c.JPG"),
        ("été", "images/e\u0301te\u0301.png"),
        ("odd.name", "odd.name"),
    ],
)
def test_a_cell_names_a_file(tmp_path: Path, cell: str, file: str) -> None:
    listing = read(tmp_path / "set", f"image,label\n{cell},a\nother,b\n", [file, "other.png", "z.png"])
    assert listing.images[0].path.read_text() == file
    assert "images without a row, left out: 1, the first 'z.png'" in listing.notes


def test_a_file_of_another_folder_is_another(tmp_path: Path) -> None:
    listing = read(tmp_path, "image,label\ntrain/1.png,a\nval/1.png,b\n", ["val/1.png"])
    assert listing.missing == ("line 2: train/1.png",)
    assert labels(listing) == {"line 3": "b"}


def test_rows_without_a_file_are_missing(tmp_path: Path) -> None:
    text = """
        image,label
        1.png,a

        9.png,b
        ,b
        2.png,b
    """
    listing = read(tmp_path, text)
    assert listing.missing == ("line 4: 9.png", "line 5: (blank)")
    assert listing.rows == {"a": 1, "b": 3}


def test_a_cell_that_may_be_several_files_is_refused(tmp_path: Path) -> None:
    text = "image,label\n1,a\n2,b\n"
    refusal(lambda: read(tmp_path, text, ["x/1.png", "y/1.png", "2.png"]),
            "column 'image': line 2: '1' may be any of 2 files, 'x/1.png' or 'y/1.png'")  # fmt: skip


def test_case_decides_between_two_files(tmp_path: Path) -> None:
    listing = read(tmp_path, "image,label\nA.png,a\nB.png,b\n", ["x/A.png", "y/a.png", "x/B.png"])
    assert listing.images[0].path == tmp_path / "x" / "A.png"


# -- patterns

BLOOD = [f"images/BloodImage_{number:05d}.jpg" for number in (0, 7, 42, 100)]


def test_a_pattern_is_guessed_for_numbers_and_noted(tmp_path: Path) -> None:
    listing = read(tmp_path, "Image,Category\n0,a\n42,b\n411,b\n", BLOOD)
    assert [image.path.stem for image in listing.images] == ["BloodImage_00000", "BloodImage_00042"]
    assert listing.missing == ("line 4: 411",)
    assert "files: 'BloodImage_{:05d}.jpg' of column 'Image', by their names" in listing.notes


def test_numbers_without_zeros_before_them(tmp_path: Path) -> None:
    listing = read(tmp_path, "image,label\n5,a\n12,b\n", ["scan5.png", "scan12.png"])
    assert len(listing) == 2
    assert "files: 'scan{:d}.png' of column 'image', by their names" in listing.notes


def test_a_pattern_is_named(tmp_path: Path) -> None:
    path = table(tmp_path, "Image,Category\n7,a\n42,b\n", [*BLOOD, "masks/BloodImage_00042.png"])
    listing = check(list_text(f"csv:{path}?pattern=images/BloodImage_{{:05d}}.jpg"))
    assert [image.path.name for image in listing.images] == ["BloodImage_00007.jpg", "BloodImage_00042.jpg"]
    listing = read(
        tmp_path / "words", "image,label\nx,a\ny,b\n", ["scan x.png", "scan y.png"], pattern="scan {}.png"
    )
    assert len(listing) == 2


def test_numbers_that_fit_several_patterns_are_refused(tmp_path: Path) -> None:
    text = "image,label\n1,a\n2,b\n"
    refusal(lambda: read(tmp_path, text, ["left_01.png", "right_01.png"]),
            "several patterns; `?pattern=left_{:02d}.png` or `?pattern=right_{:02d}.png` behind the source")  # fmt: skip


@pytest.mark.parametrize("pattern", ["x", "{}{}", "{0.__class__}", "{:>5}", "{:05f}", "{", "{:0999d}"])
def test_patterns_that_are_refused(tmp_path: Path, pattern: str) -> None:
    refusal(
        lambda: read(tmp_path, "image,label\n1,a\n2,b\n", pattern=pattern), f"pattern '{pattern}' needs one {{}}"
    )


def test_a_cell_that_is_no_number_for_a_pattern_is_refused(tmp_path: Path) -> None:
    text = "image,label\n1,a\nx2,b\n"
    refusal(lambda: read(tmp_path, text, pattern="{:d}.png"), "line 3: 'x2' is no whole number")


# -- labels


def test_labels_are_blank_or_several(tmp_path: Path) -> None:
    text = 'image,label\n1.png,"A, B"\n2.png,"A,B,C"\n3.png,  \n4.png,A\n5.png,B\n6.png,C'
    listing = read(tmp_path, text, [*THREE, "4.png"])
    assert [image.labels for image in listing.images] == [("A", "B"), ("A", "B", "C"), (), ("A",)]
    assert listing.rows == {SEVERAL: 2, BLANK: 1, "A": 1, "B": 1, "C": 1}


def test_a_label_named_twice_is_kept_and_noted(tmp_path: Path) -> None:
    listing = read(tmp_path, 'image,label\n1.png,"A,A"\n2.png,B\n')
    assert listing.images[0].labels == ("A", "A")
    assert "rows that name one label more than once: 1, the first line 2" in listing.notes


def test_labels_that_differ_in_case_are_one(tmp_path: Path) -> None:
    listing = read(tmp_path, "image,label\n1.png,Normal\n2.png,normal\n3.png,b\n")
    assert [image.labels for image in listing.images] == [("Normal",), ("Normal",), ("b",)]
    assert "classes 'Normal' and 'normal' are one, 'Normal'" in listing.notes


def test_one_class_is_refused(tmp_path: Path) -> None:
    refusal(lambda: read(tmp_path, "image,label\n1.png,a\n2.png,a\n"), "names one class only, 'a'")
    refusal(lambda: read(tmp_path, "image,label\n1.png,\n2.png,\n"), "names no classes")


# -- rows of one file


def test_a_row_that_is_repeated_is_listed_once(tmp_path: Path) -> None:
    listing = read(tmp_path, "image,label\n1.png,a\nimages/1.png,a\n2.png,b\n1,a\n")
    assert labels(listing) == {"line 2": "a", "line 4": "b"}
    assert "rows of an image that a row before has named: 2, the first line 3" in listing.notes
    assert listing.rows == {"a": 3, "b": 1}


@pytest.mark.parametrize(
    ("first", "second", "difference"),
    [
        ("a,train,p", "b,train,p", "with different labels: 'a' and 'b'"),
        ("a,train,p", ",train,p", "with different labels: 'a' and (blank)"),
        ("a,train,p", "a,test,p", "with different split: 'train' and 'test'"),
        ("a,train,p", "a,train,q", "with different patient: 'p' and 'q'"),
    ],
)
def test_rows_that_quarrel_are_refused(tmp_path: Path, first: str, second: str, difference: str) -> None:
    text = f"image,label,split,patient\n1.png,{first}\n2.png,b,train,p\n1.png,{second}\n"
    refusal(lambda: read(tmp_path, text), "lines 2 and 4 name one image, '1.png'", difference)


# -- splits and folds


def test_other_words_for_a_split_are_refused(tmp_path: Path) -> None:
    text = "image,label,split\n1.png,a,train\n2.png,b,tset\n"
    refusal(lambda: read(tmp_path, text), "line 3: column 'split': unknown split 'tset' (did you mean 'test'?)",
            "valid: train, training, val, valid, validation, dev, test, testing, holdout, calibration",
            "`?split=` behind the source leaves the column out")  # fmt: skip


@pytest.mark.parametrize(
    ("folds", "fragment"),
    [
        (("0", "x"), "line 3: column 'fold': 'x' is no fold; valid: whole numbers of 0 or more"),
        (("0", "-1"), "line 3: column 'fold': '-1' is no fold"),
        (("0", "1.5"), "line 3: column 'fold': '1.5' is no fold"),
        (("0", ""), "line 3: column 'fold' is blank, and it is not of test"),
        (("0", "0"), "column 'fold' names 1 fold; at least two are needed"),
    ],
)
def test_folds_that_are_refused(tmp_path: Path, folds: tuple[str, str], fragment: str) -> None:
    refusal(lambda: read(tmp_path, f"image,label,fold\n1.png,a,{folds[0]}\n2.png,b,{folds[1]}\n"), fragment)


def test_folds_may_be_written_with_a_point(tmp_path: Path) -> None:
    listing = read(tmp_path, "image,label,fold\n1.png,a,0.0\n2.png,b,1.0\n")
    assert listing.folds is not None
    assert len(listing.folds) == 2


# -- DICOM


def test_dicom_files_of_a_table_tell_their_patients(tmp_path: Path) -> None:
    pixels = np.zeros((4, 4), dtype=np.uint8)
    grow(tmp_path, {f"{n}.dcm": dicom(pixels, PatientID=f"Doe {n}") for n in range(2)})
    listing = read(tmp_path, "image,label\n0,a\n1,b\n", [])
    assert len({image.patient for image in listing.images}) == 2
    assert "Doe" not in repr(listing)


# -- the text


@pytest.mark.parametrize(
    ("content", "fragments"),
    [
        (b"", ["is empty"]),
        (b"\n \n", ["is empty"]),
        (b"image,label\n", ["has no rows, only the columns: image, label"]),
        ("image,label\n1.png,bénigne\n".encode("latin-1"), ["line 2 is not UTF-8 (Latin-1, perhaps)"]),
        ("image,label\n".encode("utf-16")[:-1], ["is not whole UTF-16 text; save the table in UTF-8"]),
        (b"image,label\n1.png,a\0\n", ["NUL"]),
        (b"image,label\n1.png\n", ["line 2 has 1 cells for 2 columns"]),
        (b"image,label\n1.png,a,b\n", ["line 2 has 3 cells for 2 columns"]),
        (b'image,label\n1.png,"a\n2.png,b\n', ["line 2 can't be read as a row"]),
        (b"image,label\n7.png,a\n8.png,b\n", ["no image of column 'image' is there, the first '7.png'", "3 images"]),
    ],
)  # fmt: skip
def test_texts_that_are_refused(tmp_path: Path, content: bytes, fragments: list[str]) -> None:
    path = table(tmp_path, content)
    assert refusal(lambda: listed(path, "csv"), *fragments).startswith(str(path))


def test_files_that_are_no_tables_are_refused(tmp_path: Path) -> None:
    grow(tmp_path, {"x.xlsx": b"PK\3\4"})
    refusal(lambda: listed(tmp_path / "x.xlsx", "csv"), "a spreadsheet is not read; save it as CSV in UTF-8")
    refusal(lambda: listed(tmp_path, "csv"), "is a folder, not a table")


def test_tabs_and_blank_cells_at_the_end(tmp_path: Path) -> None:
    assert (
        len(listed(table(tmp_path, b"image\tlabel\r\n1.png\ta, b\t\t\r\n2.png\tb\r\n", name="x.tsv"), "csv")) == 2
    )


def test_other_files_are_told_but_not_the_table(tmp_path: Path) -> None:
    grow(tmp_path, ["readme.md"])
    assert read(tmp_path, "image,label\n1.png,a\n2.png,b\n").ignored == ("readme.md",)

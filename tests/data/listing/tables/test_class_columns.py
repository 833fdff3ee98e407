"""A column for each class in any spelling, beside other columns; and where it is doubtful which are classes."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.data.labels import choose_labels
from medray.data.listing.listing import BLANK, SEVERAL
from medray.data.source import parse_source
from medray.errors import DataError
from medray.init.naming import complete_source
from medray.space.preparation import Labels
from tests.data.listing.folders.folder_trees import refusal
from tests.data.listing.tables.label_tables import labels_of, read_rows

CLASSES = ("MEL", "NV", "BCC")
ONES = [tuple(int(row % 3 == column) for column in range(3)) for row in range(12)]
ORDER = [(CLASSES[row % 3],) for row in range(12)]
SPELLINGS = [("1", "0"), ("1.0", "0.0"), ("True", "False"), ("TRUE", "FALSE"), ("yes", "no"), ("Y", "N"), ("t", "f"),
             ("x", ""), ("1.0", ""), ("1", "nan"), ("positive", "negative"), ("pos", "neg"), ("+", "-"),
             ("present", "absent")]  # fmt: skip


@pytest.mark.parametrize(("yes", "no"), SPELLINGS)
def test_yes_and_no_in_any_spelling(tmp_path: Path, yes: str, no: str) -> None:
    listing = read_rows(tmp_path, CLASSES, [[yes if one else no for one in row] for row in ONES])
    assert labels_of(listing) == ORDER
    assert "label: the column with a 1, of MEL, NV, BCC" in listing.notes
    blank = "blank cells of these columns are read as no: 24"
    assert (blank in listing.notes) == (no in ("", "nan"))


def test_columns_that_cannot_be_labels_may_stand_beside_them(tmp_path: Path) -> None:
    others = ("", "Age", "Patient Sex", "View Position", "SopUID", "score", "remark")
    rows = [(i, 40 + i % 5, "MF"[i % 2], "AP", f"1.2.{i}", f"{i}.5", "none") + ONES[i] for i in range(12)]
    listing = read_rows(tmp_path, (*others, *CLASSES), rows)
    assert labels_of(listing) == ORDER
    assert labels_of(read_rows(tmp_path, (*others, *CLASSES), rows, "?subgroups=age,score")) == ORDER


@pytest.mark.parametrize(
    ("column", "cells", "doubt"),
    [
        ("grade", [i % 4 for i in range(12)], "'grade' (0, 1, 2, 3) may be the label"),
        ("finding", ["mass", "none", "cyst", "mass"] * 3, "'finding' (mass, none, cyst) may be the label"),
        ("risk", [0.1, 0.1, 1, 0] * 3, "'risk' (0.1, 1, 0) may be the label"),
        ("smoker", [i % 2 for i in range(12)], "'smoker' may be no class, by its name"),
        ("isAugmented", ["yes", "no", "no"] * 4, "'isAugmented' may be no class, by its name"),
        ("in_train", [1, 1, 0] * 4, "'in_train' may be no class, by its name"),
        ("score_weight", [1] * 12, "'score_weight' is 1 in each row"),
        ("hypertension", [i % 2 for i in range(12)], "only MEL, NV, BCC have one 1 in each row"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_another_column_that_may_be_meant_is_named_with_the_way_out(
    tmp_path: Path, column: str, cells: list[object], doubt: str, first: bool
) -> None:
    columns = (column, *CLASSES) if first else (*CLASSES, column)
    rows = [(cell, *row) if first else (*row, cell) for cell, row in zip(cells, ONES, strict=True)]
    line = refusal(lambda: read_rows(tmp_path, columns, rows), "may be a column for each class, but", doubt)
    assert "`?label=MEL,NV,BCC` behind the source reads these as the classes" in line
    assert labels_of(read_rows(tmp_path, columns, rows, "?label=MEL,NV,BCC")) == ORDER


def test_the_label_may_be_one_of_several_columns_and_each_is_named(tmp_path: Path) -> None:
    columns = ("binary", "findings", "A", "B")
    rows = [("normal", "No Finding", 0, 0), ("abnormal", "A|B", 1, 1), ("abnormal", "A", 1, 0)]
    refusal(lambda: read_rows(tmp_path, columns, rows), "'binary' (normal, abnormal) may be the label",
            "'findings' (No Finding, A|B, A) may be the label", "`?label=A,B` behind", "`?label=binary`",
            "`?label=findings` the cells of that column")  # fmt: skip
    words = [row[:2] for row in rows]
    refusal(lambda: read_rows(tmp_path, columns[:2], words), "no column for the label; `?label=COLUMN` behind the source names it; it may be "
            "'binary' (normal, abnormal), 'findings'", "its columns: image, binary, findings")  # fmt: skip


def test_two_sets_of_columns_are_not_mixed(tmp_path: Path) -> None:
    rows = [(i % 2, 1 - i % 2, *ONES[i]) for i in range(12)]
    refusal(lambda: read_rows(tmp_path, ("male", "female", *CLASSES), rows), "'male' may be no class",
            "`?label=MEL,NV,BCC`")  # fmt: skip
    refusal(lambda: read_rows(tmp_path, ("benign", "malignant", *CLASSES), rows), "only MEL, NV, BCC have one 1")


def test_a_column_of_any_class_is_no_class_itself(tmp_path: Path) -> None:
    rows = [(int(any(row)), *row) for row in [*ONES[:8], (0, 0, 0), (1, 1, 0), (0, 0, 0)]]
    columns = ("Disease_Risk", *CLASSES)
    refusal(lambda: read_rows(tmp_path, columns, rows), "'Disease_Risk' is 1 just where another of these is; "
            "`?label=MEL,NV,BCC` behind")  # fmt: skip
    healthy = [(int(not any(row)), *row) for row in ONES[:8]] + [(1, 0, 0, 0), (0, 1, 1, 0)]
    assert labels_of(read_rows(tmp_path, ("No Finding", *CLASSES), healthy))[-2:] == [
        ("No Finding",),
        ("MEL", "NV"),
    ]


def test_columns_whose_names_all_begin_with_is_are_classes(tmp_path: Path) -> None:
    assert labels_of(read_rows(tmp_path, ("is_mel", "is_nv", "is_bcc"), ONES))[0] == ("is_mel",)


def test_a_column_without_a_one_is_no_class_and_noted(tmp_path: Path) -> None:
    listing = read_rows(tmp_path, (*CLASSES, "UNK", "validation_weight"), [(*row, 0, 0) for row in ONES])
    assert labels_of(listing) == ORDER
    assert "columns without a 1 are no classes: UNK, validation_weight" in listing.notes


def test_one_named_column_is_a_label_unless_the_other_rows_have_a_name(tmp_path: Path) -> None:
    assert labels_of(read_rows(tmp_path, CLASSES, ONES, "?label=mel"))[:2] == [("1",), ("0",)]
    listing = read_rows(tmp_path, CLASSES, ONES, "?label=mel&none=other")
    assert labels_of(listing)[:2] == [("MEL",), ("other",)]
    assert "label of rows with a 1 in none of these: other (rows: 8)" in listing.notes


def test_rows_that_are_blank_in_all_columns_have_no_label_where_no_is_written(tmp_path: Path) -> None:
    rows = [*ONES, ("", "", ""), (0, 0, 0), ("", 0, "")]
    listing = read_rows(tmp_path, CLASSES, rows, "?none=other")
    assert labels_of(listing)[12:] == [(), ("other",), ("other",)]
    assert "rows blank in all of these columns, without a label: 1, the first line 14" in listing.notes
    crosses = [["x" if one else "" for one in row] for row in rows[:12]] + [["", "", ""]]
    assert labels_of(read_rows(tmp_path, CLASSES, crosses, "?none=other"))[12] == ("other",)


def test_names_of_columns_may_hold_commas(tmp_path: Path) -> None:
    columns = ("Melanoma, NOS", "Nevus", "Sex & Age")
    rows = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    option = "?label=Melanoma, NOS,nevus,Sex %26 Age"
    assert labels_of(read_rows(tmp_path, columns, rows, option)) == [(name,) for name in columns]
    listing = read_rows(tmp_path, columns[:2], [row[:2] for row in rows[:2]])
    source, guessed = complete_source(parse_source(f"csv:{tmp_path}/t.csv"))
    assert guessed["label"] == "Melanoma, NOS,Nevus"
    assert str(source).endswith("/t.csv?image=image&label=Melanoma, NOS,Nevus")
    assert labels_of(listing) == [("Melanoma, NOS",), ("Nevus",)]
    refusal(lambda: read_rows(tmp_path, columns, rows, "?label=Nevus,MEL"), "no column 'MEL'")
    refusal(lambda: read_rows(tmp_path, columns, rows, "?label=Nevus,nevus"), "column 'Nevus' is named twice")


def test_shares_of_readers_are_refused(tmp_path: Path) -> None:
    rows = [(0.33, 0.67, 0), (1, 0, 0), (0, 0, 1)]
    for option in ("", "?label=MEL,NV,BCC"):
        refusal(lambda option=option: read_rows(tmp_path, CLASSES, rows, option),  # type: ignore[misc]
                "column 'MEL' holds shares (line 2: 0.33), not 0 and 1", "write the class with the largest share")  # fmt: skip


def test_another_word_in_a_named_column_is_refused(tmp_path: Path) -> None:
    rows = [(1, 0), (0, 1), (2, 0)]
    line = refusal(
        lambda: read_rows(tmp_path, ("a", "b"), rows, "?label=a,b"), "line 4: column 'a': '2' is neither"
    )
    assert "`?blank=2` behind the source reads it as blank" in line
    assert labels_of(read_rows(tmp_path, ("a", "b"), rows, "?label=a,b&blank=2")) == [("a",), ("b",), ()]


def test_x_and_y_are_names_and_no_answers(tmp_path: Path) -> None:
    rows = [("x", "A", 1, 0), ("y", "B", 0, 1), ("y", "A", 0, 1)]
    refusal(lambda: read_rows(tmp_path, ("reader", "unit", "a", "b"), rows), "'reader' (x, y) may be the label")


spelt = st.sampled_from([spelling for spelling in SPELLINGS if spelling != ("x", "")])


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=20),
    spellings=st.tuples(spelt, spelt, spelt), none=st.booleans(), named=st.booleans(),
    others=st.lists(st.sampled_from(["age", "sex", "smoker", "grade", "flag"]), unique=True, max_size=2),
)  # fmt: skip
def test_the_classes_of_each_row_come_back_or_a_line(
    rows: list[list[bool]], spellings: list[tuple[str, str]], none: bool, named: bool, others: list[str]
) -> None:
    """Columns that are no classes never give a label, whether the columns are named or guessed."""
    rows = [[True, False, False], [False, True, False], [False, False, True], *rows]
    beside: dict[str, list[object]] = {"age": [31, 45], "sex": ["M", "F"], "smoker": [1, 0], "grade": [2, 1], "flag": ["yes", "no"]}  # fmt: skip
    cells = [
        [
            *(beside[name][i % 2] for name in others),
            *(words[not one] for words, one in zip(spellings, row, strict=True)),
        ]
        for i, row in enumerate(rows)
    ]
    options = [*(["label=MEL,NV,BCC"] if named else []), *(["none=other"] if none else [])]
    with tempfile.TemporaryDirectory() as folder:
        try:
            listing = read_rows(
                Path(folder), (*others, *CLASSES), cells, f"?{'&'.join(options)}" if options else ""
            )
        except DataError as error:
            message = str(error)
        else:
            message = ""
    if message:
        assert not named
        assert "`?label=" in message
        return
    never = any(no in ("", "nan") for _, no in spellings)
    for row, labels in zip(rows, labels_of(listing), strict=True):
        truth = tuple(name for name, one in zip(CLASSES, row, strict=True) if one)
        assert labels == (truth or (("other",) if none and (labels or not never) else ()))
    assert sum(listing.rows.values()) == len(rows)
    assert listing.rows.get(SEVERAL, 0) == sum(sum(row) > 1 for row in rows)


def test_a_table_of_columns_is_built(tmp_path: Path) -> None:
    listing = read_rows(tmp_path, CLASSES, [*ONES, (0, 0, 0)])
    assert listing.rows[BLANK] == 1
    refusal(lambda: choose_labels(listing, Labels()), "`?none=NAME` behind the source gives them a label")

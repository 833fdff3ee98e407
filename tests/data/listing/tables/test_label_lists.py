"""Cells that are lists, as pandas, JSON and numpy write them."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.data.listing.tables.label_lists import LONGEST, read_list
from medray.errors import DataError
from tests.data.listing.folders.folder_trees import refusal
from tests.data.listing.tables.label_tables import labels_of, read_cells


def test_lists_of_pandas_have_labels_without_brackets(tmp_path: Path) -> None:
    listing = read_cells(
        tmp_path, ["['normal']", "['cardiomegaly', 'pleural effusion']", "['cardiomegaly']", "[]"]
    )
    assert labels_of(listing) == [("normal",), ("cardiomegaly", "pleural effusion"), ("cardiomegaly",), ()]
    assert "column 'label': cells read as lists of labels: rows: 4, such as '['normal']'" in listing.notes


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ("['a', 'b']", ("a", "b")), ('["a","b"]', ("a", "b")), ("('a', 'b')", ("a", "b")), ("('a',)", ("a",)),
        ("{'a', 'b'}", ("a", "b")), ("frozenset({'a'})", ("a",)), ("set()", ()), ("[]", ()), ("{}", ()),
        ("array(['a', 'b'], dtype=object)", ("a", "b")), ("['a' 'b']", ("a", "b")), ("['a'\n 'b']", ("a", "b")),
        ("array(['a'], dtype='<U1')", ("a",)), ("[np.str_('a'), np.str_('b')]", ("a", "b")), ("[3]", ("3",)),
        ("[0, 3]", ("0", "3")), ("[2.]", ("2",)), ("[nan]", ()), ("['a', None]", ("a",)), ("['']", ()),
        ("""["Crohn's", "b, c"]""", ("Crohn's", "b, c")), (r"['d\'e']", ("d'e",)), (r'["\u00e9"]', ("é",)),
        ("[True]", ("True",)), ("['a',]", ("a",)),
        ("[18F]FDG", None), ("FDG (neg)", None), ("(benign)", None), ("[benign]", None), ("(1)", None), ("[", None),
        ("{'a': 1}", None), ("['a', 'b", None), ("[['a']]", None), ("['a'", None), ("['a'b]", None), ("a['b']", None), ("[1-2]", None),
        ("[__import__('os')]", None), ("['a'] + ['b']", None), (f"[{'1,' * LONGEST}]", None),
    ],
)  # fmt: skip
def test_a_cell_is_a_list_or_not(cell: str, labels: tuple[str, ...] | None) -> None:
    assert read_list(cell) == labels


@pytest.mark.parametrize("cell", ["{'a': 1, 'b': 0}", "[['a', 'b']]", "['a', 'b]", "[0 1 ... 0]"])
def test_a_list_that_cannot_be_read_is_no_class_in_silence(tmp_path: Path, cell: str) -> None:
    refusal(lambda: read_cells(tmp_path, [cell, "c"]), f"column 'label': '{cell}' looks like a list, and can't be",
            "`?separator=none` behind the source reads each cell as one label")  # fmt: skip
    assert labels_of(read_cells(tmp_path, [cell, "c"], "?separator=none")) == [(cell,), ("c",)]


@pytest.mark.parametrize(
    "cells", [["[0 1 0]", "[1 1 0]"], ["[0. 1.]", "[1. 0.]"], ["[0.1, 0.9]", "[1, 0]"], ["[True, False]", "[False, True]"]]
)  # fmt: skip
def test_numbers_for_classes_without_names_are_refused(tmp_path: Path, cells: list[str]) -> None:
    refusal(lambda: read_cells(tmp_path, cells), f"'{cells[0]}' looks like a number for each class",
            "write a column for each, with its name above it")  # fmt: skip


def test_brackets_are_of_a_list_only_where_all_cells_agree(tmp_path: Path) -> None:
    assert labels_of(read_cells(tmp_path, ["[1]", "b"])) == [("[1]",), ("b",)]
    assert labels_of(read_cells(tmp_path, ["[1]", "[2]"])) == [("1",), ("2",)]
    assert labels_of(read_cells(tmp_path, ["[benign]", "[malignant]"])) == [("[benign]",), ("[malignant]",)]
    assert labels_of(read_cells(tmp_path, ["[a, b]", "[a]", "[c]"])) == [("a", "b"), ("a",), ("c",)]
    assert labels_of(read_cells(tmp_path, ["['a', 'b']", "a", "b"])) == [("a", "b"), ("a",), ("b",)]


words = st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=6), max_size=4)


@given(words)
def test_what_python_json_and_numpy_write_is_read(labels: list[str]) -> None:
    expected = tuple(label.strip() for label in labels if label.strip())
    forms = [str(labels), json.dumps(labels), json.dumps(labels, ensure_ascii=False), str(tuple(labels)),
             str(np.array(labels, dtype=object)), repr(np.array(labels, dtype=object))]  # fmt: skip
    for form in forms:
        assert read_list(form) == expected, form


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(st.sampled_from("[](){}'\"\\,: ab01.")), min_size=1, max_size=4))
def test_any_brackets_give_labels_or_one_line(cells: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            listing = read_cells(Path(folder), [*cells, "x", "y"])
        except DataError as error:
            message = str(error)
        else:
            message = ""
            assert len(listing) == len(cells) + 2
    assert "\n" not in message

"""Uncertain labels: -1, "?" and maybe, in columns of classes and in a label's cells; and -1 that is no label."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medray.audit.survey_images import open_source, survey_source
from medray.data.labels import choose_labels
from medray.data.listing.listing import BLANK, SEVERAL
from medray.data.source import parse_source
from medray.space.preparation import Labels
from tests.data.listing.folders.folder_trees import refusal
from tests.data.listing.tables.label_tables import labels_of, read_cells, read_rows

CHEXPERT = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", "No Finding", "Edema", "Mass")
FILMS = [
    ("a", "Male", 50, "Frontal", "AP", "1.0", "", ""), ("b", "Female", 51, "Lateral", "", "", "-1.0", "1.0"),
    ("c", "Male", 52, "Frontal", "AP", "0.0", "1.0", "0.0"), ("d", "Male", 50, "Frontal", "PA", "", "", "1.0"),
]  # fmt: skip


def test_uncertain_labels_of_columns_are_counted_and_explained(tmp_path: Path) -> None:
    refusal(lambda: read_rows(tmp_path, CHEXPERT, FILMS, "?image=image"),
            "t.csv: uncertain labels among yes and no in column Edema: '-1.0' (rows: 1, the first line 3); behind "
            "the source `?uncertain=ignore` leaves such images out, or with `task: several` such labels, "
            "`?uncertain=negative` reads them as no (where -1 means no, too), `?uncertain=positive` as yes")  # fmt: skip


@pytest.mark.parametrize(
    ("choice", "labels", "note"),
    [
        ("negative", ("Mass",), "uncertain labels, read as no: '-1.0' (rows: 1, the first line 3)"),
        ("positive", ("Edema", "Mass"), "uncertain labels, read as yes: '-1.0' (rows: 1, the first line 3)"),
        (
            "ignore",
            ("Mass",),
            "uncertain labels, ignored: '-1.0' (rows: 1, the first line 3)",
        ),
    ],
)
def test_they_become_what_is_asked_for(tmp_path: Path, choice: str, labels: tuple[str, ...], note: str) -> None:
    listing = read_rows(tmp_path, CHEXPERT, FILMS, f"?image=image&uncertain={choice}")
    assert labels_of(listing) == [("No Finding",), labels, ("Edema",), ("Mass",)]
    assert note in listing.notes
    ignored = choice == "ignore"
    assert listing.images[1].uncertain == (("Edema",) if ignored else ())
    assert (listing.rows.get(BLANK, 0), listing.rows.get(SEVERAL, 0)) == (ignored, choice == "positive")
    chosen = choose_labels(listing, Labels(multiple="drop"))
    assert chosen.positions.tolist() == ([0, 1, 2, 3] if choice == "negative" else [0, 2, 3])
    assert ("left out: 1 image (first: line 3) with uncertain labels" in chosen.notes) == ignored


def test_rows_of_none_are_not_those_that_are_uncertain(tmp_path: Path) -> None:
    rows = [(1, 0), (0, 1), (0, -1), (0, 0)]
    assert labels_of(read_rows(tmp_path, "AB", rows, "?none=C&uncertain=ignore")) == [("A",), ("B",), (), ("C",)]
    assert labels_of(read_rows(tmp_path, "AB", rows, "?none=C&uncertain=negative"))[2] == ("C",)


def test_a_survey_leaves_them_out_as_a_search_does(tmp_path: Path) -> None:
    read_rows(tmp_path, "AB", rows := [(1, 0), (0, 1), (1, -1), (1, 0)], "?uncertain=ignore")
    for number in range(1, len(rows) + 1):
        Image.fromarray(np.full((20, 20), number, dtype=np.uint8)).save(tmp_path / f"i{number}.png")
    survey = survey_source(open_source(parse_source(f"csv:{tmp_path}/t.csv?uncertain=ignore")))
    assert survey.labels == (("A",), ("B",), (), ("A",))


def test_a_choice_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    refusal(lambda: read_cells(tmp_path, ["a", "b"], "?uncertain=zero"),
            "option 'uncertain': unknown choice 'zero'; valid: ignore, negative, positive")  # fmt: skip
    assert any("there are none" in note for note in read_cells(tmp_path, ["a", "b"], "?uncertain=ignore").notes)


@pytest.mark.parametrize(
    ("cells", "no", "yes"),
    [(["1.0", "0.0", "-1.0"], "0.0", "1.0"), (["yes", "no", "?"], "no", "yes"), (["no", "yes", "maybe"], "no", "yes"),
     (["1", "-1", ""], "0", "1")],
)  # fmt: skip
def test_a_column_of_yes_no_and_uncertain(tmp_path: Path, cells: list[str], no: str, yes: str) -> None:
    unsure = next(cell for cell in cells if cell in ("-1.0", "-1", "?", "maybe"))
    line = refusal(lambda: read_cells(tmp_path, [*cells, yes]), f"in column 'label': '{unsure}' (rows: 1")
    assert "`?uncertain=ignore`" in line
    assert "as no label" in line
    position = cells.index(unsure)
    for choice, label in (("negative", no), ("positive", yes)):
        listing = read_cells(tmp_path, [*cells, yes, no], f"?uncertain={choice}")
        assert labels_of(listing)[position] == (label,)
    listing = read_cells(tmp_path, [*cells, yes, no], "?uncertain=ignore")
    assert position not in choose_labels(listing, Labels(blank="drop")).positions
    assert labels_of(read_cells(tmp_path, [*cells, yes], "?blank="))[position] == (unsure,)


@pytest.mark.parametrize(
    "cells", [["0", "1", "2", "-1"], ["0", "3", "-99"], ["a", "b", "-1"], ["0,0", "2,0", "-1,0"]]
)
def test_a_single_negative_number_is_no_class_in_silence(tmp_path: Path, cells: list[str]) -> None:
    number = cells[-1].removesuffix(",0")
    line = refusal(
        lambda: read_cells(tmp_path, [*cells, "NA"]), f"column 'label' holds '{number}' (rows: 1), the only"
    )
    assert f"`?blank={number},NA` reads it as no label" in line
    assert "`?blank=NA` as a class" in line
    assert ("`?uncertain=ignore`" in line) == (number == "-1")
    assert labels_of(read_cells(tmp_path, [*cells, "NA"], f"?blank={number},NA"))[-2:] == [(), ()]
    assert labels_of(read_cells(tmp_path, [*cells, "NA"], "?blank=NA"))[-2:] == [(number,), ()]


def test_scales_with_several_negative_numbers_and_two_signs_are_classes(tmp_path: Path) -> None:
    assert labels_of(read_cells(tmp_path, ["-2", "-1", "0", "1"])) == [("-2",), ("-1",), ("0",), ("1",)]
    listing = read_cells(tmp_path, ["-1", "1", "1"])
    assert labels_of(listing) == [("-1",), ("1",), ("1",)]
    assert "column 'label': '-1' (rows: 1) is read as a class" in listing.notes


def test_uncertain_among_other_words_is_a_class_with_a_note(tmp_path: Path) -> None:
    cells = ["pneumonia", "normal", "uncertain"]
    listing = read_cells(tmp_path, cells)
    assert labels_of(listing) == [(cell,) for cell in cells]
    assert any("'uncertain' (rows: 1) is read as a class; `?uncertain=ignore`" in note for note in listing.notes)
    assert choose_labels(read_cells(tmp_path, cells, "?uncertain=ignore"), Labels()).positions.tolist() == [0, 1]
    refusal(lambda: read_cells(tmp_path, cells, "?uncertain=positive"), "other words than yes and no",
            "valid here: ignore")  # fmt: skip

"""Labels of other images for a run of several labels: what is known, absent and unknown, and what that changes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.data.labels import Labelled
from medray.data.listing.list_source import list_source
from medray.data.listing.listing import Listing
from medray.data.source import parse_source
from medray.decisions.conformal import calibrate_label
from medray.decisions.thresholds import Rule, set_point
from medray.errors import DataError
from medray.evaluate.external.class_map import map_classes
from medray.evaluate.external.comparison import labels_of
from medray.evaluate.external.external_labels import (
    ONE_EACH,
    choose_external_sets,
    complete_map,
    count_labels,
    label_sets_of_arrays,
    none_label,
)
from medray.evaluate.external.figures import ExternalFigures, measure_figures
from medray.evaluate.external.recalibration import recalibrate_locally
from medray.space.preparation import Labels
from medray.stats.events import Event
from tests.label_set_samples import LabelSetWorld

OURS = ("Effusion", "Mass", "Nodule")


def table(folder: Path, head: str, rows: list[str], options: str = "") -> Listing:
    """The listing of a table of images that exist, one a row."""
    folder.mkdir(exist_ok=True)
    for number in range(len(rows)):
        (folder / f"{number}.png").write_bytes(b"")
    lines = [f"image,{head}", *(f"{number}.png,{row}" for number, row in enumerate(rows))]
    (folder / "films.csv").write_text("\n".join(lines) + "\n")
    return list_source(parse_source(f"csv:{folder / 'films.csv'}{options}"))


def choose(listing: Listing, rules: Labels | None = None, **class_map: str | None) -> Labelled:
    rules = rules or Labels()
    none = none_label(rules, OURS, "several")
    counts = count_labels(listing, OURS, rules, class_map)
    classes = map_classes(counts, complete_map(counts, rules, class_map), OURS, "here", none=none)
    return choose_external_sets(listing, classes, OURS, none, rules)


def test_lists_say_what_an_image_has_and_what_it_has_not(tmp_path: Path) -> None:
    listing = table(tmp_path, "labels", ["Mass|Wet", "Wet", "Clear", "Mass", "Dots|Mass"])
    labelled = choose(listing, Wet="Effusion", Clear="none", Dots=None)
    assert labelled.labels.tolist() == [[1, 1, -1], [1, 0, -1], [0, 0, -1], [0, 1, -1], [0, 1, -1]]
    assert any("missing there, so unknown of every image and in no figure: Nodule" in n for n in labelled.notes)
    assert not any(note == ONE_EACH for note in labelled.notes)


def test_an_image_whose_label_is_left_out_stays_without_it(tmp_path: Path) -> None:
    listing = table(tmp_path, "labels", ["Mass|Effusion", "Pin", "Clear|Pin", "Mass", "Nodule"])
    labelled = choose(listing, Labels(none="Clear"), Pin=None)
    assert labelled.labels.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_one_label_each_says_nothing_of_the_others_but_for_none(tmp_path: Path) -> None:
    listing = table(tmp_path, "labels", ["Mass", "Effusion", "Clear", "Pin"])
    labelled = choose(listing, Labels(none="Clear"), Pin=None)
    assert labelled.labels.tolist() == [[-1, 1, -1], [1, -1, -1], [0, 0, -1]]
    assert ONE_EACH in labelled.notes
    assert "left out: 1 image of which no label is known" in labelled.notes
    arrays = label_sets_of_arrays(
        np.array([0, 1, 2, 3]), ("Mass", "Effusion", "Clear", "Pin"),
        map_classes({"Mass": 1, "Effusion": 1, "Clear": 1, "Pin": 1}, {"Pin": None}, OURS, "here", none="Clear"),
        OURS, "Clear", Labels(none="Clear"), "here",
    )  # fmt: skip
    assert arrays.labels.tolist() == labelled.labels.tolist()
    assert arrays.positions.tolist() == [0, 1, 2]


def test_a_column_that_says_no_of_every_image_is_known(tmp_path: Path) -> None:
    rows = ["1,0,0", "0,0,1", "0,0,0", "1,0,-1"]
    listing = table(tmp_path, "Effusion,Mass,Spots", rows, "?label=Effusion,Mass,Spots&uncertain=ignore")
    labelled = choose(listing, Spots="Nodule")
    assert labelled.labels.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0], [1, 0, -1]]


def test_columns_of_arrays_become_one_where_either_has_it() -> None:
    names = ("Wet", "Mass", "Fluid")
    classes = map_classes(
        dict.fromkeys(names, 3), {"Wet": "Effusion", "Fluid": "Effusion"}, OURS, "here", none="none"
    )
    labels = np.array([[1, 0, 0], [0, 1, -1], [-1, 0, 1], [0, -1, 0]])
    chosen = label_sets_of_arrays(labels, names, classes, OURS, "none", Labels(), "here")
    assert chosen.labels.tolist() == [[1, 0, -1], [-1, 1, -1], [1, 0, -1], [0, -1, -1]]


@pytest.mark.parametrize(
    ("labels", "class_map", "line"),
    [
        (["Mass|Dots", "Mass"], {}, "labels that the run does not have: Dots (1); --map 'Dots=OURS'"),
        (["Dots|Pins", "Dots"], {"Dots": None, "Pins": None}, "0 labels of the run left (none); at least one is"),
        (["Mass|Clear", "Mass"], {"Clear": "none"}, "the label that means none must stand alone"),
        (
            ["Mass|Nodule", "", "Mass"],
            {},
            "1 blank label (first: line 3), and the run's space does not say what that means",
        ),
    ],
)
def test_labels_that_can_not_be_taken_are_one_line(
    tmp_path: Path, labels: list[str], class_map: dict[str, Any], line: str
) -> None:
    with pytest.raises(DataError) as refused:
        choose(table(tmp_path, "labels", labels), **class_map)
    assert line in str(refused.value)


def test_what_the_space_merges_or_leaves_out_is_so_there_too() -> None:
    rules = Labels(merge={"Mass": ("Lump", "Bump")}, leave_out=("Pin", "Tube"))
    counts = {"Lump": 3, "Pin": 2, "Nodule": 1}
    assert complete_map(counts, rules, {}) == {"Lump": "Mass", "Pin": None}
    assert complete_map(counts, rules, {"Pin": "Nodule"}) == {"Lump": "Mass", "Pin": "Nodule"}


MERGED = Labels(merge={"Mass": ("Lump", "Bump")})
PARTIAL = (
    "merged labels of which a part is missing there, so unknown of every image without the other parts: Mass (no "
)


def test_a_part_of_a_merged_label_says_nothing_where_it_is_absent(tmp_path: Path) -> None:
    cells = ["Lump|Nodule", "Nodule", "Effusion", "clear", "Lump"]
    labelled = choose(table(tmp_path / "list", "labels", cells), MERGED, clear="none")
    assert labelled.labels.tolist() == [[0, 1, 1], [0, -1, 1], [1, -1, 0], [0, -1, 0], [0, 1, 0]]
    assert any(note == f"{PARTIAL}Bump)" for note in labelled.notes)
    listing = table(tmp_path / "columns", "Bump,Nodule", ["1,0", "0,1", "0,0"], "?label=Bump,Nodule")
    labelled = choose(listing, MERGED)
    assert labelled.labels[:, 1:].tolist() == [[1, 0], [-1, 1], [-1, 0]]
    assert any(note == f"{PARTIAL}Lump)" for note in labelled.notes)
    classes = map_classes(dict.fromkeys(("Lump", "Nodule"), 2), {"Lump": "Mass"}, OURS, "here", none="none")
    marks = np.array([[1, 0], [0, 1], [0, 0]])
    labelled = label_sets_of_arrays(marks, ("Lump", "Nodule"), classes, OURS, "none", MERGED, "here")
    assert labelled.labels[:, 1].tolist() == [1, -1, -1]
    assert any(note == f"{PARTIAL}Bump)" for note in labelled.notes)


@pytest.mark.parametrize(
    ("head", "class_map"),
    [("Bump,Lump", {}), ("Mass,Nodule", {}), ("Thing,Lump", {"Thing": "Mass"})],
)
def test_a_merged_label_is_known_by_all_its_parts_or_as_a_whole(
    tmp_path: Path, head: str, class_map: dict[str, Any]
) -> None:
    listing = table(tmp_path, head, ["1,0", "0,1", "0,0"], f"?label={head}")
    labelled = choose(listing, MERGED, **class_map)
    assert labelled.labels[:, 1].tolist() == ([1, 0, 0] if head == "Mass,Nodule" else [1, 1, 0])
    assert not any(note.startswith("merged labels") for note in labelled.notes)


def test_a_part_that_is_left_out_or_mapped_apart_is_missing(tmp_path: Path) -> None:
    listing = table(tmp_path, "Bump,Lump", ["1,0", "0,1", "0,0"], "?label=Bump,Lump")
    assert choose(listing, MERGED, Lump=None).labels[:, 1].tolist() == [1]
    apart = choose(listing, MERGED, Lump="Nodule")
    assert apart.labels[:, 1:].tolist() == [[1, 0], [-1, 1], [-1, 0]]


WORLD = LabelSetWorld(150, 2, (0.2, 0.4, 0.3), unknown=0.2)


@settings(max_examples=10)
@given(st.integers(0, 10_000))
def test_what_is_said_of_unknown_labels_changes_no_figure(seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn, groups = WORLD.draw(rng)
    events = [Event.at(i, OURS) for i in range(3)]
    table, labels = drawn.probabilities, drawn.labels.copy()
    points = [set_point(Rule("sensitivity", 0.8), table, labels, OURS, name, "val") for name in OURS]
    sets = [calibrate_label(e, table, labels, 0.8, set_on="val", groups=None) for e in events]
    labels[:, 2] = -1
    changed = np.where(labels == -1, rng.random(labels.shape), table).astype(np.float32)
    kept = (labels >= 0).any(axis=1)
    conformal = [row for row in sets if row is not None]
    first, second = (
        measure_figures(p[kept], labels[kept], OURS, "several", groups[kept], points, conformal)
        for p in (table, changed)
    )
    assert first == second
    assert first.missing_classes == ("Nodule",)
    assert list(first.calibration) == ["Effusion", "Mass"] == [point.positive for point in first.operating_points]
    assert first.per_class[2].auc.value is None
    assert first.scores["auc"].value == pytest.approx(np.mean([row.auc.value for row in first.per_class[:2]]))
    assert ExternalFigures.from_dict(first.to_dict()) == first
    local = [
        recalibrate_locally(p[kept], labels[kept], OURS, groups[kept], groups[kept], 0) for p in (table, changed)
    ]
    assert local[0] == local[1]
    assert local[0].methods


def test_scores_over_other_labels_are_not_compared() -> None:
    confusion = [(2, 3, 1, 9), (0, 0, 0, 15), (0, 0, 2, 13), (0, 0, 0, 0), (4, 0, 0, 0)]
    over = {name: labels_of(name, confusion) for name in ("auc", "average_precision", "f1_macro", "log_loss")}
    assert over == {"auc": {0}, "average_precision": {0, 4}, "f1_macro": {0, 4}, "log_loss": {0, 1, 2, 4}}

"""Several labels an image: from tables and arrays, with those that are uncertain, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.data.arrays.npz import read_npz
from medray.data.dataset import ImageDataset
from medray.data.label_sets import choose_label_sets, has_label_sets
from medray.data.labels import Labelled, choose_labels
from medray.data.listing.listing import ListedImage, Listing
from medray.data.load_data import check_task, load_data
from medray.data.members import UNKNOWN
from medray.errors import ConfigError, DataError
from medray.search.print_introduction import list_missing_classes
from medray.space.preparation import Labels, Preparation
from tests.data.listing.folders.folder_trees import refusal
from tests.data.listing.tables.label_tables import read_cells, read_rows

NAMES = ("Edema", "Mass", "Nodule")


def listed(*labels: tuple[str, ...], class_columns: bool = True, **changes: Any) -> Listing:
    images = tuple(ListedImage(Path(str(i)), f"line {i}", names, **changes) for i, names in enumerate(labels))
    return Listing("csv:here", Path(), images, class_columns=class_columns)


def rows_of(labelled: Labelled) -> dict[int, tuple[str, ...]]:
    """The names of the labels of each kept image, `?` before one that is uncertain."""
    words = {1: "", UNKNOWN: "?"}
    return {
        position: tuple(f"{words[v]}{name}" for v, name in zip(row, labelled.class_names, strict=True) if v)
        for position, row in zip(labelled.positions.tolist(), labelled.labels.tolist(), strict=True)
    }


sets = st.lists(st.sets(st.sampled_from(NAMES)).map(lambda names: tuple(sorted(names))), min_size=4, max_size=30)


@given(sets, st.integers(1, 4))
def test_each_image_keeps_its_labels_but_rare_ones(labels: list[tuple[str, ...]], least: int) -> None:
    try:
        labelled = choose_label_sets(listed(*labels), Labels(min_count=least))
    except DataError as error:
        assert "at least two are needed" in str(error) or "each image has one label" in str(error)  # noqa: PT017
        return
    counts = {name: sum(name in names for names in labels) for name in NAMES}
    assert labelled.class_names == tuple(name for name in NAMES if counts[name] >= least and counts[name])
    kept = set(labelled.class_names)
    assert rows_of(labelled) == {i: tuple(n for n in names if n in kept) for i, names in enumerate(labels)}


def test_the_label_that_means_none_is_no_label() -> None:
    labelled = choose_label_sets(listed(("No Finding",), ("a", "b"), ("b",), ()), Labels(none="No Finding"))
    assert rows_of(labelled) == {0: (), 1: ("a", "b"), 2: ("b",), 3: ()}
    assert "labels an image: none 2, one 1, several 1" in labelled.notes
    assert "with neither a label nor 'No Finding', and taken for images of no label: 1" in labelled.notes
    refusal(
        lambda: choose_label_sets(listed(("none",), ("a", "none"), ("b",)), Labels(none="none")),
        "1 image with 'none' and another label (first: line 1): the label that means none must stand alone",
    )
    refusal(
        lambda: choose_label_sets(listed(("a",), ("a", "b")), Labels(none="nothing")), "unknown class 'nothing'"
    )


def test_one_label_each_is_another_task() -> None:
    for several in ({}, {"class_columns": False}):
        refusal(
            lambda several=several: choose_label_sets(listed(("a",), ("b",), ("a",), **several), Labels()),
            "each image has one label: `task: single` takes them as classes; `labels: {none: NAME}`",
        )
    none_and_one = choose_label_sets(listed(("a",), ("b",), ("c",)), Labels(none="c"))
    assert rows_of(none_and_one) == {0: ("a",), 1: ("b",), 2: ()}


FILMS = [(1, 0, 0), (0, 1, 1), (0, -1, 1), (0, 0, 0), ("", "", ""), (1, -1, "")]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [("ignore", ("?Mass", "Nodule")), ("negative", ("Nodule",)), ("positive", ("Mass", "Nodule"))],
)
def test_uncertain_labels_of_a_table_become_what_is_asked_for(
    tmp_path: Path, choice: str, expected: tuple[str, ...]
) -> None:
    listing = read_rows(tmp_path, NAMES, FILMS, f"?uncertain={choice}")
    labelled = choose_label_sets(listing, Labels(blank="drop"))
    assert rows_of(labelled)[2] == expected
    assert (labelled.labels == UNKNOWN).sum() == (2 if choice == "ignore" else 0)
    noted = "uncertain labels, neither trained on nor measured: 2" in labelled.notes
    assert noted == (choice == "ignore")


def test_a_row_that_says_nothing_is_not_taken_for_healthy(tmp_path: Path) -> None:
    listing = read_rows(tmp_path, NAMES, FILMS, "?uncertain=ignore")
    refusal(
        lambda: choose_label_sets(listing, Labels()),
        "1 blank label (first: line 6); `labels: {blank: drop}` leaves such images out, `blank: none` takes them",
    )
    dropped, taken = (choose_label_sets(listing, Labels(blank=rule)) for rule in ("drop", "none"))
    assert rows_of(dropped)[3] == ()  # a 0 in each column is an answer
    assert 4 not in rows_of(dropped)
    assert rows_of(taken)[4] == ()
    assert "left out: 1 blank label (first: line 6)" in dropped.notes


def test_a_cell_that_is_uncertain_names_no_label(tmp_path: Path) -> None:
    cells = ["a|b", "?", "a", "b", "a|b", "none of these", "b"]
    listing = read_cells(tmp_path, cells, "?uncertain=ignore")
    labelled = choose_label_sets(listing, Labels(none="none of these"))
    assert rows_of(labelled) == {0: ("a", "b"), 2: ("a",), 3: ("b",), 4: ("a", "b"), 5: (), 6: ("b",)}
    assert any(note.startswith("left out: 1 image (first: line 3) with uncertain") for note in labelled.notes)


@settings(max_examples=20)
@given(sets, st.permutations(NAMES), st.randoms(use_true_random=False))
def test_the_order_in_which_a_source_names_labels_changes_nothing(
    labels: list[tuple[str, ...]], order: list[str], random: Any
) -> None:
    rows = [*labels, ("Edema", "Mass"), ("Nodule",)]
    shuffled = [tuple(random.sample(names, len(names))) for names in rows]
    rules = Labels(leave_out=(order[0],))
    first, second = (choose_label_sets(listed(*given), rules) for given in (rows, shuffled))
    assert first.class_names == second.class_names == tuple(sorted(order[1:]))
    assert (first.labels == second.labels).all()
    assert first.notes == second.notes


def test_columns_in_another_order_are_the_same_data_but_for_the_order(tmp_path: Path) -> None:
    names, labels = np.array(NAMES), np.array([[1, 0, 1], [0, 1, 0], [1, 1, -1], [0, 0, 0]])
    order = [2, 0, 1]
    first = load_data(str(npz(tmp_path / "a.npz", labels, class_names=names)))
    second = load_data(str(npz(tmp_path / "b.npz", labels[:, order], class_names=names[order])))
    assert (first.labels[:, order] == second.labels).all()
    assert [{*names} for names in first.label_names] == [{*names} for names in second.label_names]


def test_images_of_several_labels_for_one_class_each_are_refused_with_both_ways_out() -> None:
    listing = listed(("a", "b"), ("a",), ("b",))
    refusal(
        lambda: choose_labels(listing, Labels()), "`labels: {multiple: drop}`", "`task: several` takes them all"
    )


@pytest.mark.parametrize("lacking", ["val", "test"])
def test_a_label_that_a_split_lacks_is_named_before_the_search(lacking: str) -> None:
    labels = np.tile(np.array([[1, 0], [0, 1], [1, 1]], dtype=np.int64), (10, 1))
    splits = {"train": np.arange(18), "val": np.arange(18, 24), "test": np.arange(24, 30)}
    labels[splits[lacking], 1] = 0
    dataset = ImageDataset(np.zeros((30, 8, 8, 1), np.uint8), labels, ("a", "b"), splits, "made")
    (line,) = list_missing_classes(dataset)
    assert line.startswith(f"split '{lacking}' has no image of b: ")
    assert "AUC" not in line


def test_a_few_images_of_several_labels_are_oddities() -> None:
    assert has_label_sets([("a", "b"), ("a",), ("b",), ()])
    assert not has_label_sets([("a", "b"), *[("a",), ("b",)] * 20])
    assert not has_label_sets([("a", "a"), ("a",)])
    assert not has_label_sets([(), ()])


# -- arrays


def npz(path: Path, labels: Any, **more: Any) -> Path:
    """A file whose splits have these labels each."""
    table = np.asarray(labels)
    parts = {f"{split}_labels": table for split in ("train", "val", "test")}
    images = {f"{split}_images": np.zeros((len(table), 8, 8), np.uint8) for split in ("train", "val", "test")}
    np.savez(path, **{**parts, **images, **more})
    return path


def test_arrays_of_several_labels_are_read_with_their_names(tmp_path: Path) -> None:
    path = npz(tmp_path / "films.npz", [[1, 0, 1], [0, 0, 0], [0, -1, 1]], class_names=np.array(NAMES))
    for dataset in (load_data(str(path)), load_data(str(path), preparation=Preparation(task="several"))):
        assert dataset.class_names == NAMES
        assert dataset.label_names[:3] == (("Edema", "Nodule"), (), ("Nodule",))
        assert dataset.labels[2].tolist() == [0, UNKNOWN, 1]
    named = npz(tmp_path / "chestmnist.npz", np.eye(14, dtype=bool) | np.eye(14, k=1, dtype=bool))
    assert load_data(str(named)).class_names[:2] == ("atelectasis", "cardiomegaly")


@pytest.mark.parametrize(
    ("labels", "task", "line"),
    [
        ([[1, 0], [1, 1]], "single", "task: several` takes a column for each label"),
        ([[1, 0], [1, 1]], "ordered", "task: several` takes a column for each label"),
        ([[1, 0], [0, 1]], "single", "each row has one 1, so that `labels.argmax(axis=1)` gives them"),
        ([0, 1], "several", "`task: single` takes one class for each image"),
        ([[0], [1]], "several", "`task: single` takes one class for each image"),
        ([[0, 2], [1, 0]], "several", "runs from 0 to 2, not from -1 (unknown) to 1"),
    ],
)
def test_arrays_of_another_task_name_it(tmp_path: Path, labels: Any, task: str, line: str) -> None:
    path = npz(tmp_path / "x.npz", labels)
    refusal(lambda: read_npz(path, source=str(path), task=task), line)


def test_drawings_and_medmnists_sets_of_another_task_name_it() -> None:
    for source, task, line in (
        ("medmnist:chestmnist", "single", "may have several labels: `task: several` takes them, and not `single`"),
        ("medmnist:breastmnist", "several", "have one class each: `task: single` takes them, and not `several`"),
        ("phantom:covid?images=100&size=16", "several", "have one class each: `task: single` takes them"),
    ):
        refusal(lambda s=source, t=task: load_data(s, preparation=Preparation(task=t)), line)
    check_task("x", None, label_sets=True)


# -- the search space


@settings(max_examples=20)
@given(st.sampled_from(["single", "ordered"]))
def test_rules_of_label_sets_are_of_that_task(task: str) -> None:
    for labels in ({"none": "normal"}, {"blank": "none"}):
        with pytest.raises(ConfigError, match="is of `task: several`"):
            Preparation.from_dict({"labels": labels}, task)
    with pytest.raises(ConfigError, match="takes all labels of an image"):
        Preparation.from_dict({"labels": {"multiple": "drop"}}, "several")

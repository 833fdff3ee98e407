"""`--form indices` gives the numbers that the labels had."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.data.arrays.npz import read_npz
from medray.data.labels import choose_labels
from medray.data.listing.listing import ListedImage, Listing
from medray.ensemble.manifest import Manifest
from medray.predict.class_numbers import class_numbers, describe_numbers
from medray.space.preparation import Labels


def manifest(names: tuple[str, ...], source: str) -> Manifest:
    """All of a manifest that the numbers depend on."""
    values = dict.fromkeys(field.name for field in dataclasses.fields(Manifest))
    data = dataclasses.make_dataclass("Data", ["source"])(source)
    return Manifest(**{**values, "class_names": names, "data": data})  # type: ignore[arg-type]


@given(
    st.lists(st.integers(-3, 40), min_size=2, max_size=14, unique=True),
    st.sampled_from(["{}", "{}.0", "{:03d}"]),
    st.sampled_from(["csv:/t.csv", "folder:/f", "dicom:/d", "csv:/t.csv?label=y"]),
)
@settings(deadline=None)
def test_a_numbered_class_of_a_table_or_a_folder_has_its_number(
    numbers: list[int], form: str, source: str
) -> None:
    images = tuple(ListedImage(Path(f"{n}"), f"{n}", (form.format(n),)) for n in numbers)
    labelled = choose_labels(Listing(source, root=Path(), images=images), Labels())
    of_class = class_numbers(manifest(labelled.class_names, source))
    predicted = [of_class[label] for label in labelled.labels]  # of a model that is always right
    assert predicted == [numbers[position] for position in labelled.positions]


def test_an_array_has_its_label_and_names_have_their_positions(tmp_path: Path) -> None:
    labels = np.arange(12)
    arrays = {f"{split}_labels": labels for split in ("train", "val", "test")}
    arrays |= {f"{split}_images": np.zeros((12, 4, 4), np.uint8) for split in ("train", "val", "test")}
    np.savez(tmp_path / "a.npz", **arrays)
    names = read_npz(tmp_path / "a.npz", source="a.npz").class_names
    assert class_numbers(manifest(names, str(tmp_path / "a.npz"))) == list(range(12))
    assert class_numbers(manifest(("2", "1"), "/a.npz")) == [0, 1]  # its own names, which are no labels
    assert class_numbers(manifest(("benign", "malignant"), "folder:/f")) == [0, 1]
    assert class_numbers(manifest(("1", "2", "other"), "csv:/t.csv")) == [0, 1, 2]
    assert class_numbers(manifest(("1", "1.0"), "csv:/t.csv")) == [0, 1]
    assert class_numbers(manifest(("3", "4"), "made in Python")) == [0, 1]


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (("benign", "malignant"), "0 benign, 1 malignant"),
        (("1", "10", "2"), "1, 10, 2"),
        (("01", "02"), "1 01, 2 02"),
    ],
)
def test_the_numbers_are_said(names: tuple[str, ...], line: str) -> None:
    assert describe_numbers(manifest(names, "folder:/f")) == f"class numbers: {line}"

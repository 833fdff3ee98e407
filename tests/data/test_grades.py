"""The order of grades: what names say it, what the space says, and that nothing else of a data set changes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from medray.data.dataset import ImageDataset
from medray.data.grades import SCALES, find_hole, in_order_of_grades, read_order
from medray.errors import DataError
from medray.runs.run_data import load_run_data
from medray.space.loading import load_space
from tests.graded_samples import graded, graded_arrays

IN_ORDER = [
    ("0", "1", "2", "3", "4"),
    ("grade 1", "grade 2", "grade 10"),
    ("KL0", "KL1", "KL2", "KL3", "KL4"),
    ("BI-RADS 1", "BI-RADS 3", "BI-RADS 4a", "BI-RADS 4b", "BI-RADS 4c", "BI-RADS 5"),
    ("0_No_DR", "1_Mild", "2_Moderate", "3_Severe", "4_Proliferative_DR"),
    ("No_DR", "Mild", "Moderate", "Severe", "Proliferative_DR"),
    ("Normal", "Doubtful", "Mild", "Moderate", "Severe"),
    ("small", "medium", "large"),
    ("none", "mild stenosis", "severe stenosis"),
    ("No disease", "moderate", "End-stage"),
]


@pytest.mark.parametrize("names", IN_ORDER, ids=" < ".join)
def test_names_say_their_order_however_they_are_listed(names: tuple[str, ...]) -> None:
    for turned in (names, names[::-1], tuple(sorted(names))):
        assert read_order(turned) == names


@pytest.mark.parametrize(
    "names",
    [
        ("liver", "spleen", "heart"),
        ("mild", "moderate", "spleen"),
        ("1", "2", "three"),
        ("grade 1", "stage 1", "grade 2"),  # a number twice
        ("mild", "slight", "severe"),  # a step twice
        ("covid", "normal", "pneumonia"),
    ],
)
def test_other_names_say_none(names: tuple[str, ...]) -> None:
    assert read_order(names) is None
    with pytest.raises(DataError, match=r"don't say their order as grades: `labels: \{order: \[.*`task: single`"):
        in_order_of_grades(replace(graded(24, 3), class_names=names), None)


@given(st.data())
def test_words_of_a_scale_have_its_order(data: st.DataObject) -> None:
    scale = data.draw(st.sampled_from(SCALES))
    steps = sorted(data.draw(st.sets(st.integers(0, len(scale) - 1), min_size=2)))
    words = tuple(data.draw(st.sampled_from(scale[step])) for step in steps)
    assert read_order(data.draw(st.permutations(words))) in (words, words[::-1])  # "intermediate" is of two scales
    assert read_order([word.upper() for word in words]) is not None


def test_holes_are_between_whole_numbers() -> None:
    assert find_hole(("0", "1", "3")) == 2
    assert find_hole(("3", "2", "1")) is None
    assert find_hole(("BI-RADS 3", "BI-RADS 4a", "BI-RADS 4b", "BI-RADS 5")) is None
    assert find_hole(("mild", "severe")) is None
    with pytest.raises(
        DataError, match=r"grade 2 is missing between 0, 1, 3; `labels: \{order: \[0, 1, 3\]\}` says"
    ):
        in_order_of_grades(replace(graded(24, 3), class_names=("0", "1", "3")), None)
    dataset = replace(graded(24, 3), class_names=("0", "1", "3"))
    assert in_order_of_grades(dataset, ("0", "1", "3")) is dataset


@given(st.permutations(range(4)), st.booleans())
def test_any_permutation_of_the_classes_gives_the_same_data_set(order: list[int], said: bool) -> None:
    """Or what the space says would hang on how a file lists its classes."""
    names = ("low", "medium", "high", "very severe") if said else ("KL0", "KL1", "KL2", "KL3")
    dataset = replace(graded(48, 4), class_names=names)
    turned = replace(
        dataset, class_names=tuple(names[i] for i in order), labels=np.argsort(order)[dataset.labels],
        original=replace(dataset, class_names=tuple(names[i] for i in order), labels=np.argsort(order)[dataset.labels]),
    )  # fmt: skip
    result = in_order_of_grades(turned, names if said else None)
    for ordered in (result, result.original):
        assert ordered is not None
        assert ordered.class_names == names
        assert np.array_equal(ordered.labels, dataset.labels)
        assert ordered.images.base is not None or ordered.images is dataset.images
    assert result.split("train").fingerprint == dataset.split("train").fingerprint


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (("0", "1", "2", "4"), r"labels\.order: unknown class '4'"),
        (("0", "1", "2"), r"labels\.order lacks 3: it must name every class"),
        (("0", "1", "2", "3", "x"), r"labels\.order: unknown class 'x'"),
    ],
)
def test_an_order_that_is_not_of_the_classes_is_refused(order: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        in_order_of_grades(graded(), order)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("order", [None, ("0", "1"), ("1", "0")])
def test_two_classes_have_no_order_to_speak_of(order: tuple[str, ...] | None) -> None:
    two = replace(graded(24, 3), labels=np.arange(24) % 2, class_names=("0", "1"))
    with pytest.raises(DataError, match="the order of 0 and 1 says no more than `task: single` does"):
        in_order_of_grades(two, order)


# -- as a run loads them


SPACE = """
name: words
task: ordered
data: folder:{folder}
objective: {{metric: quadratic_kappa}}
budget: {{trials: 1, max_epochs: 1, grace_epochs: 1, reduction_factor: 2, patience: null}}
{labels}
space: {{learning_rate: {{log: [0.001, 0.002]}}}}
"""


def write_folder(root: Path, names: tuple[str, ...]) -> Path:
    images, labels = graded_arrays(12 * len(names), len(names))
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = root / names[label] / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(path)
    return root


def load(tmp_path: Path, folder: Path, labels: str = "") -> ImageDataset:
    (tmp_path / "space.yaml").write_text(SPACE.format(folder=folder, labels=labels))
    space = load_space(str(tmp_path / "space.yaml"))
    return load_run_data(f"folder:{folder}", space, lambda *_: None)


def test_a_folder_of_words_is_loaded_in_the_order_of_the_scale(tmp_path: Path) -> None:
    names = ("normal", "mild", "moderate", "severe")
    dataset = load(tmp_path, write_folder(tmp_path / "images", names))
    assert dataset.class_names == names
    bright = [dataset.images[dataset.labels == grade].mean() for grade in range(4)]
    assert bright == sorted(bright)


def test_a_folder_of_unknown_words_needs_the_spaces_order(tmp_path: Path) -> None:
    names = ("quiet", "brisk", "wild")
    folder = write_folder(tmp_path / "images", names)
    with pytest.raises(DataError, match=r"labels: \{order: \[brisk, quiet, wild\]\}"):
        load(tmp_path, folder)
    dataset = load(tmp_path, folder, "labels: {order: [quiet, brisk, wild]}")
    assert dataset.class_names == names
    bright = [dataset.images[dataset.labels == grade].mean() for grade in range(3)]
    assert bright == sorted(bright)

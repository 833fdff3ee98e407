"""The order of names: numbers as numbers, wherever classes or values of subgroups are listed."""

import random
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from medray.data.labels import choose_labels
from medray.data.listing.list_source import list_source
from medray.data.source import parse_source
from medray.errors import unknown_choice_line
from medray.space.preparation import Labels
from medray.text import natural_key, natural_order

names = st.lists(st.one_of(st.text(max_size=6), st.text("01a.-+ ", max_size=6)), max_size=8)


@given(st.lists(st.integers(-(10**30), 10**30), unique=True))
def test_whole_numbers_stand_as_numbers(numbers: list[int]) -> None:
    assert natural_order(map(str, numbers)) == [str(number) for number in sorted(numbers)]
    counts = [number for number in numbers if number >= 0]
    assert natural_order(f"grade {number}" for number in counts) == [f"grade {count}" for count in sorted(counts)]


@given(st.lists(st.text(st.characters(exclude_categories=["Nd"]), max_size=6)))
def test_words_without_digits_stand_as_text(words: list[str]) -> None:
    assert natural_order(words) == sorted(words)


@given(names, st.randoms())
@example(["1", "01", "1.0", "+1", "a1", "a01", "1a", "01a"], random.Random(0))
def test_the_order_of_the_input_does_not_matter(words: list[str], rng: random.Random) -> None:
    shuffled = rng.sample(words, len(words))
    assert natural_order(shuffled) == natural_order(words)


@given(st.text("01a.-+ ", max_size=4), st.text("01a.-+ ", max_size=4), st.text(max_size=6))
@example("1", "01", "1.0")
def test_the_order_is_total(first: str, second: str, third: str) -> None:
    keys = sorted([natural_key(first), natural_key(second), natural_key(third)])
    assert keys[0] <= keys[1] <= keys[2]
    assert keys[0] <= keys[2]
    assert (natural_key(first) == natural_key(second)) == (first == second)


@pytest.mark.parametrize(
    "ordered",
    [
        ["-1", "0", "1", "1.5", "1.25e", "x"],
        ["-10", "-2", "0.5", "0.75", "2", "10", "benign", "grade 2", "grade 10", "malignant"],
        ["0 normal", "1 mild", "2 severe", "10 other"],
        ["stage 1a", "stage 1b", "stage 2", "stage 11"],
        ["T1", "T1 N2", "T1 N10", "T10"],
    ],
)
def test_labels_as_people_write_them(ordered: list[str]) -> None:
    assert natural_order(reversed(ordered)) == ordered


@pytest.mark.parametrize("kind", ["folder", "csv"])
@pytest.mark.parametrize("form", ["{}", "grade {}"])
def test_twelve_numbered_classes_have_their_numbers_as_indices(tmp_path: Path, kind: str, form: str) -> None:
    classes = [form.format(number) for number in range(12)]
    rows = ["image,label"]
    for number, label in reversed([*enumerate(classes)]):
        path = tmp_path / (label if kind == "folder" else "images") / f"p{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("L", (8, 8), number).save(path)
        rows.append(f"p{number},{label}")
    source = f"folder:{tmp_path}"
    if kind == "csv":
        (tmp_path / "labels.csv").write_text("\n".join(rows))
        source = f"csv:{tmp_path / 'labels.csv'}"
    listing = list_source(parse_source(source))
    labelled = choose_labels(listing, Labels())
    assert labelled.class_names == tuple(classes)
    for position, label in zip(labelled.positions, labelled.labels, strict=True):
        assert listing.images[position].path.stem == f"p{label}"


def test_the_names_in_an_error_stand_so_too() -> None:
    assert unknown_choice_line("class", "x", map(str, range(11))).endswith(
        "valid: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10"
    )

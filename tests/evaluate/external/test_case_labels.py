"""Labels of cases some of whose images have none: those of the other images, whatever task and rule."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from medray._types import Array, silent
from medray.data.listing.list_source import list_source
from medray.data.listing.listing import ListedImage
from medray.data.source import parse_source
from medray.errors import DataError
from medray.evaluate.external.case_labels import (
    in_labelled_cases,
    label_by_case,
    note_lost,
    number_listed,
    with_unlabelled,
)
from medray.evaluate.external.class_map import MappedClass
from medray.evaluate.external.decode_listed import decode_listed
from medray.evaluate.external.external_labels import choose_external_sets
from medray.space.preparation import Images, Labels, Preparation
from medray.stats.case_rule import CLASSES, GRADES, LABEL_SETS, MEAN, CaseRule
from medray.stats.cases import CaseIndex, differing_cases

RULES = (
    CaseRule("patient", MEAN, CLASSES),
    CaseRule("patient", MEAN, CLASSES, normal=1),
    CaseRule("patient", MEAN, GRADES),
    CaseRule("patient", MEAN, LABEL_SETS),
)


def draw(rng: np.random.Generator, rule: CaseRule) -> tuple[Array, Array, Array]:
    """Labels of images, which of them are labelled, and their cases; an unlabelled image may say anything."""
    numbers = rng.integers(0, 12, 40)
    labels = rng.integers(-1, 2, (40, 3)) if rule.kind == LABEL_SETS else rng.integers(0, 3, 40)
    return labels, rng.random(40) < 0.5, numbers


@pytest.mark.parametrize("rule", RULES)
@given(st.integers(0, 10_000))
def test_the_label_of_a_case_is_that_of_its_labelled_images(rule: CaseRule, seed: int) -> None:
    labels, labelled, numbers = draw(np.random.default_rng(seed), rule)
    by_case = label_by_case(labels, labelled, CaseIndex(rule, numbers))
    alone = CaseIndex(rule, numbers[labelled])
    together = CaseIndex(rule, numbers[by_case.positions])
    assert np.isin(numbers, numbers[labelled]).sum() == len(by_case.positions)
    assert (by_case.labels[labelled[by_case.positions]] == labels[labelled]).all()
    differing = differing_cases(by_case.labels, together.index, rule)
    assert (differing == differing_cases(labels[labelled], alone.index, rule)).all()
    if not differing.any():
        assert (together.labels(by_case.labels) == alone.labels(labels[labelled])).all()


def test_what_became_of_images_without_a_label_is_said() -> None:
    numbers = np.array([0, 0, 1, 1, 1, 2, 2, 3])
    table, labelled = with_unlabelled(np.array([2, 1]), np.array([1, 3]), 8)
    by_case = label_by_case(table, labelled, CaseIndex(RULES[0], numbers))
    assert by_case.positions.tolist() == [0, 1, 2, 3, 4]
    assert by_case.labels.tolist() == [2, 2, 1, 1, 1]
    assert by_case.notes == [
        "left out: 2 cases (3 images), none of whose images has a usable label",
        "left out of their case's label alone, not of its answer: 3 images of 2 cases without a usable label",
    ]
    assert in_labelled_cases(numbers, np.ones(8, dtype=bool))[1] == []
    assert note_lost(np.array([0, 0, 1, 7]), numbers) == [
        "2 cases answered without 3 images that can't be read or used"
    ]
    assert note_lost(np.array([7]), numbers) == []


def test_cases_of_listed_images_are_of_a_patient_where_those_with_a_label_have_one() -> None:
    def image(patient: str | None, exam: str = "a") -> ListedImage:
        return ListedImage(Path("x.png"), "x", patient=patient, subgroups={"exam": exam})

    images = [image("p"), image(None), image("q"), image("p", "b"), image(None)]
    assert number_listed(images, np.array([0, 2]), "patient", "here").tolist() == [0, -2, 1, 0, -5]
    assert number_listed(images, np.array([0, 2]), "exam", "here").tolist() == [0, -2, 1, 2, -5]
    assert number_listed(images, np.array([1]), "exam", "here").tolist() == [0, 0, 0, 1, 0]
    with pytest.raises(DataError):
        number_listed(images, np.array([1]), "patient", "here")


def test_images_of_several_labels_answer_with_their_case_too(tmp_path: Path) -> None:
    rows = ["Wet|Lump,a", ",a", "Dots,b", "Lump,b", ",c", "Dots,c", "Wet,d"]
    for number in range(len(rows)):
        Image.fromarray(np.full((4, 4), 20 * number, dtype=np.uint8)).save(tmp_path / f"{number}.png")
    lines = ["image,label,patient", *(f"{number}.png,{row}" for number, row in enumerate(rows))]
    (tmp_path / "films.csv").write_text("\n".join(lines) + "\n")
    listing = list_source(parse_source(f"csv:{tmp_path / 'films.csv'}"))
    rules = Labels(blank="drop", merge={"Mass": ("Lump", "Bump")})
    classes = (MappedClass("Dots", None, 2), MappedClass("Lump", "Mass", 2), MappedClass("Wet", "Wet", 2))
    labelled = choose_external_sets(listing, classes, ("Mass", "Wet"), "none", rules)
    assert labelled.labels.tolist() == [[1, 1], [-1, 0], [1, 0], [-1, 0], [-1, 1]]
    images = Images(image_size=(4, 4), channels=1)
    preparation = Preparation(task="several", labels=rules, images=images)
    taken, pixels, notes = decode_listed(listing, labelled, preparation, RULES[3], silent)
    assert taken.positions.tolist() == list(range(7))
    assert pixels[:, 0, 0, 0].tolist() == [20 * number for number in range(7)]
    assert taken.labels.tolist() == [[1, 1], [1, 1], [-1, 0], [1, 0], [-1, 0], [-1, 0], [-1, 1]]
    assert "not of its answer: 2 images of 2 cases without a usable label" in notes[-1]
    assert decode_listed(listing, labelled, preparation, None, silent)[0].positions.tolist() == [0, 2, 3, 5, 6]

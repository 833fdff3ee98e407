"""Masks among images are known by their two values, whatever they are called, and left out or kept as asked."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from medray.audit.audit import audit_survey
from medray.audit.profile import profile_survey
from medray.audit.survey_images import open_source, survey_source
from medray.data.load_data import load_data
from medray.data.two_valued import at_most_two, masks_among
from medray.errors import DataError
from medray.space.preparation import Preparation
from tests.data.decoding.test_grey_levels import ellipse


def draw(root: Path, images: int, masks: int, black: int = 0) -> str:
    """Images of two classes with the masks of some under other names, without a word that says so."""
    for number in range(images):
        path = root / "ab"[number % 2] / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (20, 24), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    for number in range(masks):
        path = root / "ab"[number % 2] / f"{500 + number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(ellipse(24, 0.1 + number / 300)[:20]).save(path)
    for number in range(black):
        Image.fromarray(np.zeros((20, 24), np.uint8)).save(root / "b" / f"{900 + number}.png")
    return f"folder:{root}"


def rules(value: str) -> Preparation:
    return Preparation.from_dict({"images": {"two_valued": value}})


def test_masks_among_images_end_a_load_unless_the_space_says_what_becomes_of_them(tmp_path: Path) -> None:
    source = draw(tmp_path, 40, 12, 4)
    with pytest.raises(DataError) as refused:
        load_data(source)
    line = "16 of 56 images have one or two values only, as masks have (first: a/500.png)"
    assert str(refused.value).startswith(f"{source}: {line}; `?exclude=`")
    assert "`images: {two_valued: drop}`" in str(refused.value)
    dropped = load_data(source, preparation=rules("drop"))
    assert len(dropped) == 40
    assert f"left out: {line}" in dropped.notes
    assert all(len(np.unique(image)) > 2 for image in dropped.images)
    kept = load_data(source, preparation=rules("keep"))
    assert len(kept) == 56
    assert line in kept.notes


def test_the_cache_keeps_what_is_two_valued(tmp_path: Path) -> None:
    source = draw(tmp_path, 20, 6)
    for _ in range(2):
        assert len(load_data(source, preparation=rules("drop"))) == 20


@pytest.mark.parametrize(
    ("images", "masks", "black"), [(40, 2, 0), (40, 0, 9), (0, 40, 0), (0, 40, 5), (1, 40, 0)]
)
def test_few_of_them_black_images_and_drawings_are_kept(
    tmp_path: Path, images: int, masks: int, black: int
) -> None:
    assert len(load_data(draw(tmp_path, images, masks, black))) == images + masks + black


def test_the_audit_and_the_profile_tell_of_them(tmp_path: Path) -> None:
    survey = survey_source(open_source(draw(tmp_path / "mixed", 20, 5, 2)))
    finding = next(f for f in audit_survey(survey).findings if f.kind == "two_valued")
    assert (finding.count, finding.names[0]) == (5, "a/500.png")
    assert profile_survey(survey).two_valued == 5
    drawings = survey_source(open_source(draw(tmp_path / "drawings", 0, 20)))
    assert "two_valued" not in {f.kind for f in audit_survey(drawings).findings}
    assert profile_survey(drawings).two_valued == 20
    phantom = survey_source(open_source("phantom:covid?images=100"))
    assert profile_survey(phantom).two_valued == 0


@given(st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=400))
def test_masks_are_there_only_beside_other_images(levels: list[int]) -> None:
    counts = np.array(levels)
    few = at_most_two(counts)
    assert not few[counts == 0].any()
    if few.any():
        assert {0, 2} <= set(levels)
        assert few.sum() == (counts > 0).sum()
    if masks_among(counts):
        assert few.any()
        assert levels.count(2) >= 3

from pathlib import Path

import numpy as np
import pytest

from medray.errors import ConfigError, MedrayError
from medray.training.augment import Augmenter, check_pipeline

SHAPE = (28, 28, 1)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"Rotat": {}}, r"unknown transform 'Rotat' \(did you mean 'Rotate'\?\)"),
        (
            {"Rotate": {"limt": 3}},
            r"Rotate: unknown argument 'limt' \(did you mean 'limit'\?\); valid: border_mode",
        ),
        ({"Rotate": {"p": "often"}}, r"Rotate: p: 'often' is not allowed: Input should be a valid number"),
        ({"Rotate": {"p": 3}}, r"Rotate: p: 3 is not allowed: Input should be less than or equal to 1"),
        ({"Normalize": {}}, r"turns an image of uint8 28×28×1 into float32"),
        ({"RandomCrop": {"height": 8, "width": 8}}, r"into uint8 8×8×1; a pipeline must keep type and shape"),
        ({"OneOf": {"transforms": [{"Rotat": {}}]}}, r"unknown transform 'Rotat'"),
    ],
)
def test_a_wrong_pipeline_is_named(step: dict[str, dict[str, object]], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        check_pipeline([{"HorizontalFlip": {}}, step], SHAPE)
    assert str(caught.value).startswith("[1]")
    assert "\n" not in str(caught.value)


def test_the_same_seed_gives_the_same_images_and_each_its_own_draw() -> None:
    images = np.repeat(np.random.default_rng(0).integers(0, 256, (1, *SHAPE), dtype=np.uint8), 32, axis=0)
    augment = Augmenter([{"Rotate": {"limit": 40, "p": 1.0}}])
    once, again = augment(images.copy(), 7), augment(images.copy(), 7)
    assert np.array_equal(once, again)
    assert not np.array_equal(once, augment(images.copy(), 8))
    assert len(np.unique(once.reshape(32, -1), axis=0)) == 32


def test_an_empty_pipeline_changes_nothing() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, *SHAPE), dtype=np.uint8)
    assert np.array_equal(Augmenter([])(images.copy(), 0), images)


def test_the_heir_of_albumentations_is_refused_unless_its_terms_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the same import name, and another licence."""
    facts = tmp_path / "albumentationsx-2.4.9.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: albumentationsx\nVersion: 2.4.9\n")
    monkeypatch.syspath_prepend(tmp_path)
    sharpened = [{"Sharpen": {"p": 1.0}}]
    with pytest.raises(
        MedrayError, match=r"albumentationsx, which is under AGPL 3 .* by MEDRAY_ALBUMENTATIONSX=allow"
    ):
        check_pipeline(sharpened, SHAPE)
    check_pipeline([{"HorizontalFlip": {"p": 0.5}}], SHAPE)  # has a batched form of our own
    monkeypatch.setenv("MEDRAY_ALBUMENTATIONSX", "allow")
    check_pipeline(sharpened, SHAPE)


@pytest.mark.parametrize(
    "step",
    [
        {"HorizontalFlip": {"p": 0.5}},
        {"Affine": {"rotate": (-20, 20), "scale": (0.8, 1.2), "p": 0.8}},
        {"RandomBrightnessContrast": {"p": 0.5}},
        {"GaussNoise": {"p": 0.5}},
        {"ElasticTransform": {"p": 0.5, "alpha": 20, "sigma": 4}},
        {"CoarseDropout": {"fill": "random", "p": 0.5}},
        {"Erasing": {"fill": "random_uniform", "p": 0.5}},
        {"OneOf": {"transforms": [{"GaussianBlur": {}}, {"GaussNoise": {}}], "p": 0.8}},
        {"Sharpen": {"p": 0.5}},
    ],
    ids=lambda step: next(iter(step)),
)
def test_some_images_of_a_batch_are_as_if_all_were_transformed(step: dict[str, dict[str, object]]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (24, *SHAPE), dtype=np.uint8)
    augment = Augmenter([{"Rotate": {"limit": 40, "p": 0.5}}, step, {"VerticalFlip": {"p": 0.5}}])
    every, rows = augment(images.copy(), 3), np.arange(9, 17)
    assert not np.array_equal(every, images)
    assert np.array_equal(augment(images.copy(), 3, rows)[rows], every[rows])

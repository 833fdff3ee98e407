"""OodDetector: features against plain loops, what it flags, the share it flags, and what it refuses."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from medray._types import Array, Shape
from medray.decisions import ood
from medray.decisions.ood import OodDetector, OodFacts, fit_ood
from medray.decisions.ood_features import image_features, octaves
from medray.errors import ConfigError, DataError, RunError

SHAPE = (28, 28, 1)


def scans(count: int, seed: int = 0, shape: Shape = SHAPE) -> Array:
    """Images of one kind: a soft bright disc near the middle on a dark ground, slightly noisy."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    centre, size = rng.normal(0, 0.15, (2, count, 1, 1)), rng.uniform(0.3, 0.6, (count, 1, 1))
    reach = np.hypot(x - centre[0], y - centre[1]) / size
    disc = rng.uniform(120, 180, (count, 1, 1)) / (1 + reach**4) + rng.uniform(20, 40, (count, 1, 1))
    grey = disc[..., None] + rng.normal(0, 5, (count, *shape))
    return grey.clip(0, 255).astype(np.uint8)


def photograph_crops(count: int, shape: Shape = SHAPE) -> Array:
    """Squares of the two photographs that come with scikit-learn, as small grey or RGB images."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    rng, crops = np.random.default_rng(0), []
    photos = load_sample_images().images
    for number in range(count):
        side = int(rng.integers(150, 420))
        top, left = rng.integers(0, 427 - side), rng.integers(0, 640 - side)
        crop = Image.fromarray(photos[number % 2][top : top + side, left : left + side])
        crop = crop.convert("L" if shape[2] == 1 else "RGB").resize(shape[1::-1], Image.Resampling.BOX)
        crops.append(np.asarray(crop).reshape(shape))
    return np.stack(crops)


@pytest.fixture(scope="module")
def fitted() -> OodDetector:
    return fit_ood(scans(400, 1), scans(200, 2))


# -- features


def loop_over_squares(grey: Array) -> list[list[float]]:
    """Differences in squares of 2 x 2 of one image: across, down, aslant."""
    squares = [
        (grey[y, x], grey[y, x + 1], grey[y + 1, x], grey[y + 1, x + 1])
        for y in range(0, len(grey) - 1, 2)
        for x in range(0, grey.shape[1] - 1, 2)
    ]
    return [
        [a - b + c - d for a, b, c, d in squares],
        [a + b - c - d for a, b, c, d in squares],
        [a - b - c + d for a, b, c, d in squares],
    ]


@pytest.mark.parametrize(
    "shape", [(4, 4, 1), (5, 7, 3), (28, 28, 1), (9, 33, 3), (3, 50, 1), (200, 8, 3), (1, 1, 1)]
)
def test_features_are_those_of_a_loop(shape: Shape) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, *shape), dtype=np.uint8)
    statistics, thumbnails = image_features(images)
    for image, row, small in zip(images, statistics, thumbnails, strict=True):
        grey, expected = image.astype(float).mean(axis=2) / 255, []
        for _ in range(octaves(shape)):
            bands = [np.array(band) / 2 for band in loop_over_squares(grey)]
            strengths = [math.log(np.abs(band).mean() + 1e-3) for band in bands]
            spreads = [math.log(math.sqrt((band**2).mean()) + 1e-3) for band in bands]
            expected += strengths + [spread - s for spread, s in zip(spreads, strengths, strict=True)]
            height, width = grey.shape[0] // 2 * 2, grey.shape[1] // 2 * 2
            blocks = grey[:height, :width].reshape(height // 2, 2, width // 2, 2)
            grey = blocks.mean(axis=(1, 3))
        seen = image[:: max(1, shape[0] // 64)].astype(int)  # of tall images a part of the rows
        tones, _ = np.histogram(seen.sum(axis=2), bins=8, range=(0, 256 * shape[2]))
        expected += list(np.sqrt(tones / tones.sum()))
        cells = [
            part.mean(axis=(0, 1)) / 255
            for strip in np.split(image, [i * shape[0] // 8 for i in range(1, 8)] if shape[0] > 8 else shape[0])
            for part in np.split(
                strip, [i * shape[1] // 8 for i in range(1, 8)] if shape[1] > 8 else shape[1], axis=1
            )
        ]
        assert small == pytest.approx(np.concatenate(cells), abs=1e-12)
        if shape[2] == 3:
            opponents = [[red - green, blue - (red + green) / 2] for red, green, blue in cells]
            expected += [*np.mean(opponents, axis=0), *np.std(opponents, axis=0)]
        assert row == pytest.approx(expected, abs=1e-6)  # the differences are float32


@pytest.mark.parametrize("side", [1, 2, 3, 4, 7, 8, 28, 224])
def test_every_octave_has_something_to_measure(side: int) -> None:
    assert side // 2 ** octaves((side, side, 1)) >= 1 or side < 4
    statistics, _ = image_features(np.full((2, side, side, 3), 255, dtype=np.uint8))
    assert np.isfinite(statistics).all()


# -- what it flags


def other_kinds() -> dict[str, Array]:
    rng, images = np.random.default_rng(9), scans(60, 3)
    along = np.linspace(30, 220, 28).astype(np.uint8)
    return {
        "noise": rng.integers(0, 256, (60, *SHAPE), dtype=np.uint8),
        "constant": np.arange(0, 256, 5, dtype=np.uint8).repeat(784).reshape(-1, *SHAPE),
        "photographs": photograph_crops(60),
        "inverted": 255 - images,
        "shuffled": rng.permuted(images.reshape(60, -1), axis=1).reshape(images.shape),
        "slope": np.broadcast_to(along[None, None, :, None], (2, *SHAPE)),
    }


def test_other_kinds_of_image_are_flagged_and_further_ones_of_the_same_are_not(fitted: OodDetector) -> None:
    flagged = {kind: float(fitted.flags(images).mean()) for kind, images in other_kinds().items()}
    assert min(flagged.values()) > 0.95, flagged
    assert fitted.flags(scans(1000, 4)).mean() < 0.04
    assert fitted.scores(scans(1000, 4)).mean() == pytest.approx(1, abs=0.15)


def test_colours_that_no_training_image_has_are_flagged() -> None:
    shape = (32, 24, 3)
    fitted = fit_ood(scans(100, 1, shape), scans(100, 2, shape))
    assert fitted.flags(scans(100, 3, shape)).mean() < 0.08
    tinted = scans(50, 3, shape)
    tinted[..., 0] //= 2
    assert fitted.flags(tinted).mean() > 0.95
    assert fitted.flags(photograph_crops(50, shape)).mean() > 0.95


def test_the_threshold_leaves_the_wanted_number_of_held_out_images_above_it() -> None:
    train, held_out = scans(100, 1), scans(199, 2)
    for wanted, above in ((0.01, 1), (0.05, 9), (0.1, 19), (0.5, 99)):
        fitted = fit_ood(train, held_out, false_alarms=wanted)
        assert fitted.flags(held_out).sum() == above
        assert fitted.facts.false_alarms == pytest.approx((above + 1) / 200)
        assert fitted.facts.false_alarms <= wanted + 1e-12
        assert (fitted.facts.train_images, fitted.facts.images) == (100, 199)


def test_too_few_held_out_images_for_the_rate_say_what_rate_they_can_give() -> None:
    fitted = fit_ood(scans(100, 1), scans(20, 2), false_alarms=0.01)
    assert not fitted.flags(scans(20, 2)).any()
    assert fitted.facts.false_alarms == pytest.approx(1 / 21)


def test_the_rate_of_false_alarms_is_the_promised_one() -> None:
    """Over many held-out sets: 5 % of new images on average, to within a few standard errors (0.6 %)."""
    train, shape, rates = scans(80, 1, (12, 12, 1)), (12, 12, 1), []
    for seed in range(15):
        fitted = fit_ood(train, scans(99, 100 + seed, shape), false_alarms=0.05)
        rates.append(fitted.flags(scans(300, 1000 + seed, shape)).mean())
    assert np.mean(rates) == pytest.approx(fitted.facts.false_alarms, abs=0.02)


# -- numbers


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    return draw(st.integers(1, 40)), draw(st.integers(1, 40)), draw(st.sampled_from([1, 3]))


@settings(deadline=None, max_examples=15)
@given(shapes(), st.integers(0, 2**32 - 1), st.sampled_from([2, 40, 256]))
def test_an_image_scores_the_same_alone_and_in_any_batch(shape: Shape, seed: int, tones: int) -> None:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, tones, (40, *shape), dtype=np.uint8)
    fitted = fit_ood(images[:12], images[12:24])
    together = fitted.scores(images)
    alone = np.concatenate([fitted.scores(images[i : i + 1]) for i in range(40)])
    order = rng.permutation(40)
    assert np.isfinite(together).all()
    assert alone == pytest.approx(together, rel=1e-9, abs=1e-9)
    assert fitted.scores(images[order]) == pytest.approx(together[order], rel=1e-9, abs=1e-9)


def test_parts_of_a_large_batch_are_put_together_in_order(
    fitted: OodDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = scans(100, 5)
    scores = fitted.scores(images)
    monkeypatch.setattr("medray.decisions.ood_features.PIXELS", 3 * 784)
    assert fitted.scores(images) == pytest.approx(scores, rel=1e-12)
    assert fitted.scores(images[:0]).shape == (0,)
    assert fitted.flags(images[:0]).shape == (0,)


def test_images_that_are_no_different_from_one_another_can_be_learnt_from() -> None:
    same = np.full((20, *SHAPE), 100, dtype=np.uint8)
    fitted = fit_ood(same, same)
    assert not fitted.flags(same).any()
    others = scans(20, 1)
    assert np.isfinite(fitted.scores(others)).all()
    assert fitted.flags(others).all()
    assert fitted.flags(same + 20).all()


def test_fewer_training_images_than_features() -> None:
    fitted = fit_ood(scans(10, 1), scans(100, 2))
    assert len(fitted.feature_mean) > 30
    assert fitted.flags(scans(300, 3)).mean() < 0.05
    assert fitted.flags(np.random.default_rng(0).integers(0, 256, (20, *SHAPE), dtype=np.uint8)).all()


def test_of_very_many_images_always_the_same_part_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ood, "MOST", 50)
    train, held_out = scans(120, 1), scans(80, 2)
    first, second = fit_ood(train, held_out), fit_ood(train, held_out)
    assert (first.facts.train_images, first.facts.images) == (50, 50)
    assert (first.scores(held_out) == second.scores(held_out)).all()


def test_the_order_of_the_training_images_does_not_matter() -> None:
    train, held_out = scans(60, 1), scans(60, 2)
    first, second = fit_ood(train, held_out), fit_ood(train[::-1], held_out[::-1])
    assert second.scores(scans(60, 3)) == pytest.approx(first.scores(scans(60, 3)), rel=1e-4)  # arrays are float32


# -- what it refuses


@pytest.mark.parametrize(
    ("train", "held_out", "message"),
    [
        (scans(9), scans(20), "9 training images are too few to detect what is unlike them; 10 are needed"),
        (scans(20), scans(9), "9 held-out images are too few to detect what is unlike them; 10 are needed"),
        (scans(20), scans(0), "0 held-out images are too few"),
        (scans(20).astype(np.float32), scans(20), r"training images are float32 \(20, 28, 28, 1\), not uint8"),
        (scans(20)[..., 0], scans(20), r"training images are uint8 \(20, 28, 28\), not uint8 \(N, H, W, C\)"),
        (scans(20), scans(20)[:, :14], r"held-out images are uint8 \(20, 14, 28, 1\), not uint8 \(N, 28, 28, 1\)"),
        (scans(20)[:, :0], scans(20)[:, :0], r"training images are uint8 \(20, 0, 28, 1\)"),
    ],
)
def test_images_that_can_not_be_learnt_from(train: Array, held_out: Array, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        fit_ood(train, held_out)
    assert "\n" not in str(caught.value)


def test_rates_and_images_that_can_not_be_used(fitted: OodDetector) -> None:
    for rate in (0.0, 1.0, -0.1, float("nan")):
        with pytest.raises(ConfigError, match=r"false_alarms is .*; it must lie between 0 and 1"):
            fit_ood(scans(20), scans(20), false_alarms=rate)
    for images in (scans(2)[:, :27], scans(2).astype(np.int64), scans(2)[0], np.zeros((2, 28, 28, 3), np.uint8)):
        with pytest.raises(DataError, match=r"images are .*, not uint8 \(N, 28, 28, 1\)"):
            fitted.scores(images)


# -- parts


def test_nothing_is_lost_on_the_way_through_files(fitted: OodDetector) -> None:
    content, tensors = json.loads(json.dumps(fitted.facts.to_dict())), load(save(fitted.to_tensors()))
    back = OodDetector.from_tensors(OodFacts.from_dict(content), tensors, SHAPE)
    images = scans(50, 5)
    assert (back.scores(images) == fitted.scores(images)).all()
    assert (back.flags(images) == fitted.flags(images)).all()
    assert back.facts == fitted.facts
    assert set(content) == {"method", "threshold", "false_alarms", "train_images", "images"}
    assert all(array.dtype == np.float32 for array in fitted.to_tensors().values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "texture"}, "unknown method 'texture'"),
        ({"threshold": -1.0}, "out of range"),
        ({"threshold": float("nan")}, "threshold: damaged: nan is not a number"),
        ({"threshold": "2"}, "threshold: damaged: '2' is not a number"),
        ({"images": 9}, "out of range"),
        ({"train_images": 0}, "out of range"),
        ({"false_alarms": 0.0}, "false_alarms can't be that of 200 images"),
        ({"false_alarms": 0.0123}, "false_alarms can't be that of 200 images"),
        ({"false_alarms": 7}, "false_alarms can't be that of 200 images"),
        ({"images": True}, "images: damaged: True is not a whole number"),
        ({"treshold": 2.0}, r"unknown field 'treshold' \(did you mean 'threshold'\?\)"),
    ],
)
def test_damaged_values(fitted: OodDetector, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RunError, match=message) as caught:
        OodFacts.from_dict(fitted.facts.to_dict() | changes)
    assert "\n" not in str(caught.value)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_damaged_parts_are_refused_in_one_line(fitted: OodDetector, data: st.DataObject) -> None:
    content, tensors = fitted.facts.to_dict(), dict(fitted.to_tensors())
    where: dict[str, Any] = content if data.draw(st.booleans()) else tensors
    name = data.draw(st.sampled_from(sorted(where)))
    way = data.draw(st.sampled_from(["drop", "rename", "value"]))
    if way == "value" and where is content:
        junk = st.one_of(st.none(), st.text(), st.booleans(), st.lists(st.integers()), st.floats(max_value=-1e-9))
        where[name] = data.draw(junk)
    elif way == "value":
        where[name] = data.draw(st.sampled_from([
            where[name].astype(np.float64), where[name][:-1], where[name] * np.float32("nan"), where[name][None],
        ]))  # fmt: skip
    else:
        value = where.pop(name)
        if way == "rename":
            where[data.draw(st.text(max_size=12).filter(lambda t: t not in where and t != name))] = value
    with pytest.raises(RunError) as caught:
        OodDetector.from_tensors(OodFacts.from_dict(content), tensors, SHAPE)
    assert "damaged: " in str(caught.value)


def test_parts_of_a_score_for_other_images_are_refused(fitted: OodDetector) -> None:
    for shape in ((28, 28, 3), (64, 64, 1), (7, 28, 1)):
        with pytest.raises(RunError, match=r"damaged: '.*' is float32 .*, not float32"):
            OodDetector.from_tensors(fitted.facts, fitted.to_tensors(), shape)

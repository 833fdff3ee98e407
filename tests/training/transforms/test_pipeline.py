"""What a pipeline is made of: p, nests, joined geometry, and what has no batched form."""

import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency

from medray.errors import ConfigError
from medray.training.augment import Augmenter, build_transform, check_pipeline, without_batched_form
from medray.training.transforms.arguments import Sampling
from medray.training.transforms.pipeline import BATCHED, NESTS
from medray.training.transforms.warps import affine_maps, quadrilateral_maps
from tests.training.transforms.drawn_images import (
    Pipeline,
    by_albumentations,
    by_device,
    by_host,
    copies,
    host_batch,
    ramps,
    texture,
)

H, V, T = {"HorizontalFlip": {"p": 0.3}}, {"VerticalFlip": {"p": 0.8}}, {"Transpose": {"p": 0.5}}
DARK = {"RandomBrightnessContrast": {"brightness_limit": [-0.2, -0.2], "contrast_limit": [0, 0], "p": 0.6}}
INVERTED = {"InvertImg": {"p": 0.4}}  # has no batched form
PIPELINES: list[Pipeline] = [
    [H, T, DARK],
    [{"D4": {}}],
    [{"RandomRotate90": {}}, H],
    [{"OneOf": {"transforms": [H, V, {"Transpose": {"p": 0}}, DARK], "p": 0.7}}],
    [{"OneOf": {"transforms": [H, {"OneOf": {"transforms": [V, T], "p": 0.1}}]}}],
    [{"Sequential": {"transforms": [H, DARK, INVERTED]}}, V],
    [{"OneOf": {"transforms": [{"Sequential": {"transforms": [H, V], "p": 0.5}}, {"SomeOf": {"transforms": [T], "p": 0.4}}], "p": 1}}],
    [{"SomeOf": {"transforms": [H, V, T, DARK], "n": 2, "p": 0.8}}],
    [{"SomeOf": {"transforms": [H, DARK, INVERTED], "n": 3, "replace": True}}],
    [{"RandomOrder": {"transforms": [{"HorizontalFlip": {"p": 1}}, {"Transpose": {"p": 0.9}}, DARK], "n": 2}}],
    [{"Compose": {"transforms": [H, T]}}, {"OneOf": {"transforms": [INVERTED, DARK], "p": 0.9}}],
]  # fmt: skip


@pytest.mark.parametrize("pipeline", PIPELINES, ids=range(len(PIPELINES)))
def test_each_outcome_is_as_frequent_as_albumentations(pipeline: Pipeline) -> None:
    images = copies(texture(1, 5), 1500)
    tables = [drawn(pipeline, images, 1).reshape(1500, -1) for drawn in (by_host, by_albumentations)]
    outcomes, index = np.unique(np.concatenate(tables), axis=0, return_inverse=True)
    counts = np.stack([np.bincount(part, minlength=len(outcomes)) for part in np.split(index.ravel(), 2)])
    rare = counts.sum(axis=0) < 10
    counts = np.concatenate([counts[:, ~rare], counts[:, rare].sum(axis=1, keepdims=True)], axis=1)
    assert counts.shape[1] > 2
    assert chi2_contingency(counts[:, counts.sum(axis=0) > 0]).pvalue > 1e-4, counts


numbers = st.floats(-1, 1)


@given(
    turns=st.tuples(numbers, numbers), scales=st.tuples(numbers, numbers), shifts=st.tuples(*[numbers] * 4),
    corner=st.floats(0, 0.3), second=st.sampled_from(["affine", "perspective"]), fill=st.sampled_from([0.0, 255.0]),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
@example((0, 0), (-1, 1), (0, 0, 0, 0), 0, "affine", 255.0)  # made smaller, then larger: the frame shows
@example((1, -1), (0, 0), (1, 0, -1, 0), 0.2, "perspective", 255.0)
def test_joined_warps_show_what_one_after_the_other_shows(
    turns: tuple[float, float], scales: tuple[float, float], shifts: tuple[float, ...], corner: float, second: str,
    fill: float,
) -> None:  # fmt: skip
    image, rows = ramps(), np.arange(1)
    joined, stepwise = host_batch(copies(image, 1)), host_batch(copies(image, 1))
    none = np.zeros((1, 2))
    for batch in (joined, stepwise):
        sampling = Sampling(fill=(fill,))
        for i in range(2):
            shift, scale = 8 * np.array([shifts[2 * i : 2 * i + 2]]), np.full((1, 2), 1.5 ** scales[i])
            maps = affine_maps(batch, shift, none, scale, 40 * np.array([turns[i]]))
            if i and second == "perspective":
                far, near = batch.width * (1 - corner), batch.width * corner
                maps = quadrilateral_maps(np.array([[[0, 0], [far, near], [far, far], [near, far]]]), 40, 40)
            batch.warp(rows, maps, sampling)
            if batch is stepwise:
                batch.settle(rows)
        batch.settle(rows)
    ours, expected = (batch.pixels.read(rows).astype(int) for batch in (joined, stepwise))
    off = np.abs(ours - expected).max(axis=-1)
    assert np.median(off) <= 3
    assert (off > 40).mean() < 0.12  # the image's edge, 1/10 of it, is smoothed once instead of twice


STEPS: list[dict[str, dict[str, Any]]] = [
    H, V, T, DARK, INVERTED, {"D4": {}}, {"Rotate": {"limit": 30}}, {"Affine": {"scale": [0.7, 1.2], "rotate": 9}},
    {"Perspective": {}}, {"RandomGamma": {}}, {"ColorJitter": {"hue": 0}}, {"ToGray": {}}, {"GaussianBlur": {}},
    {"CoarseDropout": {"fill": 77}}, {"Erasing": {}}, {"RandomResizedCrop": {"size": [12, 12], "scale": [0.3, 1]}},
]  # fmt: skip
steps = st.recursive(
    st.sampled_from(STEPS),
    lambda inner: st.builds(
        lambda name, transforms: {name: {"transforms": transforms}},
        st.sampled_from(sorted(NESTS)), st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=4,
)  # fmt: skip


def test_a_crop_of_another_size_is_refused() -> None:
    crop = Augmenter([{"RandomResizedCrop": {"size": [8, 8]}}])
    with pytest.raises(ConfigError, match=r"^RandomResizedCrop.size: 8×8 is not the images' size, 6×6$"):
        crop(np.zeros((2, 6, 6, 3), dtype=np.uint8), 0)


@pytest.mark.filterwarnings("ignore:The image is already gray")
@given(st.lists(steps, max_size=4), st.sampled_from([1, 3]), st.integers(1, 9), st.integers(0, 2**31 - 1))
@settings(max_examples=60, deadline=None)
def test_any_pipeline_changes_each_image_by_its_seed_alone(
    pipeline: Pipeline, channels: int, count: int, seed: int
) -> None:
    check_pipeline(pipeline, (12, 12, channels))
    images = copies(texture(channels, 12), count)
    images[1:] = np.random.default_rng(seed).integers(0, 256, images[1:].shape)
    first = by_host(pipeline, images, seed)
    assert first.shape == images.shape
    assert first.dtype == np.uint8
    assert np.array_equal(by_host(pipeline, images, seed), first)
    others = images.copy()
    others[1:] = 0
    assert np.array_equal(by_host(pipeline, others, seed)[0], first[0])
    assert np.abs(by_device(pipeline, images, seed)[0].astype(int) - first[0]).mean() < 2


def test_no_step_disturbs_the_draws_of_another() -> None:
    images = copies(texture(), 40)
    draws_much = {"PixelDropout": {"dropout_prob": 0.0, "p": 1}}
    results = [
        by_host([step, {"Rotate": {}}, H], images)
        for step in (draws_much, {"NoOp": {"p": 1}}, {"Rotate": {"p": 0}})
    ]
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])
    assert len(np.unique(results[0].reshape(40, -1), axis=0)) > 10


def test_what_has_no_batched_form_is_named() -> None:
    nest = {"OneOf": {"transforms": [INVERTED, H, {"Rotate": {"crop_border": True}}, {"CLAHE": {}}]}}
    assert without_batched_form([H, nest, INVERTED]) == ["InvertImg", "Rotate", "CLAHE"]
    assert without_batched_form([{"OneOrOther": {"first": H, "second": V}}]) == ["OneOrOther"]
    assert without_batched_form([{name: {}} for name in BATCHED if name != "RandomResizedCrop"]) == []


values = st.sampled_from([
    0, 1, 2, 0.3, -0.4, 40, 300, None, "x", True, float("nan"), [0.1, 0.2], [2, 1], [1, 3], [3, 7], [-20, 20], [0.5], [1, 2, 3],
    {"x": [1, 2]}, {"z": 1}, {},
])  # fmt: skip


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_what_albumentations_refuses_has_no_batched_form(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(BATCHED)))
    arguments = {"size": [8, 8]} if name == "RandomResizedCrop" else {}
    known = build_transform({name: arguments}).get_transform_init_args()
    names = st.sampled_from(["p", "unknown", *known])
    step = {name: arguments | data.draw(st.dictionaries(names, values, max_size=2))}
    try:
        build_transform(step)
    except ConfigError:
        assert without_batched_form([step]) == [name]


def test_images_that_are_not_square_are_not_turned_on_their_side() -> None:
    check_pipeline([H, V], (8, 6, 3))
    for step in ({"D4": {}}, {"OneOf": {"transforms": [H, {"RandomRotate90": {}}], "p": 1}}):
        with pytest.raises(ConfigError, match=r"^\[1\]\..*"):
            check_pipeline([H, step], (8, 6, 3))
    with pytest.raises(
        ConfigError, match=r"^Transpose: turns images of 8×6 on their side, which .*: use it with square"
    ):
        Augmenter([{"Transpose": {"p": 1}}])(np.zeros((2, 8, 6, 3), dtype=np.uint8), 0)


def test_flips_of_the_same_p_are_drawn_independently() -> None:
    images = copies(texture(1, 5), 400)
    results = by_host([{"HorizontalFlip": {"p": 0.5}}, {"VerticalFlip": {"p": 0.5}}], images)
    _, counts = np.unique(results.reshape(400, -1), axis=0, return_counts=True)
    assert len(counts) == 4
    assert counts.min() > 60


def test_training_needs_no_albumentations_for_batched_forms() -> None:
    code = """
import sys
sys.modules["albumentations"] = None
import numpy as np
from medray.errors import MedrayError
from medray.training.augment import Augmenter
from medray.training.transforms.host import opencv
nest = {"OneOf": {"transforms": [{"D4": {}}, {"ColorJitter": {}}], "p": 1}}
images = np.random.default_rng(0).integers(0, 256, (9, 8, 8, 3), dtype=np.uint8)
first = Augmenter([{"Rotate": {}}, nest, {"Blur": {}}])(images.copy(), 0)
opencv.cache_clear()
sys.modules["cv2"] = None
second = Augmenter([{"Rotate": {}}, nest, {"Blur": {}}])(images.copy(), 0)
assert (first != images).any() and abs(first - second.astype(float)).mean() < 1
try:
    Augmenter([{"CLAHE": {}}])
except MedrayError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("albumentations can't be imported")


def test_threads_that_build_transforms_leave_the_filters_of_warnings_as_they_were() -> None:
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: build_transform({"CLAHE": {}}), range(400)))
    assert warnings.filters == before

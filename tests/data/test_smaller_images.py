"""Images at smaller sizes: made once, mapped by all, and the size that a data set is read at for them."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medray.data import smaller_images
from medray.data.cache import array_cache
from medray.data.dataset import ImageDataset
from medray.data.load_data import load_data
from medray.data.resampling import shrink
from medray.data.smaller_images import keep_smaller
from medray.errors import DataError
from medray.space.loading import parse
from medray.space.preparation import Preparation

HEAD = """
name: mine
data: phantom
objective: {metric: auc}
budget: {trials: 4, max_epochs: 6, grace_epochs: 2, reduction_factor: 2, patience: null}
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "cache"))


def test_the_sizes_below_the_data_sets_own_are_kept_and_given_to_every_slice(dataset: ImageDataset) -> None:
    kept = keep_smaller(dataset, [8, 12, 40, 6])
    assert sorted(kept.smaller) == [6, 8]
    for split in ("train", "val"):
        small, images = kept.split(split).sized(8), kept.split(split)
        assert small.shape == (8, 8, 1)
        assert not small.images.flags.writeable
        assert (small.take(np.arange(5))[0] == shrink(images.take(np.arange(5))[0], (8, 8))).all()
        assert (small.own_labels == images.own_labels).all()
        for same in (None, 12, 40):
            assert images.sized(same) is images
        assert small.sized(8) is small
    assert kept.fingerprint == dataset.fingerprint


def test_a_size_that_is_not_kept_gives_the_same_pixels(dataset: ImageDataset) -> None:
    read, kept = dataset.split("train").sized(7), keep_smaller(dataset, [7]).split("train").sized(7)
    assert read.shape == kept.shape
    assert (read.take(np.arange(20))[0] == kept.take(np.arange(20))[0]).all()
    assert read.fingerprint == kept.fingerprint


def test_they_are_made_once_for_all_splits_and_folds(
    dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    first = keep_smaller(dataset, [8], lambda message, done, _: seen.append((message, done)))
    assert seen[0][0] == "Making images of 8 pixels"
    assert seen[-1][1] == len(dataset)
    monkeypatch.setattr(smaller_images, "shrink", None)
    inside = replace(dataset, splits={"train": np.arange(9), "val": np.arange(9, 12)})
    again = keep_smaller(inside, [8])
    assert (again.smaller[8].images == first.smaller[8].images).all()
    with pytest.raises(TypeError):
        keep_smaller(replace(dataset, images=255 - dataset.images), [8])  # other pixels


def test_a_pickle_holds_the_path_of_mapped_images_or_else_the_images(dataset: ImageDataset) -> None:
    kept = keep_smaller(dataset, [8])
    content = kept.smaller[8].images
    mapped = pickle.dumps(kept.smaller)
    assert len(mapped) < content.nbytes / 4
    for text in (mapped, pickle.dumps(kept.unmapped().smaller)):
        back = pickle.loads(text)[8].images
        assert (back == content).all()
        assert not back.flags.writeable
    path = kept.smaller[8].mapped
    assert path is not None
    Path(path).unlink()
    assert (pickle.loads(pickle.dumps(kept.unmapped())).smaller[8].images == content).all()
    with pytest.raises(DataError, match="its decoded images are gone"):
        pickle.loads(mapped)


def test_what_the_cache_has_no_room_for_is_not_kept_and_said(
    dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDRAY_CACHE_GIB", str(len(dataset) * 70 / 2**30))
    kept = keep_smaller(dataset, [8, 6, 4])
    assert sorted(kept.smaller) == [8]
    assert kept.notes[-1].startswith("images of 4 pixels are made anew for each epoch")
    assert len(kept.notes) == len(dataset.notes) + 2
    assert len(array_cache.entries()) == 1


@pytest.mark.parametrize(
    ("lines", "shape"),
    [
        ("space: {image_size: {choice: [8, 6]}}", (8, 8, 1)),
        ("space: {image_size: {choice: [8, 40]}}", (12, 12, 1)),
        ("space: {image_size: {choice: [8, null]}}", (12, 12, 1)),
        ("space: {dropout: {uniform: [0, 0.5]}}\nfixed: {image_size: 6}", (6, 6, 1)),
        (
            "space: {dropout: {uniform: [0, 0.5]}}\nbaselines: {a: {image_size: 9, compare_only: true}}",
            (12, 12, 1),
        ),
        (
            "space: {backbone: {choice: [lenet5, cnn5]}, image_size: [{choice: [6], when: {backbone: cnn5}}]}",
            (12, 12, 1),
        ),
        ("images: {image_size: [10, 5]}\nspace: {image_size: {choice: [8, 6]}}", (10, 5, 1)),
        ("space: {dropout: {uniform: [0, 0.5]}}", (12, 12, 1)),
    ],
)
def test_arrays_shrink_to_the_largest_size_that_is_asked_for(
    npz: Path, lines: str, shape: tuple[int, int, int]
) -> None:
    space = parse(HEAD + lines, "mine.yaml")
    assert load_data(str(npz), preparation=space.preparation).shape == shape


def draw(folder: Path, sizes: list[tuple[int, int]]) -> str:
    """Write images of two classes in turn, each of (width, height)."""
    rng = np.random.default_rng(0)
    for number in range(60):
        width, height = sizes[number % len(sizes)] if number < 59 else sizes[-1]
        pixels = rng.integers(0, 256, (height, width), dtype=np.uint8)
        path = folder / ("sick" if number % 2 else "well") / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return f"folder:{folder}"


@pytest.mark.parametrize(
    ("sizes", "shape", "resized"),
    [
        ([(40, 30)], (15, 20, 1), True),  # one size: in proportion
        ([(16, 12)], (12, 16, 1), False),  # one size below the largest: their own
        ([(16, 12), (40, 30)], (20, 20, 1), True),  # several: a square of the largest
        ([(40, 30), (80, 60)], (20, 20, 1), True),
        ([(40, 30)] * 59 + [(16, 12)], (20, 20, 1), True),  # which only the last file shows
    ],
)
def test_files_are_decoded_at_the_largest_size_and_never_above_their_own(
    tmp_path: Path, sizes: list[tuple[int, int]], shape: tuple[int, int, int], resized: bool
) -> None:
    source, asked = draw(tmp_path / "films", sizes), Preparation(longest=20)
    dataset = load_data(source, preparation=asked)
    assert dataset.shape == shape
    assert ("60 images resized" in dataset.notes) == resized
    assert not any("another size" in note for note in dataset.notes)
    assert load_data(source, preparation=asked).fingerprint == dataset.fingerprint
    if len(sizes) > 1:
        with pytest.raises(DataError, match="say which size all shall have"):
            load_data(source)

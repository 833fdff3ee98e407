"""Duplicates are found in any orientation, size and compression; look-alikes are not."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray._types import Array
from medray.audit.survey_images import survey_dataset, survey_files
from medray.data.dataset import ImageDataset
from medray.data.similarity.duplicates import (
    BITS,
    REGISTERED,
    SMALL_REGISTERED,
    correlations,
    find_duplicates,
    near_pairs,
)
from medray.data.similarity.measures import measure, shrink
from medray.data.similarity.perceptual_hash import ORIENTATION_NAMES, details, hashes, reorient, spectra
from medray.data.similarity.registration import registered_pairs
from medray.errors import DataError
from tests.audit.audit_samples import COPIERS, Folder, blobs, encoded, phantom
from tests.data.similarity.changed_copies import CHANGES

KINDS = {
    "organs": lambda: phantom().images[:150],
    "blobs": lambda: blobs(150),
    "colours": lambda: blobs(60, channels=3),
}


def dataset_of(images: Array) -> ImageDataset:
    splits = {"train": np.arange(len(images))}
    return ImageDataset(images, np.arange(len(images)) % 2, ("a", "b"), splits, "test")


@pytest.mark.parametrize("kind", KINDS)
def test_every_planted_copy_is_found_and_nothing_else(tmp_path: Path, kind: str) -> None:
    images, folder = KINDS[kind](), Folder(tmp_path)
    planted = set()
    for image in images:
        folder.add(encoded(image))
    for number, make in enumerate(COPIERS.values()):
        for original in range(number * 5, number * 5 + 5):
            planted.add((original, folder.add(make(images[original]))))
    duplicates = find_duplicates(survey_files(folder.listing()).measures)
    near = set(zip(duplicates.first.tolist(), duplicates.second.tolist(), strict=True))
    same = {pair for pair in planted if duplicates.content[pair[0]] == duplicates.content[pair[1]]}
    assert len(same) == 5
    assert near | same == planted


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("size", [64, 28])
def test_cropped_shifted_and_marked_copies_are_found_and_nothing_else(change: str, size: int) -> None:
    images = blobs(120, size=size, seed=2)
    copies = np.stack([CHANGES[change](image) for image in images[:40]])
    duplicates = find_duplicates(survey_dataset(dataset_of(np.concatenate([images, copies]))).measures)
    near = set(zip(duplicates.first.tolist(), duplicates.second.tolist(), strict=True))
    assert near <= {(original, 120 + original) for original in range(40)}
    assert len(near) >= 39


def test_marks_are_no_details_of_dim_images() -> None:
    images = blobs(80, seed=2) // 8
    images[79] = CHANGES["mark"](images[0])
    duplicates = find_duplicates(survey_dataset(dataset_of(images)).measures)
    assert list(zip(duplicates.first.tolist(), duplicates.second.tolist(), strict=True)) == [(0, 79)]


@pytest.mark.parametrize(("size", "pairs"), [(20, []), (24, [(0, 59)])])
def test_shifts_of_images_below_24_pixels_are_not_looked_for(size: int, pairs: list[tuple[int, int]]) -> None:
    """At 16 x 20 the fitted windows of different images are as alike as those of copies."""
    images = blobs(60, size=size)
    images[59] = CHANGES["shift"](images[0])
    duplicates = find_duplicates(survey_dataset(dataset_of(images)).measures)
    assert list(zip(duplicates.first.tolist(), duplicates.second.tolist(), strict=True)) == pairs


def test_windows_of_small_images_must_be_more_alike() -> None:
    """A small image has less that could differ: two films of one patient at 28 x 28 have up to 0.986."""
    for size, pairs in ((64, [(0, 59)]), (28, [])):
        images = blobs(60, size=size, seed=2)
        copy, other = (CHANGES["crop of 4 sides"](image).astype(float) for image in images[[0, 1]])
        between = []
        for share in np.linspace(0.05, 0.2, 16):
            images[59] = np.round(copy + share * (other - copy))
            first, second, _, correlation = registered_pairs(measure(shrink(images))["thumbnail"])
            fitted = correlation[(first == 0) & (second == 59)]
            if len(fitted) and REGISTERED < fitted[0] < SMALL_REGISTERED:
                duplicates = find_duplicates(survey_dataset(dataset_of(images)).measures)
                between.append(list(zip(duplicates.first.tolist(), duplicates.second.tolist(), strict=True)))
        assert between, size
        assert all(near == pairs for near in between)


def test_the_orientation_of_a_cropped_copy_is_what_turns_the_first_into_it() -> None:
    images = blobs(30)
    images[29] = CHANGES["crop of 4 sides"](np.rot90(images[0]))
    duplicates = find_duplicates(survey_dataset(dataset_of(images)).measures)
    assert list(zip(duplicates.first.tolist(), duplicates.second.tolist(), strict=True)) == [(0, 29)]
    assert ORIENTATION_NAMES[duplicates.orientation[0]] == "turned by 90 anticlockwise"


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_images_are_compared_too(count: int) -> None:
    images = np.concatenate([blobs(1), CHANGES["shift"](blobs(1)[0])[None], blobs(1, seed=3)])[:count]
    thumbnails = measure(shrink(images))["thumbnail"]
    first, second, _, correlation = registered_pairs(thumbnails)
    alike = correlation > 0.97
    assert list(zip(first[alike].tolist(), second[alike].tolist(), strict=True)) == [(0, 1)] * (count > 1)


def test_hashes_alone_call_many_images_alike_that_are_none() -> None:
    measures = survey_dataset(phantom()).measures
    candidates = near_pairs(hashes(spectra(measures.thumbnail)), BITS)[0]
    assert len(candidates) >= 10
    assert not len(find_duplicates(measures))  # of 180,000 pairs


def test_photographs_of_the_retina_are_not_alike_for_their_round_border() -> None:
    y, x = np.mgrid[:64, :64] - 31.5
    inside = (np.hypot(x, y) < 30)[None, ..., None]
    images = np.where(inside, 120 + blobs(300, seed=4) // 10, 0).astype(np.uint8)
    images[299] = images[0, ::-1]
    duplicates = find_duplicates(survey_dataset(dataset_of(images)).measures)
    assert list(zip(duplicates.first.tolist(), duplicates.second.tolist(), strict=True)) == [(0, 299)]


def test_orientation_is_what_turns_the_first_into_the_second() -> None:
    image = blobs(1)[0]
    turns = {"turned by 90 clockwise": np.rot90(image, -1), "mirrored left-right": image[:, ::-1],
             "turned by 90 anticlockwise": np.rot90(image), "transposed": image.transpose(1, 0, 2)}  # fmt: skip
    for name, other in turns.items():
        duplicates = find_duplicates(survey_dataset(dataset_of(np.stack([image, other]))).measures)
        assert [ORIENTATION_NAMES[number] for number in duplicates.orientation] == [name]
        assert duplicates.correlation[0] > 0.999


def test_coefficients_are_turned_as_images_are() -> None:
    images = blobs(3)
    spectrum = spectra(measure(shrink(images))["thumbnail"])
    orientations = [images, images[:, :, ::-1], images[:, ::-1], images[:, ::-1, ::-1]]
    orientations += [turned.transpose(0, 2, 1, 3) for turned in orientations]
    # Those that mirror before they transpose: the other two quarter turns.
    orientations[5], orientations[6] = np.rot90(images, -1, (1, 2)), np.rot90(images, 1, (1, 2))
    for number, turned in enumerate(orientations):
        measured = spectra(measure(shrink(turned))["thumbnail"])
        np.testing.assert_allclose(reorient(spectrum, number), measured, atol=1.0)


@given(st.integers(0, 2**32), st.integers(2, 150), st.integers(0, 25))
@settings(max_examples=40, deadline=None)
def test_near_pairs_are_those_of_brute_force(seed: int, count: int, bits: int) -> None:
    rng = np.random.default_rng(seed)
    hashed = rng.integers(0, 2**63, (8, count), dtype=np.uint64)
    copied = rng.integers(0, count, (count // 2, 2))
    for source, target in copied.tolist():  # so that there are pairs at all
        hashed[0, target] = hashed[rng.integers(8), source] ^ np.uint64(1 << int(rng.integers(63)))
    expected = {
        (i, j, o)
        for o in range(8)
        for i in range(count)
        for j in range(i + 1, count)
        if (int(hashed[o, i]) ^ int(hashed[0, j])).bit_count() <= bits
    }
    pairs = list(zip(*(column.tolist() for column in near_pairs(hashed, bits)), strict=True))
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == expected


def test_near_pairs_of_more_than_a_tile() -> None:
    rng = np.random.default_rng(0)
    hashed = rng.integers(0, 2**63, (8, 9000), dtype=np.uint64)
    pairs = [(0, 8999), (4095, 4096), (63, 64), (5000, 8191)]
    for number, (i, j) in enumerate(pairs):
        hashed[0, j] = hashed[number, i]
    near = near_pairs(hashed, 3)
    assert set(zip(*(column.tolist() for column in near), strict=True)) == {
        (i, j, number) for number, (i, j) in enumerate(pairs)
    }


def test_correlation_is_that_of_the_images_details() -> None:
    unit = details(spectra(measure(shrink(blobs(4)))["thumbnail"]))
    i, j = np.array([0, 1, 2]), np.array([0, 2, 3])
    correlation = correlations(unit, i, j, np.zeros(3, np.int64))
    assert correlation[0] == pytest.approx(1, abs=1e-5)
    assert correlation[1] == pytest.approx(float((unit[1] * unit[2]).sum()), abs=1e-5)


def test_images_of_one_tone_are_no_copies_of_each_other_unless_their_bytes_are() -> None:
    images = np.full((4, 32, 32, 1), 10, np.uint8)
    images[2:] = 200
    duplicates = find_duplicates(survey_dataset(dataset_of(images)).measures)
    assert duplicates.content.tolist() == [0, 0, 1, 1]
    assert not len(duplicates)


def test_too_many_pairs_are_an_error_and_not_a_full_memory() -> None:
    with pytest.raises(DataError, match="more than 5000000 pairs"):
        near_pairs(np.zeros((8, 4000), np.uint64), 3)

"""Groups: duplicates, in whatever orientation, and patients, joined over any number of steps; looked for once."""

import io
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray._types import Array
from medray.audit.audit import find_leaks
from medray.data import build
from medray.data.dataset import ImageDataset
from medray.data.decoding import decode_file
from medray.data.folds import make_folds
from medray.data.load_data import load_data
from medray.data.phantoms import load_phantom
from medray.data.similarity import dataset_duplicates
from medray.data.similarity.dataset_duplicates import array_duplicates
from medray.data.similarity.groups import duplicate_groups, related_groups
from medray.data.similarity.measures import measure_all
from medray.space.preparation import Preparation
from tests.audit.audit_samples import blobs, encoded
from tests.conftest import write_npz


@pytest.fixture(scope="module")
def drawn() -> Array:
    return load_phantom("organs").images[:60]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / dataset_duplicates.KIND


@pytest.fixture
def measured(cache: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of images that were measured in each call."""
    counts: list[int] = []
    count_calls(monkeypatch, dataset_duplicates, measure_all, lambda images, *_: counts.append(len(images)))
    return counts


def count_calls(
    monkeypatch: pytest.MonkeyPatch, module: object, function: Callable[..., object], count: Callable[..., None]
) -> None:
    def counting(*arguments: object) -> object:
        count(*arguments)
        return function(*arguments)

    monkeypatch.setattr(module, function.__name__, counting)


def as_dataset(images: Array, groups: Array | None = None) -> ImageDataset:
    """Two classes, all to train on."""
    splits = {"train": np.arange(len(images)), "val": np.arange(0), "test": np.arange(0)}
    return ImageDataset(images, np.arange(len(images)) // 2 % 2, ("a", "b"), splits, "drawn", groups=groups)


def test_mirrored_rotated_and_identical_images_are_in_one_group(drawn: Array) -> None:
    images = np.concatenate([drawn, drawn[:20, :, ::-1], np.rot90(drawn[20:40], axes=(1, 2)), drawn[:10]])
    expected = [*range(60), *range(20), *range(20, 40), *range(10)]
    assert duplicate_groups(array_duplicates(images, None)).tolist() == expected
    assert duplicate_groups(array_duplicates(drawn, None)).tolist() == list(range(60)), "each in its own"


@settings(max_examples=30)
@given(st.lists(st.integers(0, 30), min_size=60, max_size=60), st.sampled_from(["numbers", "words", "objects"]))
def test_patients_are_joined_by_the_duplicates_that_they_share(
    drawn: Array, patients: list[int], kind: str
) -> None:
    images = drawn.copy()
    images[59] = images[0, :, ::-1]
    groups = np.array(patients) if kind == "numbers" else np.array([f"patient {patient}" for patient in patients])
    related = related_groups(as_dataset(images, groups.astype(object) if kind == "objects" else groups))
    both = {patients[0], patients[59]}
    for first in range(60):
        for second in range(60):
            pair = {patients[first], patients[second]}
            assert (related[first] == related[second]) == (len(pair) == 1 or pair <= both)


def test_folds_of_a_set_with_duplicates_leak_nothing(drawn: Array) -> None:
    dataset = as_dataset(np.stack([drawn, drawn[:, :, ::-1]], axis=1).reshape(-1, *drawn.shape[1:]))
    for groups, leaks in ((None, 1), (related_groups, 0)):
        folds = make_folds(dataset, 5, 0, groups).folds
        assert len(find_leaks(replace(dataset, folds=folds)).leaks) == leaks


# -- measured once


@pytest.mark.parametrize("broken", [0, 1])
def test_a_load_of_files_its_leak_check_and_its_folds_decode_and_measure_once(
    tmp_path: Path, measured: list[int], monkeypatch: pytest.MonkeyPatch, broken: int
) -> None:
    for number, image in enumerate(blobs(40)):
        path = tmp_path / "films" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(image) if number >= broken else b"no image")
    drop = Preparation.from_dict({"images": {"unreadable": "drop"}})
    decoded: list[tuple[int, ...]] = []
    count_calls(monkeypatch, build, decode_file, lambda path, shape, *_: decoded.append(shape))
    for _ in ("search", "crossval"):  # two processes, as far as the cache knows
        dataset = load_data(f"folder:{tmp_path / 'films'}", preparation=drop)
        assert not find_leaks(dataset).leaks
        make_folds(dataset, 5, 0, related_groups)
    assert measured == [40 - broken]
    assert decoded.count((64, 64, 1)) == 40


def test_arrays_are_measured_once_in_their_original_size(tmp_path: Path, measured: list[int]) -> None:
    half = Preparation.from_dict({"images": {"image_size": 6}})
    source = str(write_npz(tmp_path / "x.npz"))
    for dataset in (load_data(source), load_data(source, preparation=half)):
        result = find_leaks(dataset)
        make_folds(dataset, 5, 0, related_groups)
        assert len(result.duplicates) == len(dataset_duplicates.dataset_duplicates(dataset))
    assert measured == [96]


def test_other_images_are_measured_anew(drawn: Array, measured: list[int]) -> None:
    other = drawn.copy()
    other[0, 0, 0] ^= 1
    for images in (drawn, other, drawn[:30], drawn.reshape(60, -1, 14, 1), drawn):
        array_duplicates(images, None)
    assert measured == [60, 60, 30, 60]


@pytest.mark.parametrize("content", [b"", b"PK", b"nothing"])
def test_a_damaged_file_is_replaced(drawn: Array, cache: Path, measured: list[int], content: bytes) -> None:
    expected = array_duplicates(drawn, None)
    (file,) = cache.iterdir()
    written = file.read_bytes()
    for damaged in (content, written[: len(written) // 2], written.replace(b"content.npy", b"contend.npy")):
        file.write_bytes(damaged)
        np.testing.assert_array_equal(array_duplicates(drawn, None).content, expected.content)
        assert file.read_bytes() == written
    assert measured == [60] * 4


def test_a_file_of_another_kind_or_compression_is_replaced(drawn: Array, cache: Path, measured: list[int]) -> None:
    expected = array_duplicates(drawn, None)
    (file,) = cache.iterdir()
    written = bytearray(file.read_bytes())
    written[written.index(b"PK\x01\x02") + 10] = 99  # the compression that the zip's directory says
    array, single = io.BytesIO(), io.BytesIO()
    np.save(array, np.zeros(3))
    np.savez(single, **dict.fromkeys(asdict(expected), np.array(1)))
    for damaged in (bytes(written), array.getvalue(), single.getvalue()):
        file.write_bytes(damaged)
        np.testing.assert_array_equal(array_duplicates(drawn, None).content, expected.content)
    assert measured == [60] * 4


def test_a_cache_that_can_not_be_written_costs_time_only(
    tmp_path: Path, drawn: Array, measured: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "file"))
    array_duplicates(drawn, None)
    array_duplicates(drawn, None)
    assert measured == [60, 60]


def test_the_files_used_last_are_kept(drawn: Array, measured: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_duplicates, "FILES_KEPT", 2)
    for count in (10, 20, 10, 30, 10, 20):
        array_duplicates(drawn[:count], None)
        time.sleep(0.02)  # the clock of a file system may advance by 10 ms at once
    assert measured == [10, 20, 30, 20]

"""What is frozen is computed once, for all epochs, trainings and processes, and trains as the slow way does."""

import multiprocessing
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from medray._types import silent
from medray.config import TrainConfig
from medray.data.cache import row_cache
from medray.data.cache.network_mounts import on_network
from medray.data.cache.row_cache import RowCache, delete
from medray.data.dataset import ImageDataset
from medray.errors import RunError
from medray.training.embed import embed
from medray.training.feeds import FeatureFeed
from medray.training.loop import EpochResult, begin_training, fit
from medray.training.models import build_network

pytestmark = pytest.mark.component

ROTATE = ({"Rotate": {"limit": 30, "p": 1.0}},)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Embedded:
    """Counts the images that a trunk was run on."""

    def __init__(self) -> None:
        self.images = 0

    def __call__(self, message: str, done: int, total: int) -> None:
        assert message == "Embedding"
        self.images += total if done == total else 0


def train(dataset: ImageDataset, embedded: Embedded, **values: Any) -> list[EpochResult]:
    config = TrainConfig.from_dict({"batch_size": 16, "epochs": 3, "learning_rate": 0.003, **values})
    return list(fit(config, dataset.split("train"), dataset.split("val"), embedding=embedded))


FROZEN: list[dict[str, Any]] = [
    {"backbone": "resnet8_small", "trainable_blocks": 0, "dropout": 0.3},
    {"backbone": "resnet8_small", "optimizer": "lbfgs", "trainable_blocks": 0, "weight_decay": 0.01},
    {"backbone": "lenet5_wide_bn", "trainable_blocks": 0, "dropout": 0.3},
    {"backbone": "cnn4_128", "trainable_blocks": 1, "dropout": 0.3, "class_balance": "sampler"},
    {"backbone": "resnet8_small", "freeze_epochs": 1, "trainable_blocks": 2, "schedule": "cosine"},
]


@pytest.fixture(scope="module")
def larger(dataset: ImageDataset) -> ImageDataset:
    images = dataset.images.repeat(4, axis=1).repeat(4, axis=2)
    return ImageDataset(images, dataset.labels, dataset.class_names, dataset.splits, "larger")


@pytest.mark.parametrize("values", FROZEN)
def test_it_trains_as_without_a_cache_and_computes_each_image_once(
    larger: ImageDataset, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, none = Embedded(), Embedded(), Embedded()
    cached, again = train(larger, first, **values), train(larger, second, **values)
    used = len(larger.split("train")) + len(larger.split("val"))
    stages = 2 if "freeze_epochs" in values else 1
    assert (first.images, second.images) == (stages * used, 0)
    monkeypatch.setenv("MEDRAY_CACHE_GIB", "1e-9")  # nothing fits
    if "optimizer" in values:  # a linear head can't do without features, and computes them for itself
        train(larger, none, **values)
        assert none.images == used
        return
    slow = train(larger, none, **values)
    assert none.images == 0
    for own, other, same in zip(cached, slow, again, strict=True):
        assert np.abs(own.best_outputs.probabilities - other.best_outputs.probabilities).max() < 1e-3
        assert own.train_loss == pytest.approx(other.train_loss, abs=1e-3)
        assert np.array_equal(own.best_outputs.probabilities, same.best_outputs.probabilities)


def test_other_weights_images_and_trunks_have_features_of_their_own(larger: ImageDataset) -> None:
    values = {"backbone": "resnet8_small", "trainable_blocks": 0, "epochs": 1}
    counts = []
    for changed in ({}, {"seed": 1}, {"trainable_blocks": 1}, {"learning_rate": 0.1}):
        embedded = Embedded()
        train(larger, embedded, **{**values, **changed})
        counts.append(embedded.images > 0)
    assert counts == [True, True, True, False]


def test_architectures_with_the_same_weights_have_features_of_their_own(
    larger: ImageDataset, tmp_path: Path
) -> None:
    """The second pads convolutions otherwise: its features are others, and its tensors are not."""
    names = ("efficientnet_lite0", "tf_efficientnet_lite0")
    network = build_network(TrainConfig(backbone=names[0]), larger.shape, 3)
    save_file(network.get_submodule("backbone").state_dict(), tmp_path / "both.safetensors")
    values = {"weights": str(tmp_path / "both.safetensors"), "trainable_blocks": 0, "optimizer": "lbfgs"}
    outputs = []
    for name in names:
        embedded = Embedded()
        outputs.append(train(larger, embedded, backbone=name, **values)[0].best_outputs.probabilities)
        assert embedded.images > 0
    assert not np.array_equal(*outputs)


def test_what_a_head_sees_has_features_of_its_own(larger: ImageDataset) -> None:
    outputs = []
    for pooling in ("stages", "mirrored", "stages"):
        embedded = Embedded()
        values = {"backbone": "resnet10t", "trainable_blocks": 0, "optimizer": "lbfgs", "pooling": pooling}
        outputs.append(train(larger, embedded, **values)[0].best_outputs.probabilities)
        assert (embedded.images > 0) == (len(outputs) < 3)
    assert np.array_equal(outputs[0], outputs[2])
    assert np.abs(outputs[0] - outputs[1]).max() > 1e-3


def test_views_are_drawn_once_and_serve_all_trainings(larger: ImageDataset) -> None:
    values = {"backbone": "resnet8_small", "trainable_blocks": 0, "pipeline": ROTATE, "views": 2, "epochs": 5}
    first, second, unlimited = Embedded(), Embedded(), Embedded()
    results = train(larger, first, **values)
    train(larger, second, **values | {"dropout": 0.4})
    train_images, val_images = len(larger.split("train")), len(larger.split("val"))
    # Plain training images are needed only by a normalisation that learns, and this head has none.
    assert first.images == 2 * train_images + val_images
    assert second.images == 0
    assert results[0].train_loss != results[1].train_loss
    train(larger, unlimited, **values | {"views": None})
    assert unlimited.images == 0


def test_a_resumed_training_keeps_features_under_its_own_weights(larger: ImageDataset, tmp_path: Path) -> None:
    """A network that is resumed is built with random weights first, which another training may start from."""
    random = {"backbone": "resnet8_small", "trainable_blocks": 0}
    network = build_network(TrainConfig(backbone="resnet8_small", seed=9), larger.shape, 3)
    save_file(network.get_submodule("backbone").state_dict(), tmp_path / "resnet8_small.safetensors")
    config = TrainConfig.from_dict({"batch_size": 16, "epochs": 3, **random, "weights": str(tmp_path)})
    state = next(fit(config, larger.split("train"), larger.split("val"))).state()
    again = Embedded()
    list(fit(config, larger.split("train"), larger.split("val"), resume=state, embedding=again))
    assert again.images == 0
    own = Embedded()
    train(larger, own, **random)
    assert own.images == len(larger.split("train")) + len(larger.split("val"))


def test_mixup_and_networks_that_are_not_frozen_need_the_images(larger: ImageDataset) -> None:
    for values in ({"trainable_blocks": 0, "mixup": 0.2}, {"trainable_blocks": None}):
        embedded = Embedded()
        train(larger, embedded, backbone="resnet8_small", epochs=1, **values)
        assert embedded.images == 0


def test_a_cache_that_can_not_be_written_costs_only_time(
    larger: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"backbone": "resnet8_small", "trainable_blocks": 0}
    expected = train(larger, Embedded(), **values)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "file"))
    embedded = Embedded()
    found = train(larger, embedded, **values)
    assert embedded.images == len(larger.split("train")) + len(larger.split("val"))
    assert [r.metrics for r in found] == [r.metrics for r in expected]


# -- the rows


@settings(max_examples=30, deadline=None)
@given(calls=st.lists(st.lists(st.integers(0, 19), min_size=1, max_size=12), min_size=1, max_size=6))
def test_each_row_is_computed_once_whatever_is_asked_for(
    tmp_path_factory: pytest.TempPathFactory, calls: list[list[int]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDRAY_CACHE", str(tmp_path_factory.mktemp("rows")))
        computed: list[int] = []

        def compute(missing: Any) -> Iterator[tuple[Any, Any]]:
            for position in missing.tolist():
                computed.append(position)
                yield np.array([position]), np.full((1, 2), position, np.float16)

        rows = RowCache("key", 20, (2,))
        for number, asked in enumerate(calls):
            if number % 2:
                rows = RowCache("key", 20, (2,))  # as another process would
            positions = np.array(sorted(set(asked)))
            rows.fill(positions, compute)
            assert (rows.take(positions) == positions[:, None]).all()
        assert sorted(computed) == sorted(set().union(*calls))


def fill_slowly(counter: Any, barrier: Any) -> None:
    def compute(missing: Any) -> Iterator[tuple[Any, Any]]:
        for position in missing.tolist():
            with counter.get_lock():
                counter.value += 1
            yield np.array([position]), np.full((1, 2), position, np.float16)

    barrier.wait(60)
    rows = RowCache("shared", 200, (2,))
    rows.fill(np.arange(200), compute)
    assert (rows.take(np.arange(200))[:, 0] == np.arange(200)).all()


def test_two_processes_share_the_work() -> None:
    context = multiprocessing.get_context("spawn")
    counter, barrier = context.Value("i", 0), context.Barrier(2)
    workers = [context.Process(target=fill_slowly, args=(counter, barrier)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert counter.value == 200


class Waiting(RowCache):
    """Says that it has seen which rows are missing."""

    def __init__(self, key: str) -> None:
        super().__init__(key, 20, (2,))
        self.looked = threading.Event()

    def missing(self, positions: Any) -> Any:
        absent = super().missing(positions)
        self.looked.set()
        return absent


def test_who_waits_for_rows_of_another_computes_none() -> None:
    first, second = RowCache("waited", 20, (2,)), Waiting("waited")
    positions = np.arange(20)
    asked: list[int] = []

    def computed_by_second(missing: Any) -> Iterator[tuple[Any, Any]]:
        asked.append(len(missing))
        yield missing, np.zeros((len(missing), 2), np.float16)

    waiting = threading.Thread(target=second.fill, args=(positions, computed_by_second))

    def computed_by_first(missing: Any) -> Iterator[tuple[Any, Any]]:
        waiting.start()
        assert second.looked.wait(60)
        yield missing, np.ones((len(missing), 2), np.float16)

    first.fill(positions, computed_by_first)
    waiting.join(60)
    assert not asked
    assert (second.take(positions) == 1).all()


def ones(missing: Any) -> Iterator[tuple[Any, Any]]:
    yield missing, np.ones((len(missing), 2), np.float16)


@pytest.mark.parametrize("damage", ["lost", "cut"])
def test_marks_do_not_outlive_their_rows(damage: str, cache: Path) -> None:
    """Else the rows that come in their place, zeros, would count as features."""
    positions = np.arange(500)
    RowCache("key", 500, (2,)).fill(positions, ones)
    file = cache / "features" / "key.npy"
    if damage == "lost":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-400])
    rows = RowCache("key", 500, (2,))
    assert len(rows.missing(positions)) == 500
    rows.fill(positions, ones)
    assert (rows.take(positions) == 1).all()


def test_rows_that_are_being_computed_are_not_deleted(cache: Path) -> None:
    file, deleted = cache / "features" / "key.npy", []

    def computed(missing: Any) -> Iterator[tuple[Any, Any]]:
        deleted.append(delete(file))
        yield from ones(missing)

    RowCache("key", 20, (2,)).fill(np.arange(20), computed)
    assert (deleted, len(RowCache("key", 20, (2,)).missing(np.arange(20)))) == ([False], 0)
    assert delete(file)
    assert not list((cache / "features").iterdir())
    assert len(RowCache("key", 20, (2,)).missing(np.arange(20))) == 20


def test_views_that_do_not_fit_together_are_not_kept_one_by_one(
    larger: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"backbone": "resnet8_small", "trainable_blocks": 1, "pipeline": ROTATE, "epochs": 1}
    two, many = Embedded(), Embedded()
    train(larger, two, **values, views=2)
    rows = max((Path(os.environ["MEDRAY_CACHE"]) / "features").glob("*.npy"), key=lambda path: path.stat().st_size)
    monkeypatch.setenv("MEDRAY_CACHE_GIB", str(8 * rows.stat().st_size / 2**30))
    train(larger, many, **values, views=20)
    assert (two.images > 0, many.images) == (True, 0)


def test_those_unused_for_longest_make_room(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setenv("MEDRAY_CACHE_GIB", str(6000 / 2**30))
    for key in ("a", "b", "c"):
        rows = RowCache(key, 500, (2,))
        rows.fill(np.arange(500), ones)
    kept = {path.name for path in (cache / "features").glob("?.npy")}
    assert "c.npy" in kept
    assert len(kept) < 3


class StoppedError(Exception):
    """What a progress callback raises."""


def test_features_are_computed_ahead_and_what_was_begun_goes_on(larger: ImageDataset) -> None:
    config = TrainConfig(
        backbone="resnet8_small", trainable_blocks=0, pipeline=ROTATE, views=2, batch_size=16, epochs=2
    )
    slices = larger.split("train"), larger.split("val")

    first_batch = []

    def stop(message: str, done: int, total: int) -> None:
        first_batch.append(done)
        raise StoppedError

    with pytest.raises(StoppedError):
        embed(config, *slices, progress=stop)
    ahead, later = Embedded(), Embedded()
    embed(config, *slices, progress=ahead)
    assert 0 < first_batch[0] < len(slices[0])
    assert ahead.images == 3 * len(slices[0]) + len(slices[1]) - first_batch[0]
    list(fit(config, *slices, embedding=later))
    assert later.images == 0
    embed(TrainConfig(backbone="resnet8_small"), *slices, progress=stop)  # nothing is frozen


def test_features_that_can_not_be_kept_are_not_computed_ahead(
    larger: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrainConfig(backbone="resnet8_small", optimizer="lbfgs", trainable_blocks=0, weight_decay=0.01)
    slices, ahead = (larger.split("train"), larger.split("val")), Embedded()
    (tmp_path / "file").touch()
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "file"))
    with pytest.raises(RunError, match=r"can't be kept, .*Not a directory; set \$MEDRAY_CACHE to a folder"):
        embed(config, *slices, progress=ahead)
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MEDRAY_CACHE_GIB", "0.000001")
    with pytest.raises(RunError, match=r"they take more than half of 1e-06 GiB; \$MEDRAY_CACHE_GIB sets another"):
        embed(config, *slices, progress=ahead)
    assert ahead.images == 0
    assert list(fit(config, *slices, embedding=ahead))
    assert ahead.images > 0


def test_what_other_machines_have_not_used_for_long_goes(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a network's disk each machine has a folder; names of machines change."""
    monkeypatch.setattr(row_cache, "on_network", lambda _: True)
    for name in ("old", "new", "own"):
        monkeypatch.setattr(row_cache.socket, "gethostname", lambda name=name: name)
        RowCache("key", 20, (2,)).fill(np.arange(20), ones)
    assert [entry.own for entry in row_cache.entries()].count(True) == 1
    os.utime(cache / "features/old/key.npy", (0, 0))
    RowCache("other", 20, (2,))
    names = {str(entry.path.relative_to(cache / "features")) for entry in row_cache.entries()}
    assert names == {"new/key.npy", "own/key.npy", "own/other.npy"}


def test_on_a_networks_disk_each_machine_has_its_own(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/sda / ext4 rw 0 0\nserver:/home /home nfs4 rw 0 0\n/dev/sdb /home/my\\040disk ext4 rw 0 0\n"
        "sshfs /far fuse.sshfs rw 0 0\n/dev/sdc /usb fuseblk rw 0 0\nserver:/b /mnt/Bücher nfs rw 0 0\n"
    )
    for folder, expected in {
        "/srv/cache": False, "/home/ann/.cache": True, "/home/my disk/x": False, "/homes": False, "/far": True,
        "/usb/x": False, "/mnt/Bücher/x": True,
    }.items():  # fmt: skip
        assert on_network(Path(folder), mounts) == expected, folder
    assert not on_network(tmp_path, tmp_path / "missing")


def test_what_float16_can_not_hold_stays_finite(larger: ImageDataset) -> None:
    config = TrainConfig(backbone="resnet8_small", optimizer="lbfgs", trainable_blocks=0, weight_decay=0.01)
    training = begin_training(config, larger.split("train"), larger.split("val"), torch.device("cpu"), silent)
    assert isinstance(training.feed, FeatureFeed)
    features = training.feed.features
    assert features.kind is np.float16
    trunk = torch.nn.Flatten()
    pixels = np.full((3, 2, 2, 1), 255, np.uint8)
    for factor, expected in ((1e6, 65504.0), (np.inf, np.inf), (-1e6, -65504.0)):
        scaled = torch.nn.Sequential(trunk, Times(factor))
        rows = features._features(scaled, pixels, -1, np.arange(2))  # type: ignore[arg-type]
        assert rows.dtype == np.float16
        assert (rows == np.float16(expected)).all()


class Times(torch.nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factor


def test_threads_are_given_back(larger: ImageDataset) -> None:
    before = torch.get_num_threads()
    train(larger, Embedded(), backbone="resnet8_small", trainable_blocks=0, epochs=1)
    assert torch.get_num_threads() == before

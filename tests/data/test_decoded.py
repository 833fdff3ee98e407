"""How the files of a source are decoded together: what is refused by name, and how much is held at once."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medray.data import build as building
from medray.data.build import build_dataset
from medray.data.cache.map_in_order import AHEAD, THREADS, map_in_order
from medray.data.decoding import Decoded, decode_file
from medray.errors import DataError
from medray.space.preparation import Preparation
from tests.data.listing.folders.folder_trees import list_text

GIF = "GIF is not read (it may be animated): save it as PNG"


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "cache"))


def noise(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (10, 12), dtype=np.uint8))


def tree(root: Path, count: int = 40) -> Path:
    """Class folders of two classes in turn."""
    for number in range(count):
        folder = root / ("sick" if number % 2 else "well")
        folder.mkdir(parents=True, exist_ok=True)
        noise(number).save(folder / f"{number:03}.png")
    return root


def test_an_animated_gif_is_refused_by_its_name_or_dropped_and_counted(tmp_path: Path) -> None:
    root = tree(tmp_path / "set")
    noise(0).save(root / "sick" / "moving.gif", save_all=True, append_images=[noise(1), noise(2)])
    listing = list_text(f"folder:{root}")
    with pytest.raises(DataError) as caught:
        build_dataset(listing, Preparation())
    assert f"1 files can't be read (first: sick/moving.gif: {GIF})" in str(caught.value)
    kept = build_dataset(listing, Preparation.from_dict({"images": {"unreadable": "drop"}}))
    assert len(kept) == 40
    assert f"left out: 1 files that can't be read (first: sick/moving.gif: {GIF})" in kept.notes


def test_a_set_of_gifs_alone_is_refused_by_the_first(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "set" / name).mkdir(parents=True)
        noise(0).save(tmp_path / "set" / name / "1.gif")
    with pytest.raises(DataError) as caught:
        build_dataset(list_text(f"folder:{tmp_path / 'set'}"), Preparation())
    assert str(caught.value).endswith(f"none of its 2 images can be read (first: 1.gif: {GIF})")


def test_a_folder_without_images_is_not_told_that_gif_is_valid(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        list_text(f"folder:{tmp_path}")
    assert str(caught.value).endswith("valid: .bmp, .dcm, .dicom, .jpeg, .jpg, .png, .tif, .tiff")


def test_few_images_wait_in_memory_while_they_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Path] = []
    most = []

    def decode(path: Path, shape: tuple[int, int, int], aspect: str) -> Decoded | str:
        begun.append(path)
        return decode_file(path, shape, aspect)

    def progress(message: str, done: int, total: int) -> None:
        if message == "Decoding" and done in (1, 100, total):
            time.sleep(0.3)  # a slow disk
            most.append(len(begun) - done)

    root = tree(tmp_path / "set", 4 * THREADS * AHEAD)
    monkeypatch.setattr(building, "decode_file", decode)
    known = Preparation.from_dict({"images": {"image_size": [10, 12], "channels": 1}})
    dataset = build_dataset(list_text(f"folder:{root}"), known, progress)
    assert max(most) <= THREADS * AHEAD
    assert most[-1] == 0
    paths = sorted(path for path in root.rglob("*.png"))
    assert all(
        (image == np.asarray(Image.open(path))[:, :, None]).all()
        for image, path in zip(dataset.images, paths, strict=True)
    )


def test_results_come_in_order_and_nothing_is_begun_once_nobody_asks() -> None:
    begun: list[int] = []

    def do(number: int) -> int:
        begun.append(number)
        time.sleep(0.002 * (number % 3))
        return -number

    def numbers() -> Iterator[int]:
        yield from range(10_000)

    results = map_in_order(do, numbers())
    assert [next(results) for _ in range(50)] == [-number for number in range(50)]
    results.close()
    assert len(begun) <= 50 + THREADS * AHEAD
    assert list(map_in_order(do, [])) == []
    assert list(map_in_order(do, range(100))) == [-number for number in range(100)]
    with pytest.raises(ZeroDivisionError):
        list(map_in_order(lambda number: 1 // number, [2, 1, 0]))

"""Small data that tests make themselves; nothing here needs a network or a GPU."""

from pathlib import Path

import numpy as np
import pytest

from medray.data.dataset import ImageDataset
from medray.data.sources import load_data

CLASSES = 3


def write_npz(path: Path, *, size: int = 12, train: int = 48, other: int = 24, seed: int = 0) -> Path:
    """Write an easy set of MedMNIST's form: class c has a bright square in corner c."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for split, count in (("train", train), ("val", other), ("test", other)):
        labels = np.arange(count) % CLASSES
        images = rng.integers(0, 120, size=(count, size, size), dtype=np.uint8)
        half = size // 2
        for image, label in zip(images, labels, strict=True):
            y, x = divmod(int(label), 2)
            image[y * half : (y + 1) * half, x * half : (x + 1) * half] += 60
        arrays |= {f"{split}_images": images, f"{split}_labels": labels[:, None]}
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="session")
def npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_npz(tmp_path_factory.mktemp("data") / "corners.npz")


@pytest.fixture(scope="session")
def dataset(npz: Path) -> ImageDataset:
    return load_data(str(npz))


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)

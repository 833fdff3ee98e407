"""Other images for a run with an ensemble: files of its own test images, and of images that are a little different."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medray._types import Array
from medray.data.dataset import ImageDataset
from tests.evaluate.conftest import ask


def write_images(
    folder: Path, images: Array, labels: Sequence[str], patients: Sequence[str] | None = None,
    order: Sequence[int] | None = None,
) -> str:  # fmt: skip
    """Write grey images (n, H, W, 1) and a table of their labels, in an order; return the source."""
    folder.mkdir(parents=True)
    order = range(len(images)) if order is None else order
    with (folder / "images.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "label", *(["patient"] if patients else [])])
        for name, row in enumerate(order):
            Image.fromarray(images[row, :, :, 0]).save(folder / f"{name:03d}.png")
            writer.writerow([f"{name:03d}.png", labels[row], *([patients[row]] if patients else [])])
    return f"csv:{folder / 'images.csv'}"


def answer_external(run: Path, source: str, *arguments: object) -> dict[str, Any]:
    """The JSON document of a reading that went well."""
    result = ask(run, "--external", source, "--json", *arguments)
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(
        result.stdout, parse_constant=lambda word: pytest.fail(f"{word} is no JSON")
    )
    return document


@pytest.fixture
def test_images(hard: ImageDataset) -> tuple[Array, list[str]]:
    """The run's own test images, and the names of their classes."""
    images, labels = hard.split("test").take(np.arange(len(hard.splits["test"])))
    return images, [hard.class_names[label] for label in labels]


@pytest.fixture
def own_test(tmp_path: Path, test_images: tuple[Array, list[str]]) -> str:
    """The run's own test split as files."""
    return write_images(tmp_path / "own_test", *test_images)


@pytest.fixture(scope="session")
def other_images() -> tuple[Array, list[str]]:
    """120 noisy images of the three classes, none of which the run has, in classes "0", "1" and "2"."""
    rng = np.random.default_rng(11)
    labels = np.arange(120) % 3
    images = rng.integers(0, 160, size=(120, 12, 12, 1))
    for image, label in zip(images, labels.tolist(), strict=True):
        y, x = divmod(label, 2)
        image[y * 6 : y * 6 + 6, x * 6 : x * 6 + 6] += 50
    return images.clip(0, 255).astype(np.uint8), [str(label) for label in labels]


@pytest.fixture
def other(tmp_path: Path, other_images: tuple[Array, list[str]]) -> str:
    """Those images as files."""
    return write_images(tmp_path / "other", *other_images)

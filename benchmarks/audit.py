"""Measure the speed of surveys and audits, and how many pairs of images are called duplicates wrongly.

Speed: JPEG files of 224 x 224 are drawn, surveyed and audited; 50,000 drawings in memory are searched for
duplicates; and the leaks of 6,000 drawings of 28 x 28 are looked for, as every search does when it starts.

Duplicates: for each data set, the pairs that are found, per 10,000 pairs; and of planted duplicates (JPEG of
quality 60, half the size, rotated by 90 degrees, mirrored) the share that is found. The phantoms have no
duplicates, so there every pair that is found is wrong; real data may have true ones.

    uv run python benchmarks/audit.py [DATA ...] [--files 5000] [--images 50000]
"""

import argparse
import io
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from unittest.mock import patch

import numpy as np
from PIL import Image

from medray._types import Array
from medray.audit.audit import audit_survey, find_leaks
from medray.audit.survey_images import survey_dataset, survey_files
from medray.data.dataset import ImageDataset
from medray.data.listing.listing import ListedImage, Listing
from medray.data.load_data import load_data
from medray.data.phantoms import PHANTOMS, load_phantom
from medray.data.similarity.duplicates import find_duplicates
from medray.data.similarity.measures import Measures

SIDE = 224
PLANTED = 200
T = TypeVar("T")


def timed(task: str, count: int, run: Callable[[], T]) -> T:
    """Do it, and print how long it took."""
    begun = time.perf_counter()
    done = run()
    seconds = time.perf_counter() - begun
    print(f"{task:<48} {count:>6} images {seconds:8.2f} s {count / seconds:10.0f} images/s", flush=True)
    return done


def jpeg(pixels: Array, quality: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(stream, "jpeg", quality=quality)
    return stream.getvalue()


def drawings(count: int, size: int) -> Array:
    """Organs of as many patients as it takes, uint8 (count, size, size, 1)."""
    parts: list[Array] = []
    while sum(map(len, parts)) < count:
        parts.append(load_phantom("organs", seed=len(parts), size=size).images)
    return np.concatenate(parts)[:count]


def write_files(folder: Path, count: int) -> Listing:
    """JPEG files in colour, each a drawing with grain of its own."""
    rng, images = np.random.default_rng(0), []
    for number, image in enumerate(drawings(count, 56)):
        large = np.asarray(Image.fromarray(image[..., 0]).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
        grain = rng.normal(0, 4, (SIDE, SIDE, 3))
        path = folder / f"{number}.jpg"
        path.write_bytes(jpeg((large[..., None] * [1.0, 0.8, 0.7] + grain).clip(0, 255).astype(np.uint8), 90))
        split = ("train", "val", "test")[number % 3]
        images.append(ListedImage(path, path.name, ("ab"[number % 2],), split))
    return Listing("drawn", folder, tuple(images))


def as_dataset(images: Array) -> ImageDataset:
    ends = [len(images) * 7 // 10, len(images)]
    splits = {"train": np.arange(ends[0]), "test": np.arange(*ends)}
    return ImageDataset(images, np.arange(len(images)) % 2, ("a", "b"), splits, "drawn")


def measure_speed(files: int, images: int) -> None:
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, MEDRAY_CACHE=f"{folder}/cache"):
        listing = write_files(Path(folder), files)
        measured = timed(f"survey of JPEG files {SIDE} x {SIDE}", files, lambda: survey_files(listing))
        timed("audit of that survey", files, lambda: audit_survey(measured))
        dataset = as_dataset(drawings(6000, 28))
        timed("find_leaks, 28 x 28, in memory", 6000, lambda: find_leaks(dataset))
        timed("find_leaks, with duplicates in the cache", 6000, lambda: find_leaks(dataset))
    many = survey_dataset(as_dataset(drawings(images, 28)))
    timed("audit, 28 x 28, in memory", images, lambda: audit_survey(many))


def make_duplicates(image: Array) -> dict[str, Array]:
    """Return duplicates (H, W, C) of an image, by how they were made."""
    height, width, channels = image.shape
    picture = Image.fromarray(image[..., 0] if channels == 1 else image)
    halved = picture.resize((width // 2, height // 2), Image.Resampling.BICUBIC)
    pressed = Image.open(io.BytesIO(jpeg(image, 60)))
    return {
        "JPEG q=60": np.asarray(pressed).reshape(image.shape),
        "half": np.asarray(halved).reshape(height // 2, width // 2, channels),
        "rot90": np.rot90(image),
        "mirror": image[:, ::-1],
    }


def measures_of(images: Array) -> Measures:
    return survey_dataset(as_dataset(np.ascontiguousarray(images))).measures


def measure_duplicates(name: str, images: Array) -> None:
    measures = measures_of(images)
    duplicates = find_duplicates(measures)
    pairs = len(images) * (len(images) - 1) / 2
    identical = len(images) - len(np.unique(duplicates.content))
    print(f"{name:<34} {len(images):>6} images, {identical} identical, {len(duplicates)} near pairs: "
          f"{(len(duplicates) + identical) / pairs * 1e4:.3f} per 10,000", flush=True)  # fmt: skip
    step = max(1, len(images) // PLANTED)
    originals = images[::step][:PLANTED]
    for copier in make_duplicates(originals[0]):
        made = measures_of(np.stack([make_duplicates(image)[copier] for image in originals]))
        both = find_duplicates(Measures.concatenate([measures_of(originals), made]))
        again = (both.second - both.first == len(originals)).sum()
        again += (both.content[: len(originals)] == both.content[len(originals) :]).sum()
        print(f"    {copier:<12} {again} of {len(originals)} found")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", help="data sources, besides the phantoms")
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--images", type=int, default=50_000)
    options = parser.parse_args()
    measure_speed(options.files, options.images)
    for name in PHANTOMS:
        measure_duplicates(f"phantom:{name}", load_phantom(name).images)
    measure_duplicates("phantom:organs, 64 x 64", load_phantom("organs", size=64).images)
    for source in options.data:
        measure_duplicates(source, load_data(source).images)


if __name__ == "__main__":
    main()

"""Measure which near-duplicates are found among real images, and which pairs of different images are called such.

Of each data set, `--planted` images are drawn by `--seed`; changed copies of them are put beside all of its
images, one kind and size of change at a time, and the share of the copies that are paired with their originals is
printed: by hash alone → with registration.
Sizes are per cent of the width and height; parts of a pixel are resampled (bicubic), as in a copy that was shrunk
after it was changed.

    crop 1 side      cut off one side, resized back        crop 4 sides     as much off each side
    shift, edge      moved along one axis or both,          shift, black     the strip is black
                     the strip repeats the edge
    box              white square in one corner            label            white letters in one corner
    mirror + crop    mirrored, then cropped by 4 sides     JPEG             recompressed, quality 60

Wrong pairs are counted in two ways: `pairs in the set` are those among the data set's images (real sets have true
ones; --list prints those that registration adds), and `other` are those of copies with images that neither are
their originals nor are paired with them.

    uv run python benchmarks/near_duplicates.py PATH[@SIZE] ... [--planted 100] [--seed 0] [--list]

PATH is an .npz of MedMNIST's form or a folder of images; SIZE is what they are resized to, in pixels.
"""

import argparse
import io
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from medray._types import Array
from medray.data.similarity import duplicates
from medray.data.similarity.duplicates import Duplicates, find_duplicates
from medray.data.similarity.measures import Measures, measure_all

FILES = {".png", ".jpg", ".jpeg"}
PERCENTS = (1, 2, 3, 5)
Change = Callable[[Image.Image, float, np.random.Generator], Image.Image]


def read_images(argument: str) -> tuple[str, Array]:
    """Read the images uint8 (n, H, W, C) of PATH[@SIZE], and a name for them."""
    path, _, size = argument.partition("@")
    if path.endswith(".npz"):
        with np.load(path) as arrays:
            parts = [arrays[key] for key in ("train_images", "val_images", "test_images") if key in arrays]
        images = np.concatenate(parts)
        images = images[..., None] if images.ndim == 3 else images
        if size:
            images = np.stack([_array(_picture(image).resize((int(size),) * 2)) for image in images])
        return Path(argument).name, images
    files = sorted(file for file in Path(path).rglob("*") if file.suffix.lower() in FILES)
    pictures = [Image.open(file) for file in files]
    side = int(size) if size else min(min(picture.size) for picture in pictures)
    mode = "L" if pictures[0].mode in ("L", "I;16", "1") else "RGB"
    shrunk = [picture.convert(mode).resize((side, side), Image.Resampling.BICUBIC) for picture in pictures]
    return f"{path.rstrip('/').removesuffix('/images').rpartition('/')[2]}@{side}", np.stack(
        [_array(picture) for picture in shrunk]
    )


def _picture(image: Array) -> Image.Image:
    return Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)


def _array(picture: Image.Image) -> Array:
    pixels = np.asarray(picture)
    return pixels[..., None] if pixels.ndim == 2 else pixels


# -- Changes


def crop_one_side(picture: Image.Image, share: float, rng: np.random.Generator) -> Image.Image:
    return _crop(picture, np.eye(4)[rng.integers(4)] * share)


def crop_all_sides(picture: Image.Image, share: float, rng: np.random.Generator) -> Image.Image:
    return _crop(picture, np.full(4, share))


def mirror_and_crop(picture: Image.Image, share: float, rng: np.random.Generator) -> Image.Image:
    return crop_all_sides(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), share, rng)


def _crop(picture: Image.Image, shares: Array) -> Image.Image:
    width, height = picture.size
    left, top, right, bottom = shares * (width, height, width, height)
    box = (left, top, width - right, height - bottom)
    return picture.resize(picture.size, Image.Resampling.BICUBIC, box)


def shift_edge(picture: Image.Image, share: float, rng: np.random.Generator) -> Image.Image:
    return _shift(picture, share, rng, {"mode": "edge"})


def shift_black(picture: Image.Image, share: float, rng: np.random.Generator) -> Image.Image:
    return _shift(picture, share, rng, {"mode": "constant"})


def _shift(picture: Image.Image, share: float, rng: np.random.Generator, fill: dict[str, str]) -> Image.Image:
    signs = [(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1) if x or y]
    pixels, offset = _array(picture), np.array(signs[rng.integers(len(signs))]) * share * picture.size
    margin = int(np.abs(offset).max()) + 4
    padded = np.pad(pixels, ((margin, margin), (margin, margin), (0, 0)), **fill)  # type: ignore[call-overload]
    start = margin - offset
    box = (*start, *(start + picture.size))
    return _picture(padded).resize(picture.size, Image.Resampling.BICUBIC, box)


def add_box(picture: Image.Image, share: float, rng: np.random.Generator) -> Image.Image:
    return _mark(picture, share, rng, _draw_box)


def add_label(picture: Image.Image, share: float, rng: np.random.Generator) -> Image.Image:
    return _mark(picture, share, rng, _draw_letters)


def _mark(
    picture: Image.Image, share: float, rng: np.random.Generator, draw: Callable[[Image.Image], None]
) -> Image.Image:
    """Draw a mark of that share of the width into a corner, 1 % away from the sides, at eight times the size."""
    scale = max(1, 512 // picture.width)
    large = picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)
    side, margin = round(large.width * share), round(large.width * 0.01)
    left = margin if rng.integers(2) else large.width - side - margin
    top = margin if rng.integers(2) else large.height - side - margin
    tile = large.crop((left, top, left + side, top + side))
    draw(tile)
    large.paste(tile, (left, top))
    return large.resize(picture.size, Image.Resampling.BOX)


def _draw_box(tile: Image.Image) -> None:
    tile.paste((255,) * len(tile.getbands()) if len(tile.getbands()) > 1 else 255, (0, 0, *tile.size))


def _draw_letters(tile: Image.Image) -> None:
    white = (255,) * len(tile.getbands()) if len(tile.getbands()) > 1 else 255
    font = ImageFont.load_default(tile.height * 0.9)
    ImageDraw.Draw(tile).text((tile.width / 2, tile.height / 2), "L4", fill=white, font=font, anchor="mm")


def recompress(picture: Image.Image, share: float, rng: np.random.Generator) -> Image.Image:
    stream = io.BytesIO()
    picture.save(stream, "jpeg", quality=60)
    return Image.open(stream).convert(picture.mode)


CHANGES: dict[str, tuple[Change, tuple[int, ...]]] = {
    "JPEG": (recompress, (0,)),
    "crop 1 side": (crop_one_side, PERCENTS),
    "crop 4 sides": (crop_all_sides, PERCENTS),
    "shift, edge": (shift_edge, PERCENTS),
    "shift, black": (shift_black, PERCENTS),
    "box": (add_box, (4, 8)),
    "label": (add_label, (4, 8)),
    "mirror + crop": (mirror_and_crop, (3,)),
}


# -- Shares


def measure_set(argument: str, planted: int, seed: int, listed: bool) -> dict[str, str]:
    """Print how many copies of each kind are found in a set; return the shares by change, by hash and in all."""
    name, images = read_images(argument)
    measures, count = measure_all(images), len(images)
    begun = time.perf_counter()
    pairs = _pairs(find_duplicates(measures))
    seconds = time.perf_counter() - begun
    hashed = _pairs_by_hash(measures)
    print(f"{name}: {count} images of {images.shape[1]}x{images.shape[2]}, {seconds:.2f} s, "
          f"pairs in the set: {len(hashed)} by hash, {len(pairs)} in all", flush=True)  # fmt: skip
    if listed:
        print("   ", sorted(pairs - hashed))
    _, first, inverse = np.unique(measures.sha256, return_index=True, return_inverse=True)
    originals = first[inverse][np.random.default_rng(seed).permutation(count)[:planted]].tolist()
    shares = {"pairs": f"{len(hashed)} → {len(pairs)}"}
    for kind, (change, percents) in CHANGES.items():
        for percent in percents:
            rng = np.random.default_rng([seed, percent])
            copies = [_array(change(_picture(images[i]), percent / 100, rng)) for i in originals]
            both = Measures.concatenate([measures, measure_all(np.stack(copies))])
            true = {(i, count + number) for number, i in enumerate(originals)}
            before, after = _pairs_by_hash(both), _pairs(find_duplicates(both))
            other = [len(near - pairs - _explained(pairs, originals, count)) for near in (before, after)]
            label = f"{kind} {percent} %" if percent else kind
            shares[label] = f"{len(true & before) / len(true):.0%} → {len(true & after) / len(true):.0%}"
            print(f"    {label:<18} {len(true & before):>4} by hash, {len(true & after):>4} in all, "
                  f"of {len(true)}; other: {other[0]} by hash, {other[1]} in all", flush=True)  # fmt: skip
    return {"name": name, **shares}


def _pairs_by_hash(measures: Measures) -> set[tuple[int, int]]:
    """Return the pairs that are found without registration."""
    none = (*np.empty((3, 0), np.int64), np.empty(0, np.float32))
    with patch.object(duplicates, "registered_pairs", lambda thumbnails: none):
        return _pairs(find_duplicates(measures))


def _pairs(copies: Duplicates) -> set[tuple[int, int]]:
    """Return the pairs i < j of near-duplicates, and of each image with the first of the same bytes."""
    _, first, inverse = np.unique(copies.content, return_index=True, return_inverse=True)
    near = zip(copies.first.tolist(), copies.second.tolist(), strict=True)
    same = ((i, j) for j, i in enumerate(first[inverse].tolist()) if i != j)
    return {(min(pair), max(pair)) for pair in (*near, *same)}


def _explained(pairs: set[tuple[int, int]], originals: list[int], count: int) -> set[tuple[int, int]]:
    """Return the pairs that copies make with their originals, and with what these are paired with."""
    partners: dict[int, set[int]] = {i: {i} for i in originals}
    for i, j in pairs:
        partners.get(i, set()).add(j)
        partners.get(j, set()).add(i)
    copy = {i: count + number for number, i in enumerate(originals)}
    explained = {(j, copy[i]) for i in originals for j in partners[i]}
    explained |= {(copy[i], copy[j]) for i in originals for j in partners[i] if j in copy}
    return {(min(pair), max(pair)) for pair in explained}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", metavar="PATH[@SIZE]", help="an .npz, or a folder of images")
    parser.add_argument("--planted", type=int, default=100, help="copies of each kind and size, at least 1")
    parser.add_argument("--seed", type=int, default=0, help="of which images are copied, and how")
    parser.add_argument("--list", action="store_true", help="print the pairs that registration adds")
    options = parser.parse_args()
    if options.planted < 1:
        parser.error("--planted must be at least 1")
    rows = [measure_set(argument, options.planted, options.seed, options.list) for argument in options.data]
    print("\n| change | " + " | ".join(row["name"] for row in rows) + " |\n|---|" + "---|" * len(rows))
    for key in [key for key in rows[0] if key != "name"]:
        print(
            f"| {'pairs in the set' if key == 'pairs' else key} | " + " | ".join(row[key] for row in rows) + " |"
        )


if __name__ == "__main__":
    main()

"""How well does the detector tell images of another kind from those that a model was trained on?

Each data set in turn is the one that a model is for: the detector is fitted on its train split, its threshold is
set on its val split at 1 % false alarms. Images of other kinds are then made or taken in its shape: the other data
sets, photographs, noise, drawings, and its own images inverted, turned, blurred, cut or dimmed. For each kind: the
share that is flagged, and the AUROC against the set's own images. Columns are data sets.

`--split val` takes the set's own images from the val split, as a choice between methods must; `--rivals` also
prints other methods that were tried. `--folder` takes the images below a folder as one more set, 64 x 64 RGB and
split at random; `--photos` takes the photographs below a folder instead of the two that scikit-learn ships.

    uv run python benchmarks/ood.py [DATA ...] [--folder DIR] [--photos DIR] [--split val] [--rivals]
"""

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from medray._types import Array, Shape
from medray.data.load_data import load_data
from medray.decisions import ood
from medray.decisions.ood import fit_ood
from medray.decisions.ood_features import image_features
from medray.stats.rates import Proportion

Splits = dict[str, Array]
Score = Callable[[Array], Array]

EACH = 200  # images of a kind
FOLDER_SIZE = 64
FILES = {".jpg", ".jpeg", ".png"}
WORDS = ["the", "patient", "was", "seen", "on", "monday", "no", "pain", "please", "call", "about", "findings", "4"]


# -- Data


def read_set(source: str) -> Splits:
    """The splits' images of a data source."""
    dataset = load_data(source)
    return {split: dataset.images[positions] for split, positions in dataset.splits.items()}


def read_files(folder: Path) -> list[Array]:
    """The pictures below a folder, each uint8 (H, W, 3)."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in FILES)
    return [np.asarray(Image.open(path).convert("RGB")) for path in paths]


def read_folder(folder: Path) -> Splits:
    """The pictures below a folder, made small, split 60 : 20 : 20 at random."""
    images = fitted(read_files(folder), (FOLDER_SIZE, FOLDER_SIZE, 3))
    order = np.random.default_rng(0).permutation(len(images))
    ends = [len(images) * 6 // 10, len(images) * 8 // 10]
    parts = np.split(order, ends)
    return {name: images[part] for name, part in zip(("train", "val", "test"), parts, strict=True)}


def fitted(images: Sequence[Array] | Array, shape: Shape) -> Array:
    """Pictures (H, W, C) of any size as uint8 (N, *shape)."""
    height, width, channels = shape
    found = np.empty((len(images), *shape), dtype=np.uint8)
    for place, image in enumerate(images):
        picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
        picture = picture.convert("L" if channels == 1 else "RGB")
        way = Image.Resampling.BOX if picture.width > width else Image.Resampling.BILINEAR
        found[place] = np.asarray(picture.resize((width, height), way)).reshape(shape)
    return found


# -- Kinds of other images


def crops(photos: list[Array], shape: Shape, rng: np.random.Generator) -> Array:
    """Random squares of photographs, from a quarter to all of their height."""
    found = []
    for place in range(EACH):
        photo = photos[place % len(photos)]
        side = int(min(photo.shape[:2]) * rng.uniform(0.25, 1))
        y, x = (rng.integers(0, length - side + 1) for length in photo.shape[:2])
        found.append(photo[y : y + side, x : x + side])
    return fitted(found, shape)


def slopes(shape: Shape, rng: np.random.Generator) -> Array:
    """Even gradients in random directions between two tones that are at least 60 apart."""
    height, width, channels = shape
    y, x = np.mgrid[:height, :width]
    found = np.empty((EACH, *shape), dtype=np.uint8)
    for place in range(EACH):
        angle, low = rng.uniform(0, 2 * np.pi), rng.uniform(0, 195)
        along = np.cos(angle) * x + np.sin(angle) * y
        share = (along - along.min()) / np.ptp(along)
        found[place] = np.repeat((low + share * rng.uniform(60, 255 - low))[..., None], channels, axis=2)
    return found


def text(shape: Shape, rng: np.random.Generator) -> Array:
    """Lines of words, black on white or white on black, of random size."""
    side, found = max(*shape[:2], 64), []
    for place in range(EACH):
        paper, ink = (0, 255) if place % 2 else (255, 0)
        page = Image.new("L", (side, side), paper)
        size = float(rng.uniform(0.12, 0.4) * side)
        font, pen = ImageFont.load_default(size=size), ImageDraw.Draw(page)
        for row in range(8):
            pen.text(
                (float(rng.integers(-10, 5)), row * size * 1.1),
                " ".join(rng.choice(WORDS, 8)),
                fill=ink,
                font=font,
            )
        found.append(np.asarray(page)[..., None])
    return fitted(found, shape)


def altered(own: Array, rng: np.random.Generator) -> dict[str, Array]:
    """The set's own images, changed."""
    from scipy.ndimage import gaussian_filter

    count, height, width, _ = own.shape
    blur = (0, height / 12, width / 12, 0)
    top, left = height // 4, width // 4
    pixels = own.reshape(count, height * width, -1)
    shuffled = np.stack([image[rng.permutation(height * width)] for image in pixels]).reshape(own.shape)
    swapped = {
        "channels swapped": own[..., ::-1],
        "greyed": fitted(fitted(own, (*own.shape[1:3], 1)), own.shape[1:]),
    }
    return (swapped if own.shape[3] == 3 else {}) | {
        "inverted": 255 - own,
        "turned 90 degrees": np.rot90(own, axes=(1, 2)),
        "upside down": own[:, ::-1],
        "mirrored": own[:, :, ::-1],
        "blurred": gaussian_filter(own.astype(np.float64), blur).astype(np.uint8),
        "noise of 25 added": np.clip(own + rng.normal(0, 25, own.shape), 0, 255).astype(np.uint8),
        "pixels shuffled": shuffled,
        "middle quarter": fitted(own[:, top : top + height // 2, left : left + width // 2], own.shape[1:]),
        "a third as bright": own // 3,
    }


def kinds(own: Array, others: dict[str, Array], photos: list[Array]) -> dict[str, Array]:
    """All other images in the shape of the set's `own` ones, by kind."""
    rng, shape = np.random.default_rng(0), own.shape[1:]
    found = {f"set {name}": fitted(images[:EACH], shape) for name, images in others.items()}
    found["photographs"] = crops(photos, shape, rng)
    found["uniform noise"] = rng.integers(0, 256, size=(EACH, *shape), dtype=np.uint8)
    found["one tone"] = np.linspace(0, 255, 52).astype(np.uint8).repeat(int(np.prod(shape))).reshape(-1, *shape)
    found |= {"gradient": slopes(shape, rng), "text": text(shape, rng)}
    return found | altered(own[:EACH], rng)


# -- Methods


def chosen(train: Array, val: Array) -> Score:
    """The one that medray has."""
    return fit_ood(train, val).scores


def by_features(pick: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Score]:
    """A Mahalanobis distance of what `pick` takes from statistics and thumbnails."""

    def fit(train: Array, val: Array) -> Score:
        model = ood._fit_distance(pick(*image_features(train)))
        return lambda images: ood._distances(pick(*image_features(images)), *model)

    return fit


def layout(train: Array, val: Array) -> Score:
    """Principal components of thumbnails and what they leave over, no statistics."""
    fitted_layout = ood._fit_layout(image_features(train)[1])

    def features(statistics: Array, thumbnails: Array) -> Array:
        return ood._features(statistics[:, :0], thumbnails, *fitted_layout)

    return by_features(features)(train, val)


def nearest(train: Array, val: Array) -> Score:
    """Distance to the 5th nearest of 1,000 training images (Sun et al. 2022), all features whitened."""
    parts = image_features(train)
    fitted_layout = ood._fit_layout(parts[1])
    mean, whitening = ood._fit_distance(ood._features(*parts, *fitted_layout))

    def white(images: Array) -> Array:
        found: Array = (ood._features(*image_features(images), *fitted_layout) - mean) @ whitening
        return found

    bank = white(train[np.linspace(0, len(train) - 1, min(1000, len(train))).astype(int)])

    def score(images: Array) -> Array:
        found = white(images)
        apart = [np.partition(np.square(bank - row).sum(axis=1), 4)[4] for row in found]
        return np.array(apart) ** 0.5

    return score


METHODS: dict[str, Callable[[Array, Array], Score]] = {"medray": chosen}
RIVALS: dict[str, Callable[[Array, Array], Score]] = {
    "texture and tones only": by_features(lambda statistics, thumbnails: statistics),
    "layout only": layout,
    "thumbnail's pixels": by_features(lambda statistics, thumbnails: thumbnails),
    "5th nearest": nearest,
}


# -- Tables


def auroc(own: Array, other: Array) -> float:
    """How often an image of another kind has the higher score."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(np.repeat([0, 1], [len(own), len(other)]), np.concatenate([own, other])))


def threshold(scores: Array) -> float:
    """The one at 1 % false alarms, as `fit_ood` sets it."""
    place = int(np.ceil((len(scores) + 1) * 0.99 - 1e-9))
    return float(np.sort(scores)[min(place, len(scores)) - 1]) * (1 + 1e-9)


def column(score: Score, limit: float, own: Array, other: dict[str, Array]) -> dict[str, tuple[float, float]]:
    """Share flagged, in percent, and AUROC in percent, by kind."""
    before, found = score(own), {}
    for kind, images in other.items():
        scores = score(images)
        found[kind] = (float((scores > limit).mean() * 100), auroc(before, scores) * 100)
    return found


def print_table(title: str, columns: dict[str, dict[str, tuple[float, float]]], alarms: dict[str, str]) -> None:
    """One row for each kind."""
    print(f"\n{title}: flagged %, and AUROC in %")
    print_row("", columns)
    for kind in dict.fromkeys(kind for found in columns.values() for kind in found):
        cells = [found.get(kind) for found in columns.values()]
        print_row(kind, [f"{cell[0]:5.0f}  {cell[1]:5.1f}" if cell else "" for cell in cells])
    means = [np.mean(list(found.values()), axis=0) for found in columns.values()]
    print_row("mean of kinds", [f"{mean[0]:5.1f}  {mean[1]:5.1f}" for mean in means])
    print_row("false alarms %", alarms.values())


def print_row(name: str, cells: Iterable[str]) -> None:
    """A name and its cells."""
    print(f"{name:22}" + "".join(f"{cell:>20}" for cell in cells))


def false_alarms(score: Score, limit: float, own: Array) -> str:
    """Share of the set's own images that is flagged, with its 95 % interval, in percent."""
    found = Proportion.of(int((score(own) > limit).sum()), len(own))
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    return f"{found.value * 100:.1f} ({found.low * 100:.1f}-{found.high * 100:.1f})"


def print_speed(splits: Splits, name: str) -> None:
    """Seconds to fit, and microseconds for an image in a batch of 16 and alone."""
    start = time.perf_counter()
    model = fit_ood(splits["train"], splits["val"])
    seconds, took = time.perf_counter() - start, []
    for batch in (splits["val"][:16], splits["val"][:1]):
        turns = []
        for _ in range(30):
            start = time.perf_counter()
            model.scores(batch)
            turns.append((time.perf_counter() - start) / len(batch) * 1e6)
        took.append(min(turns))
    print(
        f"{name}: {len(splits['train'])} images {splits['train'].shape[1:]} fitted in {seconds:.2f} s; "
        f"an image is scored in {took[0]:.0f} us in a batch of 16, in {took[1]:.0f} us alone"
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", default=["phantom:organs"])
    parser.add_argument("--folder", type=Path, action="append", default=[])
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--split", choices=["val", "test"], default="test")
    parser.add_argument("--rivals", action="store_true")
    given = parser.parse_args()
    sets = {Path(source).stem: read_set(source) for source in given.data}
    sets |= {folder.name: read_folder(folder) for folder in given.folder}
    if given.photos:
        photos = read_files(given.photos)
    else:
        from sklearn.datasets import load_sample_images

        photos = list(load_sample_images().images)
    for method, fit in (METHODS | (RIVALS if given.rivals else {})).items():
        columns, alarms = {}, {}
        for name, splits in sets.items():
            others = {other: images[given.split] for other, images in sets.items() if other != name}
            score = fit(splits["train"], splits["val"])
            limit, own = threshold(score(splits["val"])), splits[given.split]
            columns[name] = column(score, limit, own, kinds(own, others, photos))
            alarms[name] = false_alarms(score, limit, own)
        print_table(method, columns, alarms)
    print()
    for name, splits in sets.items():
        print_speed(splits, name)


if __name__ == "__main__":
    main()

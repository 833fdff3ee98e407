"""Phantom skin: dermoscopy of nevi, melanomas and seborrheic keratoses.

A melanoma is uneven: its border, its halves and its colours, black, blue and red among the browns. A nevus is
round and of one brown that darkens to the middle. A keratosis is sharply cut, waxy and rough, with
pale and dark dots. Each of these is a matter of degree, and the degrees of the classes overlap.

The student report that this stands in for counts labels 0 to 2 without naming them: 1372, 374 and 254 in
train, 78, 30 and 42 in val. They are the counts of nevi, melanomas and seborrheic keratoses in the public
challenge ISIC 2017, so that order is taken here. As in the report, the classes of val are not in the
proportions of train. Of test it has no labels: here they are in train's proportions. Nor does it say which
images are of one patient: here about every fifth patient has two, both in one split.
"""

import numpy as np

from medray._types import Array
from medray.data.dataset import ImageDataset
from medray.data.phantoms.canvas import (
    ANGLE,
    Canvas,
    Number,
    develop,
    mix,
    pixel_centres,
    rgb,
    rotated,
    uniform,
    upright,
)
from medray.data.phantoms.composition import describe, draw_batches, no_match, share_out

CLASS_NAMES = ("nevus", "melanoma", "seborrheic_keratosis")
TRAIN, VAL = np.array([1372, 374, 254]), np.array([78, 30, 42])
SPLITS = {"train": (TRAIN, 0.70), "val": (VAL, 0.15), "test": (TRAIN, 0.15)}
IMAGES = 800
SECOND_IMAGES = 0.25  # share of the patients with two images
SIZE = 48

# The range of each class, in their order: how uneven a lesion is, and how rough.
UNEVEN = ((0.0, 0.45), (0.45, 1.1), (0.0, 0.4))
ROUGH = ((0.0, 0.35), (0.0, 0.35), (0.5, 1.2))
HUE = ((0.1, 0.9), (0.4, 1.1), (-0.3, 0.5))  # of the browns, from tan to dark

FAIR, TANNED = rgb(0.93, 0.76, 0.70), rgb(0.80, 0.60, 0.48)
TAN, BROWN = rgb(0.66, 0.45, 0.30), rgb(0.36, 0.20, 0.13)
PATCHES = rgb(0.12, 0.08, 0.08), rgb(0.40, 0.40, 0.48), rgb(0.66, 0.34, 0.29), rgb(0.20, 0.11, 0.08)
HAIR, INK, DOT = rgb(0.16, 0.11, 0.09), rgb(0.20, 0.18, 0.20), rgb(0.90, 0.82, 0.66)


def degree(label: Array, ranges: tuple[tuple[float, float], ...], rng: np.random.Generator) -> Array:
    """Draw a number for each image from the range of its class."""
    low, high = np.array(ranges, np.float32).T
    number = label.astype(np.int64)
    drawn: Array = low[number] + (high - low)[number] * uniform(rng, len(label), 0, 1)
    return drawn


def outline(canvas: Canvas, uneven: Array, soft: Number) -> tuple[Array, Array]:
    """Return a lesion's mask, its border the wavier the more uneven it is, and how deep in it each point lies."""
    x, y, size, turn, ratio = canvas.vary_each((-0.15, 0.15), (-0.15, 0.15), (0.4, 0.66), ANGLE, (0.8, 1.0))
    along, across = rotated(canvas.x - x, canvas.y - y, turn)
    across = across / ratio
    angle = np.arctan2(across, along)
    wave: Array = np.zeros_like(angle)
    for cycles in (1, 2, 3, 5, 8):
        wave += canvas.vary(0.3, 1) * np.sin(cycles * angle + canvas.vary(*ANGLE))
    depth = size * (1 + (0.02 + 0.13 * uneven) * wave) - np.hypot(along, across)
    return np.clip(depth / soft + 0.5, 0, 1), np.clip(depth / size, 0, 1)


def draw_patches(canvas: Canvas, lesion: Array, uneven: Array) -> None:
    """Lay other colours over an uneven lesion, off its middle."""
    for tone in PATCHES:
        x, y, width, height = canvas.vary_each((-0.4, 0.4), (-0.4, 0.4), (0.15, 0.38), (0.15, 0.38))
        there = canvas.vary(0.25, 1.0) < uneven
        canvas.paint(canvas.cloud(x, y, width, height) * lesion * there * 0.9, tone)


def draw_dots(canvas: Canvas, lesion: Array, rough: Array) -> None:
    """Roughen a lesion, and strew pale cysts and dark plugs over it."""
    canvas.paint(lesion * np.clip(canvas.waves(4, 7), 0, 1) * np.clip(rough, 0, 1) * 0.7, TAN * 1.2)
    for tone in (DOT, DOT, BROWN, DOT, BROWN):
        x, y, width = canvas.vary_each((-0.4, 0.4), (-0.4, 0.4), (0.04, 0.08))
        there = canvas.vary(0.2, 1.0) < rough
        canvas.paint(canvas.blob(x, y, width, width) * lesion * there * 0.8, tone)


def draw_lesion(canvas: Canvas, label: Array) -> None:
    """Draw the lesion of each class."""
    uneven, rough, hue = (degree(label, ranges, canvas.rng) for ranges in (UNEVEN, ROUGH, HUE))
    lesion, depth = outline(canvas, uneven, canvas.vary(0.1, 0.3) * (1.2 - 0.7 * rough))
    brown = mix(TAN, BROWN, np.clip(hue + 0.35 * depth + 0.12 * canvas.waves(1, 3), 0, 1.2))
    canvas.paint(lesion * canvas.vary(0.7, 0.95), brown)
    draw_patches(canvas, lesion, uneven)
    draw_dots(canvas, lesion, rough)


def draw_camera(canvas: Canvas, size: int) -> Array:
    """Draw hairs and at times a ruler; return how the light falls off, on some to a black ring."""
    hairy = canvas.some(0.5)
    for _ in range(4):
        x, y, length, turn, bend = canvas.vary_each((-0.9, 0.9), (-0.9, 0.9), (0.4, 1.2), ANGLE, (-0.5, 0.5))
        canvas.paint(canvas.blob(x, y, length, 0.016, turn, bend) * hairy * canvas.some(0.7) * 0.8, HAIR)
    edge, long = canvas.vary(0.80, 0.9), canvas.vary(8, 14)
    marks = np.clip(4 * np.cos(np.pi * long * canvas.x) - 2.5, 0, 1) * np.clip((canvas.y - edge) * 12, 0, 1)
    canvas.paint(marks * canvas.some(0.25) * 0.8, INK)
    column, row = pixel_centres(size)
    radius = np.hypot(column, row)
    ring = 1 - canvas.some(0.2) * np.clip((radius - canvas.vary(1.0, 1.2)) / canvas.edge + 0.5, 0, 1)
    light: Array = (1 - canvas.vary(0.05, 0.3) * radius**2) * ring
    return light


def draw_skin_images(label: Array, tanned: Array, size: int, rng: np.random.Generator) -> Array:
    """Draw dermoscopic images; `tanned` (n, 1, 1) is the tone of the skin, 0 to 1."""
    canvas = Canvas(*upright(size, len(label)), rng, mix(FAIR, TANNED, tanned), edge=0.05)
    canvas.paint(0.15 * canvas.waves(1, 4), TANNED)
    draw_lesion(canvas, label)
    light = draw_camera(canvas, size)
    warmth = rgb(1.0, 1.0, 1.0) + rgb(0.04, 0.0, -0.1) * canvas.vary(-1, 1)
    return develop(canvas.pixels * light * warmth * canvas.vary(0.85, 1.08), 0.02, rng)


def draw_skin(seed: int = 0, size: int = SIZE, images: int = IMAGES) -> ImageDataset:
    """Draw dermoscopic images of three kinds of lesion, most of them nevi."""
    rng = np.random.default_rng(seed)
    counts = [round(share * images) for _, share in SPLITS.values()]
    classes = zip(SPLITS.values(), counts, strict=True)
    labels = np.concatenate([share_out(weights, count, rng) for (weights, _), count in classes])
    ends = np.cumsum(counts)
    splits = dict(zip(SPLITS, np.split(np.arange(len(labels), dtype=np.int64), ends[:-1]), strict=True))
    first = rng.random(len(labels)) > SECOND_IMAGES / (1 + SECOND_IMAGES)
    first[[0, *ends[:-1]]] = True
    first[1:] |= ~first[:-1]  # nobody has three
    groups = np.cumsum(first) - 1
    return ImageDataset(
        images=draw_batches(draw_skin_images, size, rng, labels, rng.random(len(labels))[groups]),
        labels=labels,
        class_names=CLASS_NAMES,
        splits=splits,
        source=describe("skin", seed=(seed, 0), size=(size, SIZE), images=(images, IMAGES)),
        groups=groups,
        notes=no_match("one on real dermoscopy"),
    )

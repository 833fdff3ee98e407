"""Phantom glaucoma: fundus photographs about the optic disc, in ten ready-made folds.

What tells the classes apart is the cup, the pale hollow of the disc: Abnormal has a larger one, often notched
into the rim above or below. The ratios of the two classes overlap, as do those of real eyes.

The proportions of the classes and of the splits are those of a student report on 1,707 photographs, handed
out as ten fold folders. It does not say whether the folds hold out each image once, nor whether a patient has two
images; here each image of train and val is held out once, and every third patient has both eyes.
"""

import numpy as np

from medray._types import Array
from medray.data.dataset import Fold, ImageDataset
from medray.data.phantoms.canvas import Canvas, develop, mix, pixel_centres, random_pose, rgb
from medray.data.phantoms.composition import describe, draw_batches, no_match, share_out

CLASS_NAMES = ("Normal", "Abnormal")
WEIGHTS = np.array([919, 788])
IMAGES = 800
SECOND_EYES = 0.25  # share of the images
FOLDS = 10
SIZE = 48


#: The eye's x runs from the disc towards the macula.
POSE = (-0.3, 0.3), (0.9, 1.15), (-0.1, 0.25), (-0.12, 0.12)
LIGHT, DARK = rgb(0.86, 0.44, 0.20), rgb(0.56, 0.24, 0.12)
RIM, CUP, ATROPHY = rgb(0.92, 0.66, 0.38), rgb(1.0, 0.93, 0.74), rgb(0.90, 0.70, 0.48)
VEIN, ARTERY, MACULA = rgb(0.42, 0.10, 0.08), rgb(0.60, 0.18, 0.10), rgb(0.40, 0.14, 0.07)


def draw_disc(canvas: Canvas, sick: Array) -> None:
    """Draw the optic disc, at times with a pale crescent beside it, and its cup."""
    radius, crescent, pallor = canvas.vary_each((0.30, 0.42), (0.0, 0.1), (0.7, 1.0))
    canvas.paint(canvas.blob(crescent, 0.0, radius, radius) * canvas.some(0.35) * 0.7, ATROPHY)
    canvas.paint(canvas.blob(0.0, 0.0, radius * 0.92, radius), RIM)
    ratio = np.where(sick, canvas.vary(0.52, 0.86), canvas.vary(0.2, 0.56))
    notch = sick * canvas.some(0.6) * canvas.vary(0.05, 0.16)
    up = canvas.some(0.4) * 2 - 1
    cup = canvas.blob(0.02, -up * notch * radius, radius * ratio * 0.9, radius * (ratio + notch))
    canvas.paint(cup * pallor, CUP)


def draw_retinal_vessels(canvas: Canvas) -> None:
    """Draw arteries and veins that leave the disc upwards and downwards and bend about the macula."""
    for tone, width in ((VEIN, 0.034), (ARTERY, 0.024), (VEIN, 0.02)):
        x, turn, bend = canvas.vary_each((-0.1, 0.06), (-0.25, 0.25), (-0.75, -0.2))
        canvas.paint(canvas.blob(x, 0.0, 1.9, width, np.pi / 2 + turn, bend) * 0.8, tone)
    for tone in (VEIN, ARTERY, VEIN):
        y, turn, bend = canvas.vary_each((-0.5, 0.5), (-0.6, 0.6), (-0.4, 0.4))
        canvas.paint(canvas.blob(-0.6, y, 0.55, 0.018, turn, bend) * 0.75, tone)


def draw_eyes(sick: Array, side: Array, darkness: Array, size: int, rng: np.random.Generator) -> Array:
    """Draw photographs; the macula lies on the `side` 1 or -1, and `darkness` (0 to 1) is the retina's."""
    x, y = random_pose(size, len(side), POSE, rng, mirror=side)
    canvas = Canvas(x, y, rng, mix(LIGHT, DARK, darkness), edge=0.05)
    canvas.paint(0.1 * canvas.waves(1, 4), ATROPHY)
    canvas.paint(canvas.blob(1.0, 0.1, 0.35, 0.3) * canvas.vary(0.2, 0.6), MACULA)
    draw_disc(canvas, sick)
    draw_retinal_vessels(canvas)
    column, row = pixel_centres(size)
    lamp_x, lamp_y, gain, fall = canvas.vary_each((-0.5, 0.5), (-0.5, 0.5), (0.75, 1.1), (0.1, 0.45))
    light = gain * (1 - fall * ((column - lamp_x) ** 2 + (row - lamp_y) ** 2))
    field = np.clip((0.97 - np.sqrt(column**2 + row**2)) / canvas.edge + 0.5, 0, 1)
    return develop(canvas.pixels * np.clip(light, 0.15, 1.2) * field, 0.02 * field, rng)


def deal_patients(sick: Array, rng: np.random.Generator) -> Array:
    """Return the part of each patient: -1 for the test, a tenth, or a fold's number, as many of each class."""
    parts = np.empty(len(sick), np.int64)
    for label in (0, 1):
        rows = rng.permutation(np.flatnonzero(sick == label))
        tested = round(len(rows) / 10)
        parts[rows[:tested]] = -1
        parts[rows[tested:]] = np.arange(len(rows) - tested) % FOLDS
    return parts


def make_folds(part: Array) -> tuple[Fold, ...]:
    """Return the (train, val) rows of each fold: it holds out the part of its number, and tests on another.

    Only the first fold tests on the test split. The others train on it, as ready-made fold folders do, which a
    cross-validation must prevent.
    """
    tests = [-1, *range(FOLDS - 1)]
    return tuple(
        Fold(np.flatnonzero((part != fold) & (part != test)), np.flatnonzero(part == fold))
        for fold, test in enumerate(tests)
    )


def draw_glaucoma(seed: int = 0, size: int = SIZE, images: int = IMAGES) -> ImageDataset:
    """Draw fundus photographs with and without glaucoma, in ten ready-made folds."""
    rng = np.random.default_rng(seed)
    patients = images - round(SECOND_EYES * images)
    sick = share_out(WEIGHTS, patients, rng)
    eyes = 1 + (rng.permutation(patients) < images - patients)
    groups = np.repeat(np.arange(patients, dtype=np.int64), eyes)
    second = np.diff(groups, prepend=-1) == 0
    side = (2 * rng.integers(0, 2, patients) - 1)[groups] * np.where(second, -1, 1)
    part = deal_patients(sick, rng)[groups]
    folds = make_folds(part)
    labels, darkness = sick[groups], rng.random(patients)[groups]
    return ImageDataset(
        images=draw_batches(draw_eyes, size, rng, labels, side, darkness),
        labels=labels,
        class_names=CLASS_NAMES,
        splits={"train": folds[0][0], "val": folds[0][1], "test": np.flatnonzero(part == -1)},
        source=describe("glaucoma", seed=(seed, 0), size=(size, SIZE), images=(images, IMAGES)),
        groups=groups,
        notes=no_match("one on real fundus photographs"),
        folds=folds,
    )

"""Phantom retinopathy: fundus photographs of five grades of diabetic retinopathy, 0 to 4.

What tells the grades apart is how many lesions there are: dark red dots from grade 1 on, blots and yellow exudates
from 2, more of all in 3, and new vessels and pale scars in 4. The degrees of neighbouring grades overlap, and
of every eighth image the label is off by a grade, as readers differ by one.

The grades are in the proportions of RetinaMNIST (MedMNIST v2), which names no patients; here every fourth image is
of a second eye, of the same grade.
"""

import numpy as np

from medray._types import Array
from medray.data.dataset import ImageDataset
from medray.data.phantoms.canvas import ANGLE, Canvas, develop, mix, pixel_centres, random_pose, rgb
from medray.data.phantoms.composition import describe, draw_batches, no_match, share_out, split_patients

CLASS_NAMES = ("0", "1", "2", "3", "4")
WEIGHTS = np.array([714, 186, 326, 282, 92])
IMAGES = 800
SECOND_EYES = 0.25  # share of the images
MISGRADED = 0.125  # share of the images whose label is off by a grade
SIZE = 48

POSE = (-0.2, 0.2), (0.95, 1.1), (-0.1, 0.1), (-0.1, 0.1)
LIGHT, DARK = rgb(0.82, 0.45, 0.22), rgb(0.58, 0.27, 0.13)
DISC, MACULA, VESSEL = rgb(0.98, 0.82, 0.56), rgb(0.42, 0.16, 0.08), rgb(0.46, 0.12, 0.08)
DOT, BLOT, EXUDATE, SCAR = (
    rgb(0.34, 0.05, 0.04),
    rgb(0.28, 0.03, 0.03),
    rgb(1.0, 0.92, 0.50),
    rgb(0.95, 0.86, 0.70),
)

#: Of each kind of lesion: its tone, half axes, the grade from which on there are any, and how many more a grade.
LESIONS = ((DOT, (0.035, 0.06), 0.5, 4), (BLOT, (0.07, 0.15), 1.5, 4), (EXUDATE, (0.05, 0.11), 1.6, 3))
MOST = 10  # lesions of a kind


def draw_lesions(canvas: Canvas, degree: Array) -> None:
    """Strew lesions over the retina, the more the higher the degree (n, 1, 1)."""
    for tone, half_axes, start, more in LESIONS:
        count = (degree - start) * more
        for number in range(MOST):
            x, y, width, height, turn = canvas.vary_each((-0.8, 0.8), (-0.7, 0.7), half_axes, half_axes, ANGLE)
            there = number + canvas.vary(0, 1) < count
            canvas.paint(canvas.blob(x, y, width, height, turn) * there * canvas.vary(0.7, 1.0), tone)
    for number in range(4):
        x, y, size, turn, bend = canvas.vary_each((-0.7, 0.7), (-0.6, 0.6), (0.12, 0.25), ANGLE, (-3, 3))
        late = number + canvas.vary(0, 1) < (degree - 3.4) * 4
        canvas.paint(canvas.blob(x, y, size, size) * late * 0.7, SCAR)
        canvas.paint(canvas.blob(x, -y, 2 * size, 0.025, turn, bend) * late, VESSEL)


def draw_retinas(grade: Array, side: Array, darkness: Array, size: int, rng: np.random.Generator) -> Array:
    """Draw photographs; the disc lies on the `side` 1 or -1, and `darkness` (0 to 1) is the retina's."""
    x, y = random_pose(size, len(grade), POSE, rng, mirror=side)
    canvas = Canvas(x, y, rng, mix(LIGHT, DARK, darkness), edge=0.05)
    canvas.paint(0.08 * canvas.waves(1, 3), DISC)
    canvas.paint(canvas.cloud(-0.1, 0.05, 0.25, 0.22) * canvas.vary(0.3, 0.7), MACULA)
    for down in (-1, 1):
        for width in (0.04, 0.028):
            turn, bend = canvas.vary_each((0.2, 0.7), (0.35, 0.75))
            canvas.paint(canvas.blob(0.1, down * 0.3, 1.0, width, -down * turn, down * bend) * 0.75, VESSEL)
    canvas.paint(canvas.blob(0.62, 0.0, 0.17, 0.19), DISC)
    draw_lesions(canvas, grade + canvas.vary(-0.45, 0.45))
    column, row = pixel_centres(size)
    field = np.clip((0.97 - np.hypot(column, row)) / canvas.edge + 0.5, 0, 1)
    return develop(canvas.pixels * canvas.vary(0.8, 1.1) * field, 0.02 * field, rng)


def draw_retinopathy(seed: int = 0, size: int = SIZE, images: int = IMAGES) -> ImageDataset:
    """Draw fundus photographs of five grades."""
    rng = np.random.default_rng(seed)
    patients = images - round(SECOND_EYES * images)
    eyes = 1 + (rng.permutation(patients) < images - patients)
    groups = np.repeat(np.arange(patients, dtype=np.int64), eyes)
    labels = share_out(WEIGHTS, patients, rng)[groups]
    off = (rng.random(images) < MISGRADED) * rng.choice([-1, 1], images)
    shown = np.clip(labels + off, 0, len(WEIGHTS) - 1)
    side = (2 * rng.integers(0, 2, patients) - 1)[groups] * np.where(np.diff(groups, prepend=-1) == 0, -1, 1)
    return ImageDataset(
        images=draw_batches(draw_retinas, size, rng, shown, side, rng.random(patients)[groups]),
        labels=labels,
        class_names=CLASS_NAMES,
        splits=split_patients(groups, labels, rng),
        source=describe("retinopathy", seed=(seed, 0), size=(size, SIZE), images=(images, IMAGES)),
        groups=groups,
        notes=no_match("one on real fundus photographs"),
    )

"""Phantom covid: chest films with and without COVID-19.

COVID shows as ground glass with a net of lines in it ("crazy paving"), anywhere in both lungs. NO-COVID is not
all healthy: the report that this stands in for counts other pneumonias and anomalies among it, so many of its
films have even opacities in one lung. Brightness tells a little, texture and sides tell more.

Neither the proportions nor the source of the films are in the report. A quarter is COVID here: that is
what its accuracy (0.945), its F1 (0.888) and its 43 errors amount to. The `view` (PA, or AP: lying down, with a
larger heart and shorter, blurrier lungs) goes with the class a little, as such collections have it.
"""

import numpy as np

from medray._types import Array
from medray.data.dataset import ImageDataset
from medray.data.phantoms.canvas import ANGLE, Canvas, Number, develop, random_pose, rotated, smooth
from medray.data.phantoms.composition import describe, draw_batches, no_match, share_out, split_patients

CLASS_NAMES = ("NO-COVID", "COVID")
WEIGHTS = np.array([3, 1])
IMAGES = 800  # nearly
MOST_FILMS = 3  # of a patient; one to so many
SHARE_AP = (0.35, 0.6)
SIZE = 48

#: The chest's x runs from the patient's right to left, as seen, its y from the neck down.
POSE = (-0.08, 0.08), (0.9, 1.12), (-0.08, 0.08), (-0.1, 0.1)
AIR, LUNG, FLESH, OPACITY, HEART, BONE = 0.04, 0.20, 0.56, 0.66, 0.72, 0.86


def draw_body(canvas: Canvas) -> None:
    """Draw shoulders, trunk and neck on air."""
    width = canvas.vary(0.88, 1.05)
    canvas.paint(canvas.blob(0.0, 0.6, width, 1.6), FLESH)
    canvas.paint(canvas.blob(0.0, -0.6, 1.15, 0.35), FLESH)
    canvas.paint(canvas.blob(0.0, -1.0, 0.3, 0.5), FLESH)


def draw_lungs(canvas: Canvas, lying: Array) -> Array:
    """Draw both lungs, with vessels that fade from the hilum outwards; return where they are."""
    height, wide, tone = canvas.vary_each((0.72, 0.86), (0.32, 0.38), (LUNG - 0.06, LUNG + 0.06))
    height = height * (1 - 0.14 * lying)
    lungs: Array = np.zeros_like(canvas.x)
    for side, short in ((-1, 0.04), (1, 0.0)):
        low = canvas.blob(side * 0.46, 0.74 - short + (height - 0.72), 0.5, 0.2, side * 0.3)
        lung = canvas.blob(side * 0.46, -0.06, wide, height, side * -0.1)
        lungs = np.maximum(lungs, lung * (1 - low))
    hilum = np.clip(1 - np.abs(canvas.x) / 0.7, 0, 1)
    canvas.paint(lungs * 0.92, tone + 0.10 * lying * tone + 0.12 * hilum * (1 + canvas.waves(3, 6)))
    return lungs


def draw_ribs(canvas: Canvas, lungs: Array) -> None:
    """Lay ribs that fall off outwards over the lungs, and collar bones above them."""
    pace, phase, slope = canvas.vary_each((13, 17), ANGLE, (0.5, 0.8))
    rise = canvas.y - slope * (np.abs(canvas.x) - 0.5) ** 2
    ribs = np.clip(2.2 * np.cos(pace * rise + phase) - 0.9, 0, 1)
    canvas.paint(ribs * lungs * canvas.vary(0.12, 0.3), BONE)
    for side in (-1, 1):
        canvas.paint(canvas.blob(side * 0.45, -0.68, 0.42, 0.05, side * -0.25) * 0.55, BONE)


def draw_middle(canvas: Canvas, lying: Array) -> None:
    """Draw spine, great vessels and heart, and the windpipe over them."""
    x, size, tilt = canvas.vary_each((0.08, 0.2), (0.26, 0.34), (0.4, 0.8))
    size = size * (1 + 0.2 * lying)
    canvas.paint(canvas.blob(0.0, 0.0, 0.13, 1.6) * 0.9, HEART)
    canvas.paint(canvas.blob(0.04, -0.25, 0.2 + 0.05 * lying, 0.32) * 0.8, HEART)
    canvas.paint(canvas.blob(x, 0.36, size * 1.2, size, tilt) * 0.9, HEART)
    canvas.paint(canvas.blob(0.0, -0.7, 0.05, 0.35) * 0.5, LUNG)


def patch(canvas: Canvas, x: Number, y: Number, low: float, high: float) -> Array:
    """Mask a soft patch about a point."""
    width, ratio = canvas.vary_each((low, high), (0.7, 1.3))
    return canvas.cloud(x, y, width, width * ratio)


def net(canvas: Canvas) -> Array:
    """Mask a turned net of fine lines, the crazy paving of ground glass."""
    turn, pace, across, down = canvas.vary_each(ANGLE, (12, 17), ANGLE, ANGLE)
    x, y = rotated(canvas.x, canvas.y, turn)
    lines = np.cos(pace * x + across) * np.cos(pace * y + down)
    mask: Array = np.clip(0.5 + 1.2 * lines, 0, 1)
    return mask


def draw_opacities(canvas: Canvas, lungs: Array, covid: Array) -> None:
    """Draw COVID's netted patches, anywhere in both lungs; in many other films even ones, in one lung."""
    texture, strength, half = net(canvas), canvas.vary(0.5, 1.0), 2 * canvas.some(0.5) - 1
    other = canvas.some(0.65) * (1 - covid)
    for side in (-1, 1):
        for share in (1.0, 0.7, 0.4):
            x, y = canvas.vary_each((0.28, 0.74), (-0.45, 0.5))
            there = canvas.some(share)
            ground_glass = patch(canvas, side * x, y, 0.2, 0.34) * texture * covid
            even = patch(canvas, side * x, y, 0.16, 0.34) * 0.7 * other * (half == side)
            canvas.paint((ground_glass + even) * lungs * there * strength, OPACITY)


def draw_films(covid: Array, lying: Array, size: int, rng: np.random.Generator) -> Array:
    """Draw films; `covid` and `lying` (n, 1, 1) are 1 or 0."""
    canvas = Canvas(*random_pose(size, len(covid), POSE, rng), rng, AIR, edge=0.07)
    draw_body(canvas)
    lungs = draw_lungs(canvas, lying)
    draw_opacities(canvas, lungs, covid)
    draw_ribs(canvas, lungs)
    draw_middle(canvas, lying)
    gain, offset, blur, noise = canvas.vary_each((0.8, 1.15), (-0.05, 0.1), (0.008, 0.014), (0.01, 0.025))
    return develop(smooth(canvas.pixels, blur + 0.006 * lying) * gain + offset, noise, rng)


def split_each_class(groups: Array, labels: Array, rng: np.random.Generator) -> dict[str, Array]:
    """Deal the patients of each class out to the splits, and with them their images."""
    rows = [np.flatnonzero(labels == label) for label in range(len(CLASS_NAMES))]
    splits = [split_patients(groups[of_class], np.zeros(len(of_class), int), rng) for of_class in rows]
    return {
        name: np.sort(np.concatenate([r[split[name]] for r, split in zip(rows, splits, strict=True)]))
        for name in splits[0]
    }


def draw_covid(seed: int = 0, size: int = SIZE, images: int = IMAGES) -> ImageDataset:
    """Draw chest films of patients with and without COVID-19; the subgroup `view` is PA or AP."""
    rng = np.random.default_rng(seed)
    patients = 2 * images // (1 + MOST_FILMS)
    covid = share_out(WEIGHTS, patients, rng)
    films = rng.permutation(np.arange(patients) % MOST_FILMS) + 1
    groups = np.repeat(np.arange(patients, dtype=np.int64), films)
    labels = covid[groups]
    lying = rng.random(len(groups)) < np.array(SHARE_AP)[labels]
    return ImageDataset(
        images=draw_batches(draw_films, size, rng, labels, lying),
        labels=labels,
        class_names=CLASS_NAMES,
        splits=split_each_class(groups, labels, rng),
        source=describe("covid", seed=(seed, 0), size=(size, SIZE), images=(images, IMAGES)),
        groups=groups,
        notes=no_match("one on real chest films"),
        subgroups={"view": np.where(lying, "AP", "PA")},
    )

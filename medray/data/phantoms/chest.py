"""Phantom chest: films with any of eight findings, or none, as those of ChestX-ray14.

Each finding is drawn by itself, in one lung or both: fluid at the base, a plate, faint or dense patches, a
round spot, small or large, air along the edge, a large heart. Their shares, from 3 % to 20 % of the films, are of
the order of ChestMNIST's (MedMNIST v2), and they come together more often than by chance: fluid beside a plate, a
dense patch or a large heart. Half of the films have none.

As labels that a program read from reports, some are wrong: one finding of twelve is not to be seen, and one film
of sixty shows one that nobody named. ChestMNIST names no patients; here a patient has up to four films, and mostly
the same findings in them.
"""

import numpy as np

from medray._types import Array
from medray.data.dataset import ImageDataset
from medray.data.phantoms.canvas import Canvas, develop, random_pose, smooth
from medray.data.phantoms.composition import describe, draw_batches, no_match, split_patients
from medray.data.phantoms.covid import AIR, HEART, OPACITY, draw_body, draw_lungs, draw_middle, draw_ribs

#: The share of the films that have each finding.
SHARES = {
    "atelectasis": 0.12, "cardiomegaly": 0.05, "consolidation": 0.06, "effusion": 0.15, "infiltration": 0.20,
    "mass": 0.06, "nodule": 0.07, "pneumothorax": 0.03,
}  # fmt: skip
CLASS_NAMES = tuple(SHARES)
#: How much of each finding goes with an illness of the heart, and with one of the lung, of 1.
HEART_ILL = np.array([0.45, 0.7, 0.2, 0.75, 0.2, 0.0, 0.0, 0.0])
LUNG_ILL = np.array([0.45, 0.0, 0.7, 0.4, 0.6, 0.2, 0.1, 0.2])
SAME_FILMS = 0.8  # of the rest, as much as is the same in all films of a patient
UNSEEN, UNNAMED = 1 / 12, 1 / 60
IMAGES, MOST_FILMS = 1200, 4
SIZE = 48
POSE = (-0.15, 0.15), (0.85, 1.2), (-0.12, 0.12), (-0.12, 0.12)


def draw_labels(groups: Array, rng: np.random.Generator) -> Array:
    """Return the findings of the films of the patients `groups` (n,), int64 (n, 8): exactly so many of each."""
    patients = int(groups.max()) + 1
    heart, lung = rng.standard_normal((2, patients, 1))
    rest = np.sqrt(1 - HEART_ILL**2 - LUNG_ILL**2)
    always, today = rng.standard_normal((patients, len(rest))), rng.standard_normal((len(groups), len(rest)))
    shared = HEART_ILL * heart + LUNG_ILL * lung + rest * np.sqrt(SAME_FILMS) * always
    degree = shared[groups] + rest * np.sqrt(1 - SAME_FILMS) * today
    ranks = (-degree).argsort(axis=0).argsort(axis=0)
    labels: Array = (ranks < np.round(np.array([*SHARES.values()]) * len(groups))).astype(np.int64)
    return labels


def draw_opaque(canvas: Canvas, lungs: Array, shown: dict[str, Array]) -> None:
    """Draw what is brighter than a lung: fluid, plates, patches and round spots."""
    side = 2 * canvas.some(0.5) - 1
    both = canvas.some(0.4)
    for where, there in ((side, 1.0), (-side, both)):
        level, lean, x, y = canvas.vary_each((0.34, 0.5), (0.2, 0.5), (0.3, 0.62), (-0.35, 0.4))
        fluid = np.clip((canvas.y - level + lean * (1 - np.abs(canvas.x))) / 0.12, 0, 1) * (canvas.x * where > 0)
        canvas.paint(fluid * lungs * there * shown["effusion"] * 0.85, OPACITY)
        plate = canvas.blob(where * 0.45, canvas.vary(0.02, 0.3), 0.34, 0.045, canvas.vary(-0.3, 0.3))
        canvas.paint(plate * there * shown["atelectasis"] * 0.85, OPACITY)
        faint = canvas.cloud(where * x, y, canvas.vary(0.22, 0.34), canvas.vary(0.22, 0.4))
        canvas.paint(faint * lungs * there * shown["infiltration"] * canvas.vary(0.35, 0.7), OPACITY)
    x, y, width = canvas.vary_each((0.32, 0.6), (0.0, 0.4), (0.16, 0.24))
    dense = canvas.blob(-side * x, y, width * 1.2, width, canvas.vary(-0.5, 0.5))
    canvas.paint(dense * lungs * shown["consolidation"] * 0.9, OPACITY)
    for name, low, high in (("mass", 0.13, 0.19), ("nodule", 0.06, 0.085)):
        where, x, y, size = 2 * canvas.some(0.5) - 1, *canvas.vary_each((0.3, 0.6), (-0.5, 0.2), (low, high))
        canvas.paint(canvas.blob(where * x, y, size, size) * shown[name], HEART)


def draw_films(code: Array, size: int, rng: np.random.Generator) -> Array:
    """Draw films; bit k of `code` (n, 1, 1) is 1 where finding k is to be seen."""
    shown = {name: (code.astype(np.int64) >> k) % 2 for k, name in enumerate(CLASS_NAMES)}
    canvas = Canvas(*random_pose(size, len(code), POSE, rng), rng, AIR, edge=0.07)
    draw_body(canvas)
    lungs = draw_lungs(canvas, np.zeros_like(code))
    canvas.paint(lungs * 0.4 * np.clip(canvas.waves(1, 4), 0, 1), OPACITY)  # so that no two are taken for copies
    draw_ribs(canvas, lungs)
    draw_middle(canvas, np.zeros_like(code))
    large = canvas.blob(canvas.vary(0.16, 0.24), 0.42, 0.56, 0.38, 0.35)
    canvas.paint(large * shown["cardiomegaly"] * 0.9, HEART)
    draw_opaque(canvas, lungs, shown)
    side = 2 * canvas.some(0.5) - 1
    edge = canvas.blob(side * canvas.vary(0.62, 0.7), canvas.vary(-0.35, -0.15), 0.12, 0.5, side * -0.12)
    canvas.paint(edge * shown["pneumothorax"] * 0.9, AIR)
    gain, offset, blur, noise = canvas.vary_each((0.8, 1.15), (-0.05, 0.1), (0.006, 0.012), (0.015, 0.035))
    return develop(smooth(canvas.pixels, blur) * gain + offset, noise, rng)


def draw_chest(seed: int = 0, size: int = SIZE, images: int = IMAGES) -> ImageDataset:
    """Draw chest films with any of eight findings."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(images, dtype=np.int64), rng.integers(1, MOST_FILMS + 1, images))[:images]
    labels = draw_labels(groups, rng)
    unseen, unnamed = rng.random(labels.shape) < UNSEEN, rng.random(labels.shape) < UNNAMED / len(CLASS_NAMES)
    shown = np.where(labels == 1, ~unseen, unnamed).astype(np.int64)
    return ImageDataset(
        images=draw_batches(draw_films, size, rng, shown @ 2 ** np.arange(len(CLASS_NAMES))),
        labels=labels,
        class_names=CLASS_NAMES,
        splits=split_patients(groups, labels, rng),
        source=describe("chest", seed=(seed, 0), size=(size, SIZE), images=(images, IMAGES)),
        groups=groups,
        notes=no_match("one on real chest films"),
    )

"""Phantom organs: CT-like slices around 11 organs.

x runs from -1 at the medial edge (the spine) to 1 at the lateral one (the body wall), y from -1 at the top to
1 at the bottom, tones from 0 (air) to 1 (bone). A left and a right organ are one drawing and its mirror image:
only where things lie tells them apart.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from medray._types import Array
from medray.data.dataset import ImageDataset
from medray.data.phantoms.canvas import ANGLE, EDGE, Canvas, Range, develop, posed, smooth, uniform
from medray.data.phantoms.composition import describe, no_match, split_patients

Looks = dict[str, Array]  # what sets the images of a patient apart from another's: (n, 1, 1) each

IMAGES = 2000
SIZE = 28
IMAGES_PER_PATIENT = 7
LOOKS: dict[str, Range] = {
    "gain": (0.65, 1.2),
    "offset": (-0.08, 0.2),
    "scale": (0.8, 1.2),
    "x": (-0.12, 0.12),
    "y": (-0.12, 0.12),
    "noise": (0.01, 0.035),
    "blur": (0.01, 0.03),
}

# Tones of the CT soft tissue window, from air to bone.
AIR, LUNG, FAT, FLUID, MUSCLE = 0.03, 0.10, 0.26, 0.36, 0.48
ORGAN, MARROW, BLOOD, BONE = 0.56, 0.62, 0.68, 0.92


def draw_bowel(canvas: Canvas, loops: int) -> None:
    """Scatter loops of bowel, filled with gas or contrast, as a slice may hold by chance."""
    for _ in range(loops):
        x, y, size, turn = canvas.vary_each((-1.1, 1.1), (-1.1, 1.1), (0.14, 0.34), (0, np.pi))
        there = canvas.some(0.6)
        canvas.paint(canvas.blob(x, y, size * 1.4, size, turn) * there, canvas.vary(MUSCLE, BLOOD))
        content = np.where(canvas.some(0.5) > 0, canvas.vary(AIR, FAT), canvas.vary(ORGAN, BONE))
        canvas.paint(canvas.blob(x, y, size * 0.8, size * 0.5, turn) * there, content)


def draw_vessels(canvas: Canvas, count: int, x: Array, y: Array, tone: float) -> None:
    """Scatter short vessels about a point."""
    for _ in range(count):
        dx, dy, length, turn = canvas.vary_each((-0.45, 0.45), (-0.45, 0.45), (0.08, 0.3), (0, np.pi))
        canvas.paint(canvas.blob(x + dx, y + dy, length, 0.05, turn), tone)


def draw_spine(canvas: Canvas, share: float = 1.0) -> None:
    """Stack vertebrae with discs between them along the medial edge, psoas muscle beside them."""
    x, pace, phase = canvas.vary_each((-1.1, -0.75), (4, 6), ANGLE)
    there = canvas.some(share)
    canvas.paint(canvas.blob(x + 0.2, 0.2, 0.2, 1.6) * there, MUSCLE)
    bone = np.clip(2 * np.cos(pace * canvas.y + phase) + 1.4, 0, 1)
    canvas.paint(canvas.blob(x, 0.0, 0.22, 4.0) * there, MUSCLE + (BONE - MUSCLE) * bone)


def draw_wall(canvas: Canvas) -> None:
    """Close the body on the lateral side: muscle with ribs in it, skin fat, air."""
    x, pace, phase = canvas.vary_each((0.65, 1.05), (4, 6), ANGLE)
    depth = canvas.x - x + 0.12 * canvas.y**2
    for start, tone in ((0.0, MUSCLE), (0.2, FAT), (0.38, AIR)):
        canvas.paint(np.clip((depth - start) / EDGE + 0.5, 0, 1), tone)
    ribs = np.clip(3 * np.cos(pace * canvas.y + phase) - 1, 0, 1)
    canvas.paint(ribs * np.clip(1 - np.abs(depth - 0.1) / 0.1, 0, 1), BONE)


def draw_lung_base(canvas: Canvas, x: Array, y: Array, share: float) -> None:
    """Draw the lung that lies over the dome of an organ at a point."""
    canvas.paint(canvas.blob(x, y - 1.25, 1.4, 0.55) * canvas.some(share), LUNG)


def draw_bladder(canvas: Canvas) -> None:
    """Draw a smooth sac of fluid with a thin wall, pelvic bone below it."""
    draw_bowel(canvas, 3)
    x, y, width, height = canvas.vary_each((-0.2, 0.2), (-0.1, 0.2), (0.46, 0.64), (0.38, 0.52))
    canvas.paint(canvas.blob(x - 0.55, y + 0.75, 0.4, 0.2, canvas.vary(0.3, 0.9)), BONE)
    canvas.paint(canvas.blob(x, y, width, height), ORGAN)
    canvas.paint(canvas.blob(x, y, width - 0.11, height - 0.11), FLUID)


def draw_femur(canvas: Canvas) -> None:
    """Draw the head under its socket, neck and shaft going down on the lateral side, in muscle."""
    canvas.paint(canvas.blob(0.0, 0.0, 1.1, 2.0), MUSCLE + 0.06 * canvas.waves(0.5, 1.5))
    x, y, size, turn = canvas.vary_each((-0.25, 0.05), (-0.35, 0.0), (0.26, 0.36), (-0.1, 0.1))
    canvas.paint(canvas.blob(x - 0.1, y - 0.62, 0.5, 0.16, 0.0, -0.7), BONE)
    for inset, tone in ((0.0, BONE), (0.12, MARROW)):
        canvas.paint(canvas.blob(x + 0.62, y + 1.1, 0.2 - inset, 0.9, turn), tone)
        canvas.paint(canvas.blob(x + 0.33, y + 0.2, 0.42, 0.2 - inset, 0.6), tone)
        canvas.paint(canvas.blob(x, y, size - inset, size - inset), tone)


def draw_heart(canvas: Canvas) -> None:
    """Draw muscle around two chambers of brighter blood, lung about it and the diaphragm below."""
    canvas.paint(canvas.blob(0.0, -0.4, 1.5, 1.3), LUNG + 0.05 * canvas.waves(1, 3))
    canvas.paint(canvas.blob(0.0, 1.2, 1.6, 0.5), ORGAN)
    draw_wall(canvas)
    draw_spine(canvas, 0.5)
    x, y, size, turn = canvas.vary_each((-0.2, 0.2), (-0.1, 0.2), (0.5, 0.68), (0.2, 0.9))
    canvas.paint(canvas.blob(x, y, size * 1.15, size * 0.9, turn), ORGAN - 0.04)
    for step in (-0.26, 0.26):
        canvas.paint(canvas.blob(x + step, y - step / 2, size * 0.5, size * 0.26, turn + 0.8), BLOOD)


def draw_kidney(canvas: Canvas) -> None:
    """Draw a bean in its fat, bright cortex about a sinus that opens to the spine."""
    draw_bowel(canvas, 3)
    # A neighbour as bright as the spine on the other side: the side can't be read off one edge's brightness.
    height, tone = canvas.vary_each((0.5, 1.0), (ORGAN, BONE))
    canvas.paint(canvas.blob(1.0, canvas.vary(-1, 1), 0.35, height), tone)
    x, y, size, bend = canvas.vary_each((-0.1, 0.25), (-0.2, 0.2), (0.46, 0.64), (0.3, 0.6))
    turn = canvas.vary(-0.3, 0.3) + np.pi / 2
    canvas.paint(canvas.blob(x, y, size * 1.3, size * 0.85, turn, bend), FAT)
    canvas.paint(canvas.blob(x, y, size, size * 0.58, turn, bend), ORGAN + 0.06)
    canvas.paint(canvas.blob(x - 0.12, y, size * 0.5, size * 0.22, turn, bend), FAT + 0.1)
    draw_spine(canvas)


def draw_liver(canvas: Canvas) -> None:
    """Draw a large even organ with a few vessels, mostly with lung over its dome."""
    draw_bowel(canvas, 3)
    x, y, size = canvas.vary_each((-0.05, 0.35), (-0.1, 0.3), (0.66, 0.95))
    turn, bend = canvas.vary_each((-0.5, 0.3), (0.0, 0.3))
    draw_lung_base(canvas, x, y, 0.7)
    canvas.paint(canvas.blob(x, y, size * 1.1, size * 0.8, turn, bend), ORGAN)
    draw_vessels(canvas, 3, x, y, BLOOD)
    draw_wall(canvas)


def draw_lung(canvas: Canvas) -> None:
    """Draw a dark field with vessels, the diaphragm below, spine and ribs at its sides."""
    canvas.paint(canvas.blob(0.0, 1.0, 1.5, 0.8), ORGAN)
    x, y, height, turn = canvas.vary_each((-0.1, 0.1), (-0.3, 0.0), (0.7, 1.0), (-0.1, 0.1))
    canvas.paint(canvas.blob(x, y, 0.75, height, turn), LUNG)
    draw_vessels(canvas, 5, x, y, MUSCLE)
    draw_wall(canvas)
    draw_spine(canvas)


def draw_pancreas(canvas: Canvas) -> None:
    """Draw a thin lobed band between loops of bowel, the splenic vein along it."""
    draw_bowel(canvas, 5)
    draw_spine(canvas, 0.5)
    x, y, turn, bend = canvas.vary_each((-0.2, 0.2), (-0.2, 0.2), (-0.9, 0.3), (-0.5, 0.5))
    length, thickness = canvas.vary_each((0.58, 0.78), (0.18, 0.27))
    canvas.paint(canvas.blob(x, y, 0.8, 0.3, turn, bend), FAT)
    canvas.paint(canvas.blob(x, y, length, thickness, turn, bend), ORGAN + 0.2 * canvas.waves(2.5, 4))
    canvas.paint(canvas.blob(x, y + 0.26, 0.6, 0.06, turn, bend), BLOOD)


def draw_spleen(canvas: Canvas) -> None:
    """Draw an even crescent along the ribs, the stomach in its hollow, at times with lung above."""
    draw_bowel(canvas, 3)
    x, y, size, bend = canvas.vary_each((0.1, 0.4), (-0.2, 0.2), (0.5, 0.72), (0.3, 0.8))
    turn = canvas.vary(-0.3, 0.3) + np.pi / 2
    draw_lung_base(canvas, x, y, 0.5)
    canvas.paint(canvas.blob(x - 0.6, y, 0.4, 0.45), MUSCLE)
    canvas.paint(canvas.blob(x - 0.6, y, 0.25, 0.3), canvas.vary(AIR, MUSCLE))
    canvas.paint(canvas.blob(x, y, size, size * 0.5, turn, bend), ORGAN + 0.03)
    draw_wall(canvas)


class Organ(NamedTuple):
    """A class: its name, its images in OrganSMNIST's train split, its drawing, and its side if it has one."""

    name: str
    images: int
    draw: Callable[[Canvas], None]
    side: int = 0  # 1: the spine at the image's left edge, as for a left organ; -1: at its right; 0: either


ORGANS = (
    Organ("bladder", 1148, draw_bladder),
    Organ("femur-left", 637, draw_femur, 1),
    Organ("femur-right", 615, draw_femur, -1),
    Organ("heart", 721, draw_heart),
    Organ("kidney-left", 1132, draw_kidney, 1),
    Organ("kidney-right", 1119, draw_kidney, -1),
    Organ("liver", 3464, draw_liver),
    Organ("lung-left", 741, draw_lung, 1),
    Organ("lung-right", 803, draw_lung, -1),
    Organ("pancreas", 2004, draw_pancreas),
    Organ("spleen", 1556, draw_spleen),
)


def open_canvas(looks: Looks, side: int, size: int, rng: np.random.Generator) -> Canvas:
    """Lay slices under the scanner: shifted, turned, scaled, warped and, by side, mirrored."""
    n = len(looks["gain"])
    mirror = side or np.sign(uniform(rng, n, -1, 1))
    turn, scale = uniform(rng, n, -0.3, 0.3), looks["scale"] * uniform(rng, n, 0.85, 1.15)
    dx, dy = (looks[axis] + uniform(rng, n, -0.24, 0.24) for axis in "xy")
    x, y = posed(size, turn, scale, dx, dy, mirror)
    phases = [uniform(rng, n, *ANGLE) for _ in range(4)]
    return Canvas(
        x + 0.06 * np.sin(3 * y + phases[0]) + 0.03 * np.sin(6 * y + phases[1]),
        y + 0.06 * np.sin(3 * x + phases[2]) + 0.03 * np.sin(6 * x + phases[3]),
        rng,
        FAT,
    )


def scan(canvas: Canvas, looks: Looks) -> Array:
    """Return these patients' slices as the scanner shows them: blurred, noisy, at its gain and offset."""
    seen = smooth(canvas.pixels, looks["blur"]) * looks["gain"] + looks["offset"]
    return develop(seen, looks["noise"], canvas.rng)


def draw_labels(images: int, rng: np.random.Generator) -> Array:
    """Return the class of each image, in OrganSMNIST's proportions, shuffled."""
    counts = np.array([organ.images for organ in ORGANS])
    counts = np.round(counts / counts.sum() * images).astype(np.int64)
    return rng.permutation(np.repeat(np.arange(len(ORGANS), dtype=np.int64), counts))


def draw_organs(seed: int = 0, size: int = SIZE, images: int = IMAGES) -> ImageDataset:
    """Draw CT-like crops around 11 organs, with OrganSMNIST's class names and proportions."""
    rng = np.random.default_rng(seed)
    labels = draw_labels(images, rng)
    groups = np.arange(len(labels), dtype=np.int64) // IMAGES_PER_PATIENT
    splits = split_patients(groups, labels, rng)
    patients = {name: uniform(rng, groups[-1] + 1, *ends) for name, ends in LOOKS.items()}
    pixels = np.empty((len(labels), size, size, 1), np.uint8)
    for label, organ in enumerate(ORGANS):
        rows = np.flatnonzero(labels == label)
        looks = {name: values[groups[rows]] for name, values in patients.items()}
        canvas = open_canvas(looks, organ.side, size, rng)
        organ.draw(canvas)
        pixels[rows] = scan(canvas, looks)
    return ImageDataset(
        images=pixels,
        labels=labels,
        class_names=tuple(organ.name for organ in ORGANS),
        splits=splits,
        source=describe("organs", seed=(seed, 0), size=(size, SIZE), images=(images, IMAGES)),
        groups=groups,
        notes=no_match("the real OrganSMNIST's"),
    )

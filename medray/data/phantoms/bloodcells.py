"""Phantom bloodcells: stained blood smears with one white cell among red ones.

The nucleus tells the types apart: three or four lobes in a neutrophil, mostly two in an eosinophil, whose
granules are red, a round one that fills the cell in a lymphocyte, a bent one in a large monocyte.

The proportions are those of a student report on 411 smears. Left out are its three basophils, too
few for splits and folds to hold them, and the 59 images that name no type or several. The report does not
say whose blood the images show; here about ten are one patient's, stained alike.
"""

from collections.abc import Callable

import numpy as np

from medray._types import Array
from medray.data.dataset import ImageDataset
from medray.data.phantoms.canvas import ANGLE, Canvas, Number, develop, mix, rgb, rotated, uniform, upright
from medray.data.phantoms.composition import describe, draw_batches, no_match, share_out, split_patients

WEIGHTS = np.array([207, 88, 33, 21])
IMAGES = 800
IMAGES_PER_PATIENT = 10
GRID = 12  # red cells of a layer, at most so many by so many
SIZE = 48

PLASMA = rgb(0.93, 0.90, 0.87), rgb(0.86, 0.80, 0.84)
RED_CELL, PALE = rgb(0.86, 0.60, 0.58), rgb(0.92, 0.76, 0.73)
NUCLEUS = rgb(0.36, 0.16, 0.50), rgb(0.46, 0.24, 0.60)
PINK, BLUE, GREY = rgb(0.86, 0.72, 0.80), rgb(0.66, 0.72, 0.88), rgb(0.72, 0.70, 0.82)
EOSIN, FINE = rgb(0.88, 0.42, 0.36), rgb(0.76, 0.52, 0.66)


class Cell:
    """White cells while they are drawn: where they lie, their radius and the tones of their slide's stain."""

    def __init__(self, canvas: Canvas, stain: Array) -> None:
        self.canvas = canvas
        self.x, self.y, self.turn = canvas.vary_each((-0.3, 0.3), (-0.3, 0.3), ANGLE)
        self.size = canvas.vary(0.85, 1.15)
        self.nucleus = mix(*NUCLEUS, stain)

    def body(self, radius: float, tone: Array, opacity: float = 0.9) -> None:
        """Draw the cell, not quite round."""
        size, ratio = radius * self.size, self.canvas.vary(0.88, 1.12)
        self.canvas.paint(self.canvas.blob(self.x, self.y, size * ratio, size / ratio, self.turn) * opacity, tone)

    def grains(self, radius: float, tone: Array, strength: Number) -> None:
        """Strew granules over the cell."""
        inside = self.canvas.blob(self.x, self.y, radius * self.size, radius * self.size)
        self.canvas.paint(inside * np.clip(0.6 + 1.6 * self.canvas.waves(6, 10), 0, 1) * strength, tone)

    def lobe(self, reach: Number, angle: Number, width: Number, height: Number, bend: Number = 0.0) -> Array:
        """Mask a part of the nucleus at `reach` from the centre."""
        around, size = self.turn + angle, self.size
        x, y = self.x + reach * size * np.cos(around), self.y + reach * size * np.sin(around)
        return self.canvas.blob(x, y, width * size, height * size, around + np.pi / 2, bend)

    def stain(self, *lobes: Array) -> None:
        """Draw the nucleus, of these lobes."""
        self.canvas.paint(np.maximum.reduce(lobes) * 0.95, self.nucleus)


def draw_neutrophil(cell: Cell) -> None:
    """Draw three lobes, often four, at times two, on a thread; the granules are fine and pale."""
    cell.body(0.44, PINK)
    cell.grains(0.4, mix(FINE, EOSIN, cell.canvas.vary(0.0, 0.7)), cell.canvas.vary(0.2, 0.7))
    step, third, fourth = cell.canvas.vary(1.1, 1.5), cell.canvas.some(0.8), cell.canvas.some(0.4)
    shares = (1.0, 1.0, third, third * fourth)
    lobes = [cell.lobe(0.2, number * step, 0.16, 0.13) * share for number, share in enumerate(shares)]
    cell.stain(*lobes, cell.lobe(0.1, step / 2, 0.16, 0.05))


def draw_eosinophil(cell: Cell) -> None:
    """Draw two lobes, at times three, among coarse red granules."""
    cell.body(0.46, PINK)
    cell.grains(0.43, EOSIN, cell.canvas.vary(0.15, 0.8))
    step, third = cell.canvas.vary(1.9, 2.8), cell.canvas.some(0.3)
    lobes = [cell.lobe(0.2, number * step, 0.2, 0.15) for number in range(2)]
    cell.stain(*lobes, cell.lobe(0.2, 1.7 * step, 0.13, 0.12) * third, cell.lobe(0.08, step / 2, 0.2, 0.05))


def draw_lymphocyte(cell: Cell) -> None:
    """Draw a small cell that a round nucleus fills but for a blue rim."""
    cell.size = cell.size * cell.canvas.vary(0.75, 1.15)
    cell.body(0.37, mix(BLUE, GREY, cell.canvas.vary(0, 0.7)))
    cell.stain(cell.lobe(cell.canvas.vary(0.0, 0.06), 0.0, 0.3, 0.26, cell.canvas.vary(0.0, 0.5)))


def draw_monocyte(cell: Cell) -> None:
    """Draw a large grey cell with a bent, bean-like nucleus."""
    tone, bend = cell.canvas.vary(0, 0.7), cell.canvas.vary(0.0, 1.3)
    cell.body(0.48, mix(GREY, BLUE, tone))
    cell.stain(cell.lobe(0.04, 0.0, 0.34, 0.24, bend))


CELLS: dict[str, Callable[[Cell], None]] = {
    "NEUTROPHIL": draw_neutrophil,
    "EOSINOPHIL": draw_eosinophil,
    "LYMPHOCYTE": draw_lymphocyte,
    "MONOCYTE": draw_monocyte,
}


def draw_red_cells(canvas: Canvas, pitch: Number, share: float) -> None:
    """Lay a loose, turned grid of red cells, paler in the middle, about `share` of its places taken."""
    turn, shift_x, shift_y = canvas.vary_each(ANGLE, (0, 1), (0, 1))
    x, y = rotated(canvas.x, canvas.y, turn)
    across, down = x / pitch + shift_x + GRID / 2, y / pitch + shift_y + GRID / 2
    column, row = (np.clip(np.floor(at), 0, GRID - 1).astype(np.int64) for at in (across, down))
    places = np.arange(len(canvas.x))[:, None, None], row, column
    n, draw = len(canvas.x), canvas.rng.random
    dx, dy = (draw((n, GRID, GRID), np.float32)[places] * 0.24 - 0.12 for _ in "xy")
    there = (draw((n, GRID, GRID), np.float32) < share)[places]
    reach = np.sqrt((across - column - 0.5 - dx) ** 2 + (down - row - 0.5 - dy) ** 2) * pitch
    for radius, tone, opacity in ((0.38, RED_CELL, 0.85), (0.17, PALE, 0.7)):
        mask = np.clip((radius * pitch - reach) / canvas.edge + 0.5, 0, 1)
        canvas.paint(mask * there * opacity, tone)


def draw_smears(label: Array, stain: Array, size: int, rng: np.random.Generator) -> Array:
    """Draw smears; `stain` (n, 1, 1) says from 0 to 1 how a slide was stained."""
    n = len(label)
    canvas = Canvas(*upright(size, n), rng, mix(*PLASMA, stain), edge=0.06)
    pitch = canvas.vary(0.42, 0.52)
    draw_red_cells(canvas, pitch, 0.75)
    draw_red_cells(canvas, pitch, 0.25)
    for number, draw in enumerate(CELLS.values()):
        rows = np.flatnonzero(label[:, 0, 0] == number)
        if len(rows):
            part = canvas.part(rows)
            draw(Cell(part, stain[rows]))
            canvas.pixels[:, rows] = part.pixels
    tint = rgb(1.0, 1.0, 1.0) + rgb(-0.02, -0.1, 0.04) * (stain - 0.5)
    return develop(canvas.pixels * tint * uniform(rng, n, 0.8, 1.05), 0.02, rng)


def draw_bloodcells(seed: int = 0, size: int = SIZE, images: int = IMAGES) -> ImageDataset:
    """Draw stained smears with one white cell each, of four types, most of them neutrophils."""
    rng = np.random.default_rng(seed)
    labels = share_out(WEIGHTS, images, rng)
    groups = np.arange(images, dtype=np.int64) // IMAGES_PER_PATIENT
    stain = rng.random(images)[groups]
    splits = split_patients(groups, labels, rng)
    return ImageDataset(
        images=draw_batches(draw_smears, size, rng, labels, stain),
        labels=labels,
        class_names=tuple(CELLS),
        splits=splits,
        source=describe("bloodcells", seed=(seed, 0), size=(size, SIZE), images=(images, IMAGES)),
        groups=groups,
        notes=no_match("one on real blood smears"),
    )

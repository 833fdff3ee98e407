"""The canvas that phantoms are drawn on, in relative coordinates; colours, blur and grain.

Images are drawn in relative coordinates, so at any size: x and y from -1 at the left and upper edge to 1 at the
right and lower one. Tones run from 0 to 1; a colour is three tones that stand before the axis of the images.
"""

import numpy as np

from medray._types import Array

Number = Array | float
Range = tuple[float, float]

EDGE = 0.09  # the width over which a border passes from one tone to the next
ANGLE: Range = (0, 2 * np.pi)


def uniform(rng: np.random.Generator, n: int, low: float, high: float) -> Array:
    """Draw a number for each of n images, (n, 1, 1)."""
    return rng.uniform(low, high, (n, 1, 1)).astype(np.float32)


def rgb(red: float, green: float, blue: float) -> Array:
    """Return a colour, (3, 1, 1, 1)."""
    return np.array([red, green, blue], np.float32).reshape(3, 1, 1, 1)


def mix(start: Array, end: Array, share: Number) -> Array:
    """Return the colour that lies at `share`, 0 to 1, of the way from `start` to `end`."""
    mixed: Array = start + (end - start) * share
    return mixed


def rotated(x: Array, y: Array, angle: Number) -> tuple[Array, Array]:
    """Return coordinates along an axis at `angle` radians, and across it."""
    cos, sin = np.cos(angle), np.sin(angle)
    return cos * x + sin * y, cos * y - sin * x


def pixel_centres(size: int) -> tuple[Array, Array]:
    """Return the x (1, 1, size) and the y (1, size, 1) of an image's pixels."""
    centres = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    return centres[None, None, :], centres[None, :, None]


def upright(size: int, n: int) -> tuple[Array, Array]:
    """Return the x and y (n, size, size) of n images seen straight on."""
    column, row = pixel_centres(size)
    shape = (n, size, size)
    return np.broadcast_to(column, shape), np.broadcast_to(row, shape)


def posed(size: int, turn: Array, scale: Array, x: Number, y: Number, mirror: Number = 1.0) -> tuple[Array, Array]:
    """Return the x and y (n, size, size) of images turned by radians, scaled, moved and, by -1, mirrored."""
    across, down = rotated(*pixel_centres(size), turn)
    return across * mirror / scale + x, down / scale + y


def random_pose(
    size: int, n: int, pose: tuple[Range, Range, Range, Range], rng: np.random.Generator, mirror: Number = 1.0
) -> tuple[Array, Array]:
    """Return the x and y (n, size, size) of n images, posed at random.

    `pose` holds the ranges of the turn in radians, of the scale, and of the shifts along x and along y.
    """
    turn, scale, x, y = (uniform(rng, n, *ends) for ends in pose)
    return posed(size, turn, scale, x, y, mirror)


class Canvas:
    """Images while they are drawn: coordinates `x`, `y` (n, h, w) and tones `pixels`.

    `pixels` is (n, h, w) on a grey background, (3, n, h, w) on a coloured one. `edge` is the width over which a
    border passes from one tone to the next.
    """

    def __init__(
        self, x: Array, y: Array, rng: np.random.Generator, background: Number, edge: float = EDGE
    ) -> None:
        self.x, self.y, self.rng, self.edge = x, y, rng, edge
        shape = np.broadcast_shapes(x.shape, np.shape(background))
        self.pixels: Array = np.full(shape, background, np.float32)

    def part(self, rows: Array) -> "Canvas":
        """Return a canvas with copies of some of the images, to draw on these alone."""
        return Canvas(self.x[rows], self.y[rows], self.rng, self.pixels[..., rows, :, :], self.edge)

    def vary(self, low: float, high: float) -> Array:
        """Draw a number for each image."""
        return uniform(self.rng, len(self.x), low, high)

    def vary_each(self, *ranges: Range) -> list[Array]:
        """Draw a number from each range for each image."""
        return [self.vary(low, high) for low, high in ranges]

    def some(self, share: float) -> Array:
        """Draw 1 for about `share` of the images and 0 for the others."""
        return (self.vary(0, 1) < share).astype(np.float32)

    def blob(
        self, x: Number, y: Number, width: Number, height: Number, turn: Number = 0.0, bend: Number = 0.0
    ) -> Array:
        """Mask an ellipse with half axes `width` and `height`, turned by radians, then bent like a banana."""
        along, across = rotated(self.x - x, self.y - y, turn)
        across = across - bend * along**2
        reach = np.sqrt((along / width) ** 2 + (across / height) ** 2)
        mask: Array = np.clip((1 - reach) * np.minimum(width, height) / self.edge + 0.5, 0, 1)
        return mask

    def cloud(self, x: Number, y: Number, width: Number, height: Number) -> Array:
        """Mask a patch that fades outwards, to a third at the half axes."""
        mask: Array = np.exp(-(((self.x - x) / width) ** 2) - ((self.y - y) / height) ** 2)
        return mask

    def waves(self, low: float, high: float) -> Array:
        """Sum plane waves of `low` to `high` cycles a half image into a texture of about -1 to 1."""
        total = np.zeros_like(self.x)
        for _ in range(3):
            angle, cycles, phase = self.vary_each(ANGLE, (low, high), ANGLE)
            total += np.sin(np.pi * cycles * rotated(self.x, self.y, angle)[0] + phase)
        return total / 3

    def paint(self, mask: Array, tone: Number) -> None:
        """Lay a tone over the pixels, as far as the mask (0 to 1) says."""
        self.pixels += mask * (tone - self.pixels)


def smooth(pixels: Array, sigma: Number) -> Array:
    """Blur each image with a Gaussian whose `sigma` is a share of the image."""
    size, margin = pixels.shape[1], pixels.shape[1] // 8 + 1
    # Mirrored margins, for the Fourier transform would bleed each edge into the opposite one.
    padded = np.pad(pixels, ((0, 0), (margin, margin), (margin, margin)), "symmetric")
    width = padded.shape[1]
    rows, columns = np.fft.fftfreq(width)[:, None] * size, np.fft.rfftfreq(width) * size
    kernel = np.exp(-2 * (np.pi * sigma) ** 2 * (rows**2 + columns**2)).astype(np.float32)
    blurred = np.fft.irfft2(np.fft.rfft2(padded) * kernel, s=(width, width))
    return blurred[:, margin:-margin, margin:-margin]


def develop(pixels: Array, noise: Number, rng: np.random.Generator) -> Array:
    """Return uint8 (n, h, w, channels) of tones (n, h, w) or (3, n, h, w), with `noise` of grain on them."""
    grain = smooth(rng.standard_normal(pixels.shape[-3:], dtype=np.float32), 0.015)
    grain *= noise / grain.std()  # smooth noise, as strong at any size
    seen = pixels + grain
    seen = np.moveaxis(seen, 0, -1) if seen.ndim == 4 else seen[..., None]
    developed: Array = np.round(np.clip(seen, 0, 1) * 255).astype(np.uint8)
    return developed

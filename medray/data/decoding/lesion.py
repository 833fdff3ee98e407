"""Where the lesion is in a photograph of skin: the darkest thing of its middle."""

import numpy as np

from medray._types import Array
from medray.data.decoding.picture import Picture

SIDE = 96  # pixels: the look is taken at this size
HAIR = 5  # pixels of it: what is thinner and dark is closed (as DullRazor does, Lee et al. 1997)
SMOOTH = 1.5  # pixels of it: standard deviation of the blur
MARGIN = 0.15  # of the lesion's own size, on each side: its border tells much
LEAST, MOST = 0.005, 0.8  # of the image's area: less is a speck, more is a shadow
CONTRAST = 12.0  # grey levels between lesion and skin; less is no lesion
BLACK = 50.0  # grey levels: skin is not so dark in the corners of a photograph
RIM = 3  # pixels beside a dark corner that are neither
CENTRE = 0.25  # of a side: how fast what lies off the middle loses weight, such as dark corners


def around_lesion(picture: Picture) -> Picture:
    """The part of a picture that holds its lesion and a margin; the picture itself where none stands out."""
    found = find_lesion(np.asarray(picture.image.convert("L").resize((SIDE, SIDE), box=picture.box)))
    if found is None:
        return picture
    x, y, width, height = 0.0, 0.0, *map(float, picture.image.size)
    if picture.box is not None:
        x, y, width, height = *picture.box[:2], picture.box[2] - picture.box[0], picture.box[3] - picture.box[1]
    left, upper = int(x + found[0] * width), int(y + found[1] * height)
    right, lower = round(x + found[2] * width), round(y + found[3] * height)
    image = picture.image.crop((left, upper, max(left + 1, right), max(upper + 1, lower)))
    scale = picture.size[0] / width, picture.size[1] / height  # JPEG files may be decoded to fewer pixels
    size = max(1, round(image.size[0] * scale[0])), max(1, round(image.size[1] * scale[1]))
    return Picture(image, size, picture.notes | {"cropped"}, picture.orientation)


def find_lesion(grey: Array) -> tuple[float, float, float, float] | None:
    """The box (left, upper, right, lower) of the lesion and its margin, as shares of the sides; None without one.

    Takes uint8 (96, 96). What is darker than Otsu's threshold (1979, "A threshold selection method from gray-level
    histograms") falls into connected parts; the one with most weight, which is greatest in the middle, is taken.
    """
    from scipy.ndimage import find_objects, gaussian_filter, grey_closing, label, sum_labels

    smooth = gaussian_filter(grey_closing(grey, size=(HAIR, HAIR)).astype(np.float32), SMOOTH)
    seen = _without_corners(smooth)
    dark = seen & (smooth <= otsu(smooth[seen]))
    parts, count = label(dark)
    if not count:
        return None
    away = (np.arange(SIDE) + 0.5) / SIDE - 0.5
    weight = np.exp(-(away[:, None] ** 2 + away**2) / (2 * CENTRE**2))
    best = int(np.argmax(sum_labels(weight, parts, np.arange(1, count + 1)))) + 1
    own, skin = parts == best, seen & ~dark
    if not LEAST <= own.mean() <= MOST or not skin.any() or smooth[skin].mean() - smooth[own].mean() < CONTRAST:
        return None
    (upper, lower), (left, right) = (_widened(side.start, side.stop) for side in find_objects(parts)[best - 1])
    return left, upper, right, lower


def _without_corners(smooth: Array) -> Array:
    """What is seen, bool (n, n), where a round frame leaves black corners: beside them all else looks alike."""
    from scipy.ndimage import binary_dilation, label

    parts, _ = label(smooth <= otsu(smooth))
    where = np.ix_([0, -1], [0, -1])
    corners = np.setdiff1d(parts[where][smooth[where] < BLACK], [0])
    seen: Array = ~binary_dilation(np.isin(parts, corners), iterations=RIM)
    return seen if seen.any() else np.ones_like(seen)


def _widened(start: int, stop: int) -> tuple[float, float]:
    """A side of the box with its margin, as shares of the image's."""
    more = MARGIN * (stop - start)
    return max(0.0, (start - more) / SIDE), min(1.0, (stop + more) / SIDE)


def otsu(values: Array) -> float:
    """The threshold of least variance within the two parts: values up to it are of the lower one."""
    counts, edges = np.histogram(values, bins=128)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    sums = np.cumsum(counts * middles)
    means = sums[:-1] / np.maximum(below, 1), (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    between = below * above * (means[0] - means[1]) ** 2
    return float(edges[1 + int(np.argmax(between))])

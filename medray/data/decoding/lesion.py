"""Find the lesion in a photograph of skin: the darkest part of its middle."""

import numpy as np

from medray._types import Array
from medray.data.decoding.picture import Picture

SIDE = 96  # pixels: the lesion is searched for at this size
HAIR = 5  # pixels of it: what is thinner and dark is closed (as DullRazor does, Lee et al. 1997)
SMOOTH = 1.5  # pixels of it: standard deviation of the blur
MARGIN = 0.15  # of the lesion's size, on each side: its border matters for the diagnosis
LEAST, MOST = 0.005, 0.8  # of the image's area: less is a speck, more a shadow
CONTRAST = 12.0  # grey levels between lesion and skin; less is no lesion
BLACK = 50.0  # grey levels: skin is not so dark in the corners of a photograph
RIM = 3  # pixels beside a dark corner that are neither corner nor skin
CENTRE = 0.25  # of a side: how fast what lies off the middle loses weight, such as dark corners


def around_lesion(picture: Picture) -> Picture:
    """Return the part of a picture with its lesion and a margin; the picture itself where none stands out."""
    lesion = find_lesion(np.asarray(picture.image.convert("L").resize((SIDE, SIDE), box=picture.box)))
    if lesion is None:
        return picture
    x, y, width, height = 0.0, 0.0, *map(float, picture.image.size)
    if picture.box is not None:
        x, y, width, height = *picture.box[:2], picture.box[2] - picture.box[0], picture.box[3] - picture.box[1]
    left, upper = int(x + lesion[0] * width), int(y + lesion[1] * height)
    right, lower = round(x + lesion[2] * width), round(y + lesion[3] * height)
    image = picture.image.crop((left, upper, max(left + 1, right), max(upper + 1, lower)))
    scale = picture.size[0] / width, picture.size[1] / height  # JPEG files may be decoded to fewer pixels
    size = max(1, round(image.size[0] * scale[0])), max(1, round(image.size[1] * scale[1]))
    return Picture(image, size, picture.notes | {"cropped"}, picture.orientation)


def find_lesion(grey: Array) -> tuple[float, float, float, float] | None:
    """Return the box (left, upper, right, lower) of the lesion and its margin, as shares of the sides, or None.

    Takes uint8 (96, 96). Pixels darker than Otsu's threshold (1979, "A threshold selection method from gray-level
    histograms") form connected parts; the part of most weight, which is greatest in the middle, is the lesion.
    """
    from scipy.ndimage import find_objects, gaussian_filter, grey_closing, label, sum_labels

    smooth = gaussian_filter(grey_closing(grey, size=(HAIR, HAIR)).astype(np.float32), SMOOTH)
    visible = _without_corners(smooth)
    dark = visible & (smooth <= otsu(smooth[visible]))
    parts, count = label(dark)
    if not count:
        return None
    offset = (np.arange(SIDE) + 0.5) / SIDE - 0.5
    weight = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * CENTRE**2))
    best = int(np.argmax(sum_labels(weight, parts, np.arange(1, count + 1)))) + 1
    lesion, skin = parts == best, visible & ~dark
    if not LEAST <= lesion.mean() <= MOST or not skin.any():
        return None
    if smooth[skin].mean() - smooth[lesion].mean() < CONTRAST:
        return None
    rows, columns = find_objects(parts)[best - 1]
    ends = np.array([[columns.start, rows.start], [columns.stop, rows.stop]])
    margin = MARGIN * (ends[1] - ends[0])
    (left, upper), (right, lower) = np.clip((ends + np.stack((-margin, margin))) / SIDE, 0, 1).tolist()
    return left, upper, right, lower


def _without_corners(smooth: Array) -> Array:
    """Return what is no black corner of a round frame, bool (n, n); beside those all else looks alike."""
    from scipy.ndimage import binary_dilation, label

    parts, _ = label(smooth <= otsu(smooth))
    where = np.ix_([0, -1], [0, -1])
    corners = np.setdiff1d(parts[where][smooth[where] < BLACK], [0])
    visible: Array = ~binary_dilation(np.isin(parts, corners), iterations=RIM)
    return visible if visible.any() else np.ones_like(visible)


def otsu(values: Array) -> float:
    """Return the threshold of least variance within the two parts; values up to it belong to the lower one."""
    counts, edges = np.histogram(values, bins=128)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    sums = np.cumsum(counts * middles)
    means = sums[:-1] / np.maximum(below, 1), (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    between = below * above * (means[0] - means[1]) ** 2
    return float(edges[1 + int(np.argmax(between))])

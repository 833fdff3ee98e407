"""Perceptual hashes: alike images have hashes that differ in few bits, in whatever of eight orientations.

pHash (Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions", thesis, Hagenberg),
with the sign of each coefficient of the cosine transform as its bit. To mirror an image turns the signs of
every second row or column of its coefficients round, and to transpose it transposes them, so the hashes of
all eight orientations come from one transform. (Hashes of gradients, dHash, call most medical images alike.)
"""

import numpy as np

from medray._types import Array

HASH_SIDE = 8  # 63 bits: the lowest 8 x 8 frequencies but the mean
DETAIL_SIDE = 12  # the lowest 12 x 12 frequencies; more would not outlast that an image of 28 x 28 is halved
ENOUGH = 30  # images, of which one can tell what they have in common
#: What is done to an image: transposed or not, then mirrored top to bottom or not, left to right or not.
ORIENTATIONS: dict[str, tuple[bool, bool, bool]] = {
    "upright": (False, False, False),
    "mirrored left-right": (False, False, True),
    "mirrored top-bottom": (False, True, False),
    "turned by 180": (False, True, True),
    "transposed": (True, False, False),
    "turned by 90 clockwise": (True, False, True),
    "turned by 90 anticlockwise": (True, True, False),
    "transposed by the other diagonal": (True, True, True),
}
NAMES = tuple(ORIENTATIONS)


def spectra(thumbnails: Array) -> Array:
    """Return the lowest 12 x 12 coefficients float32 (n, 12, 12) of the cosine transform of images (n, 32, 32)."""
    from scipy.fft import dct

    size = thumbnails.shape[1]
    waves = dct(np.eye(size), axis=0, norm="ortho")[:DETAIL_SIDE].astype(np.float32)
    parts = [thumbnails[start : start + 4096] for start in range(0, len(thumbnails), 4096)]
    empty = np.empty((0, DETAIL_SIDE, DETAIL_SIDE), np.float32)
    return np.concatenate([empty, *(waves @ part.astype(np.float32) @ waves.T for part in parts)])


def turned(spectrum: Array, orientation: int) -> Array:
    """Return the coefficients (n, s, s) of the images in one of the ORIENTATIONS, by its number."""
    transposed, upside_down, mirrored = ORIENTATIONS[NAMES[orientation]]
    found = spectrum.transpose(0, 2, 1) if transposed else spectrum
    signs = (-1.0) ** np.arange(spectrum.shape[1], dtype=np.float32)
    if upside_down:
        found = found * signs[:, None]
    return found * signs if mirrored else found


def hashes(spectrum: Array) -> Array:
    """Return the hashes uint64 (8, n) of images in all orientations, from their coefficients (n, s, s)."""
    low = spectrum[:, :HASH_SIDE, :HASH_SIDE]
    powers = np.uint64(1) << np.arange(HASH_SIDE**2, dtype=np.uint64)
    powers[0] = 0  # the mean
    bits = [turned(low, number).reshape(-1, HASH_SIDE**2) > 0 for number in range(len(NAMES))]
    return np.stack([(part * powers).sum(axis=1, dtype=np.uint64) for part in bits])


def details(spectrum: Array) -> Array:
    """Return unit vectors float32 (n, 12, 12) whose inner product is the correlation of two images' details.

    A coefficient counts by its frequency, which evens out that medical images, like all natural ones, have
    amplitudes that fall with it (Field 1987, J. Opt. Soc. Am. A 4): else the outline alone would decide, and
    that most chests share. What all images have in common in every orientation, such as the round border of
    photographs of the retina, is taken out, if there are enough of them to tell.
    """
    frequency = np.arange(spectrum.shape[1], dtype=np.float32)
    unit = _unit(spectrum * np.hypot(frequency[:, None], frequency))
    if len(unit) < ENOUGH:
        return unit
    common = np.mean([turned(unit, number).mean(axis=0, keepdims=True) for number in range(len(NAMES))], axis=0)
    common = _unit(common)
    return _unit(unit - (unit * common).sum(axis=(1, 2), keepdims=True) * common)


def _unit(vectors: Array) -> Array:
    length = np.sqrt((vectors**2).sum(axis=(1, 2), keepdims=True))
    found: Array = vectors / np.maximum(length, 1e-6)
    return found

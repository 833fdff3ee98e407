"""Perceptual hashes: similar images have hashes that differ in few bits, in each of eight orientations.

pHash (Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions", thesis, Hagenberg),
with the sign of each coefficient of the cosine transform as its bit. Mirroring an image flips the signs of every
second row or column of its coefficients, and transposing it transposes them, so the hashes of all eight
orientations come from one transform. (Hashes of gradients, dHash, match most medical images with one another.)
"""

import numpy as np

from medray._types import Array

HASH_SIDE = 8  # 63 bits: the lowest 8 x 8 frequencies but the mean
DETAIL_SIDE = 12  # the lowest 12 x 12 frequencies; higher ones are lost where an image of 28 x 28 is halved
LEAST_FOR_MEAN = 30  # images from which to learn what all of them have in common
#: Whether an image is transposed, then mirrored top to bottom, then mirrored left to right.
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
ORIENTATION_NAMES = tuple(ORIENTATIONS)


def spectra(thumbnails: Array) -> Array:
    """Return the lowest 12 x 12 coefficients float32 (n, 12, 12) of the cosine transform of images (n, 32, 32)."""
    from scipy.fft import dct

    size = thumbnails.shape[1]
    waves = dct(np.eye(size), axis=0, norm="ortho")[:DETAIL_SIDE].astype(np.float32)
    parts = [thumbnails[start : start + 4096] for start in range(0, len(thumbnails), 4096)]
    empty = np.empty((0, DETAIL_SIDE, DETAIL_SIDE), np.float32)
    return np.concatenate([empty, *(waves @ part.astype(np.float32) @ waves.T for part in parts)])


def reorient(spectrum: Array, orientation: int) -> Array:
    """Return the coefficients (n, s, s) of the images in the orientation of that index in ORIENTATION_NAMES."""
    transposed, upside_down, mirrored = ORIENTATIONS[ORIENTATION_NAMES[orientation]]
    result = spectrum.transpose(0, 2, 1) if transposed else spectrum
    signs = (-1.0) ** np.arange(spectrum.shape[1], dtype=np.float32)
    if upside_down:
        result = result * signs[:, None]
    return result * signs if mirrored else result


def hashes(spectrum: Array) -> Array:
    """Return the hashes uint64 (8, n) of images in all ORIENTATIONS, from their coefficients (n, s, s)."""
    low = spectrum[:, :HASH_SIDE, :HASH_SIDE]
    powers = np.uint64(1) << np.arange(HASH_SIDE**2, dtype=np.uint64)
    powers[0] = 0  # the mean
    bits = [reorient(low, index).reshape(-1, HASH_SIDE**2) > 0 for index in range(len(ORIENTATION_NAMES))]
    return np.stack([(part * powers).sum(axis=1, dtype=np.uint64) for part in bits])


def details(spectrum: Array) -> Array:
    """Return unit vectors float32 (n, 12, 12) whose inner product is the correlation of two images' details."""
    unit = unit_vectors(weighted(spectrum))
    return without_common(unit, common_details(unit))


def weighted(spectrum: Array) -> Array:
    """Weight each coefficient (..., s, s) by its frequency.

    The amplitudes of medical images, like those of all natural ones, fall with it (Field 1987, J. Opt. Soc. Am. A
    4): otherwise the outline, which most chests share, would decide alone.
    """
    frequency = np.arange(spectrum.shape[-1], dtype=np.float32)
    return spectrum * np.hypot(frequency[:, None], frequency)


def common_details(unit: Array) -> Array:
    """Return what images (n, s, s) have in common, such as a round border, as a unit vector (1, s, s).

    It is their mean over all orientations, or zero where there are fewer than LEAST_FOR_MEAN images.
    """
    if len(unit) < LEAST_FOR_MEAN:
        return np.zeros_like(unit, shape=(1, *unit.shape[1:]))
    orientations = range(len(ORIENTATION_NAMES))
    return unit_vectors(
        np.mean([reorient(unit, index).mean(axis=0, keepdims=True) for index in orientations], axis=0)
    )


def without_common(unit: Array, common: Array) -> Array:
    """Return unit vectors (n, s, s) with the common one (1, s, s) projected out."""
    return unit_vectors(unit - (unit * common).sum(axis=(1, 2), keepdims=True) * common)


def unit_vectors(vectors: Array) -> Array:
    """Return vectors (n, s, s) divided by their lengths."""
    length = np.sqrt((vectors**2).sum(axis=(1, 2), keepdims=True))
    unit: Array = vectors / np.maximum(length, 1e-6)
    return unit

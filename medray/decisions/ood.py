"""Out-of-distribution detection: notice an image unlike the training images, as a cat for a chest x-ray model.

The score looks at pixels only, never at the networks: texture, tones, colours and layout of the image
(`medray.decisions.ood_features`), the layout as principal components of the training thumbnails and what
they leave over (Jackson & Mudholkar 1979). It is the Mahalanobis (1936) distance of these from the training
images, with the covariance shrunk by Ledoit & Wolf (2004), over the square root of their number: about 1 for an
image like those. The threshold comes from held-out images alone and is a conformal one (Laxhammar & Falkman
2010): of further images drawn as they were, an expected share of at most `false_alarms` lies above it.

A low score says that an image looks like the training images as a whole, and not that it is one of theirs:
nothing here knows the classes, and an image turned upside down or of a new disease may well pass.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medray._types import Array, Shape
from medray.decisions.ood_features import image_features, statistic_count, thumbnail_size
from medray.errors import ConfigError, DataError, RunError, unknown_choice_line
from medray.json_document import JsonDocument

OUT_OF_DISTRIBUTION = "out_of_distribution"  # the flag of such an image
METHOD = "texture, tones, colours and layout"
COMPONENTS = 8  # of the thumbnails; more of them made single images of the same kind stand out
FEWEST, MOST = 10, 10_000  # images to learn from; of more, a fixed random part is taken
FLOOR = 1e-3  # added to each deviation and to each variance: where nothing varied, scores stay finite
ROUNDING = 1e-9  # by how much a score may differ in another batch


@dataclass(frozen=True)
class OodFacts(JsonDocument):
    """The threshold of a detector and what it was set on; the detector's arrays lie in a file of their own.

    The covariance is of `train_images` images. Of further images like the `images` that were held out, an expected
    share of `false_alarms` scores above `threshold`.
    """

    method: str
    threshold: float
    false_alarms: float
    train_images: int
    images: int

    def check(self) -> None:
        """Check that the method is known and the numbers are those of a fit."""
        if self.method != METHOD:
            raise ValueError(unknown_choice_line("method", self.method, [METHOD]))
        if self.threshold < 0 or min(self.images, self.train_images) < FEWEST:
            raise ValueError("threshold, images or train_images is out of range")
        above = self.false_alarms * (self.images + 1)
        if not 1 <= round(above) <= self.images or abs(above - round(above)) > 1e-6:
            raise ValueError(f"false_alarms can't be that of {self.images} images")


@dataclass(frozen=True)
class OodDetector:
    """Score images of shape (H, W, C), and flag those whose score is above the threshold in `facts`.

    `thumbnail_mean` (values,) and `components` (components, values) make the layout of a thumbnail,
    `feature_mean` (features,) and `whitening` (features, features) the score; all are float32.
    """

    thumbnail_mean: Array
    components: Array
    feature_mean: Array
    whitening: Array
    shape: Shape
    facts: OodFacts

    def scores(self, images: Array) -> Array:
        """Score uint8 images (N, H, W, C), float64 (N,): about 1 for one like the training images, else higher.

        An image's score is the same alone and in any batch, to 1e-9 of it.

        Raises:
            DataError: they have another type or shape; nothing is resized unasked.
        """
        statistics, thumbnails = image_features(_checked(images, self.shape))
        features = _features(statistics, thumbnails, self.thumbnail_mean, self.components)
        return _distances(features, self.feature_mean, self.whitening)

    def flags(self, images: Array) -> Array:
        """Return whether each of the uint8 images (N, H, W, C) is out of distribution, bool (N,).

        Raises:
            DataError: they have another type or shape.
        """
        above: Array = self.scores(images) > self.facts.threshold
        return above

    def to_tensors(self) -> dict[str, Array]:
        """Return the arrays, float32, by name."""
        return {name: getattr(self, name) for name in _tensor_shapes(self.shape)}

    @classmethod
    def from_tensors(cls, facts: OodFacts, tensors: Mapping[str, Array], shape: Shape) -> "OodDetector":
        """Restore a detector of images of `shape` (H, W, C) from its facts and what `to_tensors` returned.

        Raises:
            RunError: an array is missing, unknown, of another type or shape, or not finite.
        """
        return cls(shape=shape, facts=facts, **_checked_tensors(tensors, shape))


def fit_ood(train: Array, held_out: Array, *, false_alarms: float = 0.01) -> OodDetector:
    """Fit a detector on uint8 images `train` (N, H, W, C), its threshold on `held_out` (n, H, W, C).

    The threshold is the ceil((n + 1) * (1 - false_alarms))-th smallest of the n held-out scores (Vovk et al.
    2005). Where n is too small for that (below 99 for 1 %) it is the largest, and the result says the share
    that can be expected of it: 1 / (n + 1). Of more than 10,000 images a fixed random 10,000 are used.

    Raises:
        ConfigError: `false_alarms` does not lie between 0 and 1.
        DataError: the images have the wrong type or shape, or either are fewer than 10.
    """
    if not 0 < false_alarms < 1:
        raise ConfigError(f"false_alarms is {false_alarms}; it must lie between 0 and 1")
    train, held_out = _checked(train, None, "training"), _checked(held_out, np.shape(train)[1:], "held-out")
    for name, images in (("training", train), ("held-out", held_out)):
        if len(images) < FEWEST:
            raise DataError(
                f"{len(images)} {name} images are too few to detect what is unlike them; {FEWEST} are needed"
            )
    train, held_out = _some(train), _some(held_out)
    measured = image_features(train)
    layout = _fit_layout(measured[1])
    model = _fit_distance(_features(*measured, *layout))
    scores = np.sort(_distances(_features(*image_features(held_out), *layout), *model))
    count = len(scores)
    rank = max(1, min(count, math.ceil((count + 1) * (1 - false_alarms) - 1e-9)))
    # A little above, so that rounding in another batch flags none of the held-out images on the border.
    threshold = float(scores[rank - 1]) * (1 + ROUNDING) + ROUNDING
    facts = OodFacts(METHOD, threshold, (count + 1 - rank) / (count + 1), len(train), count)
    return OodDetector(*layout, *model, train.shape[1:], facts)


def _checked(images: Array, shape: tuple[int, ...] | None, name: str = "") -> Array:
    """Return images that are uint8 and of `shape`, or of any (H, W, C) if that is None."""
    images = np.asarray(images)
    fits = images.ndim == 4 and (0 not in images.shape[1:] if shape is None else images.shape[1:] == shape)
    if images.dtype != np.uint8 or not fits:
        expected = "H, W, C" if shape is None else ", ".join(map(str, shape))
        raise DataError(f"{name} images are {images.dtype} {images.shape}, not uint8 (N, {expected})".strip())
    return images


def _some(images: Array) -> Array:
    """All images, or a fixed random part of very many."""
    if len(images) <= MOST:
        return images
    return images[np.sort(np.random.default_rng(0).permutation(len(images))[:MOST])]


def _features(statistics: Array, thumbnails: Array, thumbnail_mean: Array, components: Array) -> Array:
    """Statistics (N, statistics) and thumbnails (N, values) as what is scored, (N, features)."""
    centred = thumbnails - thumbnail_mean
    layout = centred @ components.T
    left_over = np.square(centred - layout @ components).mean(axis=1, keepdims=True)
    return np.concatenate([statistics, layout, np.log(left_over + FLOOR**2)], axis=1)


def _distances(features: Array, mean: Array, whitening: Array) -> Array:
    """Mahalanobis distance of features (N, features) over the square root of their number, (N,)."""
    distances: Array = np.sqrt(np.square((features - mean) @ whitening.astype(np.float64)).mean(axis=1))
    return distances


def _fit_layout(thumbnails: Array) -> tuple[Array, Array]:
    """Mean (values,) and first principal components (components, values) of thumbnails (N, values)."""
    mean = thumbnails.mean(axis=0)
    centred = thumbnails - mean
    _, vectors = np.linalg.eigh(centred.T @ centred)  # from the least to the greatest variance
    return _stored(mean), _stored(vectors[:, ::-1][:, :COMPONENTS].T)


def _fit_distance(features: Array) -> tuple[Array, Array]:
    """Mean (features,) and a matrix (features, features) that makes features (N, features) uncorrelated."""
    from sklearn.covariance import LedoitWolf

    mean, scale = features.mean(axis=0), features.std(axis=0) + FLOOR
    covariance = LedoitWolf(assume_centered=True).fit((features - mean) / scale).covariance_
    root = np.linalg.cholesky(covariance + FLOOR * np.eye(len(mean)))
    whitening = np.linalg.inv(root).T / scale[:, None]
    return _stored(mean), _stored(whitening)


def _stored(array: Array) -> Array:
    """The array as it is stored: float32, and row after row, since safetensors mixes up any other order."""
    return np.ascontiguousarray(array, dtype=np.float32)


def _tensor_shapes(shape: Shape) -> dict[str, tuple[int, ...]]:
    """The arrays of a score of images of `shape`, and their shapes."""
    values = thumbnail_size(shape)
    components = min(COMPONENTS, values)
    features = statistic_count(shape) + components + 1
    return {
        "thumbnail_mean": (values,),
        "components": (components, values),
        "feature_mean": (features,),
        "whitening": (features, features),
    }


def _checked_tensors(tensors: Mapping[str, Array], shape: Shape) -> dict[str, Array]:
    """Return the arrays if they are exactly those of a detector of images of `shape`."""
    shapes = _tensor_shapes(shape)
    for name in set(tensors) - set(shapes):
        raise RunError(f"damaged: {unknown_choice_line('array', name, shapes)}")
    for name, expected in shapes.items():
        if name not in tensors:
            raise RunError(f"damaged: it has no array '{name}'")
        array = tensors[name]
        if array.dtype != np.float32 or array.shape != expected:
            raise RunError(f"damaged: '{name}' is {array.dtype} {array.shape}, not float32 {expected}")
        if not np.isfinite(array).all():
            raise RunError(f"damaged: '{name}' holds values that are not finite")
    return dict(tensors)

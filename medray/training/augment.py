"""Transform pipelines: albumentations' own class names and arguments, as a search space writes them.

Images stay uint8 and keep their shape, so that what validation and service see is what a network was built
for. albumentations is imported when the first pipeline is made (3 s), and never asks a registry for news.
"""

import inspect
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medray._types import Array, Shape
from medray.errors import ConfigError, MedrayError, one_line, unknown_choice_line

Step = Mapping[str, Mapping[str, Any]]


class Augmenter:
    """A pipeline of random transforms; the same seed and images give the same result."""

    def __init__(self, pipeline: Sequence[Step]) -> None:
        """Build it from `{class: arguments}` steps.

        Raises:
            ConfigError: a class or an argument is unknown, or a value is not allowed.
        """
        self._compose: Any = None
        if pipeline:
            steps = [build_transform(step) for step in pipeline]
            self._compose = _albumentations().Compose(steps)

    def __call__(self, images: Array, seed: int) -> Array:
        """Transform uint8 images (n, H, W, C), each by its own draw."""
        if self._compose is None:
            return images
        self._compose.set_random_seed(seed)
        for i, image in enumerate(images):
            images[i] = self._compose(image=image)["image"].reshape(image.shape)
        return images


def _albumentations() -> Any:
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    try:
        import albumentations
        import cv2
    except ImportError as error:
        raise MedrayError(f"albumentations can't be imported: {one_line(error)}") from None
    cv2.setNumThreads(0)  # its own threads would compete with the other trials of the machine
    return albumentations


def build_transform(step: Step) -> Any:
    """Make one albumentations transform of `{class: arguments}`; `transforms` in it may nest more.

    Raises:
        ConfigError: the class or an argument is unknown, or a value is not allowed.
    """
    albumentations = _albumentations()
    ((name, arguments),) = step.items()
    classes = _transform_classes(albumentations)
    if name not in classes:
        raise ConfigError(_short(unknown_choice_line("transform", name, classes), len(classes)))
    given = dict(arguments)
    if isinstance(given.get("transforms"), list):
        given["transforms"] = [build_transform(inner) for inner in given["transforms"]]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # it only warns of an unknown argument
            return classes[name](**given)
    except Exception as error:
        raise ConfigError(f"{name}: {_why(name, classes[name], given, error)}") from None


def _transform_classes(albumentations: Any) -> dict[str, Any]:
    kinds = (albumentations.BasicTransform, albumentations.BaseCompose)
    found = {n: getattr(albumentations, n) for n in dir(albumentations) if n[:1].isupper()}
    return {n: c for n, c in found.items() if isinstance(c, type) and issubclass(c, kinds)}


def _short(message: str, count: int) -> str:
    """Name no more than a line can hold of the valid words."""
    if len(message) < 300:
        return message
    return message.partition("; valid: ")[0] + f"; valid: albumentations' {count} classes, by their own names"


def _why(name: str, kind: Any, given: Mapping[str, Any], error: Exception) -> str:
    """Say what is wrong with a transform's arguments, in one line."""
    valid = [p for p in inspect.signature(kind.__init__).parameters if p not in ("self", "args", "kwargs")]
    for argument in given:
        if argument not in valid:
            return unknown_choice_line("argument", argument, valid)
    text = one_line(error, limit=1000)
    found = re.search(
        r"validation errors? for InitSchema (\w+) (.+?) \[type=.*?input_value=(.+?), input_type", text
    )
    return "{0}: {2} is not allowed: {1}".format(*found.groups()) if found else text[:200]


def check_pipeline(pipeline: Sequence[Step], shape: Shape) -> None:
    """Check that a pipeline can be built, and that images of `shape` come out as they went in.

    Raises:
        ConfigError: it can't, or they don't; the line begins with the step, as `[0]: Rotate`.
    """
    image = np.random.default_rng(0).integers(0, 256, size=shape, dtype=np.uint8)
    for i, step in enumerate(pipeline):
        (name,) = step
        try:
            transform = build_transform(step)
        except ConfigError as error:
            raise ConfigError(f"[{i}]: {error}") from None
        if hasattr(transform, "p"):
            transform.p = 1.0
        try:
            result = transform(image=image)["image"]
        except Exception as error:
            raise ConfigError(f"[{i}]: {name}: fails on an image of {_words(shape)}: {one_line(error)}") from None
        if result.dtype != np.uint8 or result.reshape(-1).shape != (image.size,) or result.shape[:2] != shape[:2]:
            raise ConfigError(
                f"[{i}]: {name}: turns an image of uint8 {_words(shape)} into {result.dtype} "
                f"{_words(result.shape)}; a pipeline must keep type and shape"
            )


def _words(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))

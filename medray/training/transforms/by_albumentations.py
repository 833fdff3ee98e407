"""albumentations itself: it checks the arguments of transforms, and computes those that have no batched form.

It is imported when the first step is built (3 s), and its check for updates is off. Its heir, albumentationsx, has
the same import name, another licence (AGPL 3) and reports its use by default: it is refused unless it was allowed.
"""

import inspect
import os
import random
import re
import threading
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from typing import Any

import numpy as np

from medray._types import Array
from medray.errors import ConfigError, MedrayError, nearest, one_line, unknown_choice_line
from medray.training.transforms.batch import Batch
from medray.training.transforms.host import opencv

Step = Mapping[str, Mapping[str, Any]]
HEIR, ALLOW_HEIR = "albumentationsx", "MEDRAY_ALBUMENTATIONSX"
_BUILDING = threading.Lock()  # the warnings' filters are those of all threads


@dataclass(frozen=True)
class ByAlbumentations:
    """A transform of albumentations' that is applied image by image; it draws by itself whether it is."""

    transform: Any

    def __call__(self, batch: Batch, rows: Array, rng: np.random.Generator, *, forced: bool) -> None:
        """Let the transform be drawn for some images of a batch, or applied to all of them if forced."""
        pixels = batch.settle(rows)
        images = pixels.read(rows)
        # Not set_random_seed: it gives every transform in a nest the same numbers.
        self.transform.set_random_state(rng, random.Random(int(rng.integers(2**63))))
        for i, image in enumerate(images):
            images[i] = self.transform(image=image, force_apply=forced)["image"].reshape(image.shape)
        pixels.write(rows, images)


def is_installed() -> bool:
    """Return whether there is an albumentations that may be imported."""
    return find_spec("albumentations") is not None and not _is_refused_heir()


def _is_refused_heir() -> bool:
    if os.environ.get(ALLOW_HEIR) == "allow":
        return False
    try:
        distribution(HEIR)
    except PackageNotFoundError:
        return False
    return True


def _albumentations() -> Any:
    if _is_refused_heir():
        raise MedrayError(
            f"what `import albumentations` gives here is {HEIR}, which is under AGPL 3 and reports its use: "
            f"uninstall it and install albumentations (MIT), or take its terms by {ALLOW_HEIR}=allow"
        )
    opencv()  # first, for its threads
    try:
        import albumentations
    except ImportError as error:
        raise MedrayError(f"albumentations can't be imported: {one_line(error)}") from None
    return albumentations


def build_transform(step: Step) -> Any:
    """Build one albumentations transform of `{class: arguments}`; `transforms` in it may nest more.

    Raises:
        ConfigError: the class or an argument is unknown, or a value is not allowed.
    """
    albumentations = _albumentations()
    ((name, arguments),) = step.items()
    kinds = (albumentations.BasicTransform, albumentations.BaseCompose)
    members = {n: getattr(albumentations, n) for n in dir(albumentations) if n[:1].isupper()}
    classes = {n: c for n, c in members.items() if isinstance(c, type) and issubclass(c, kinds)}
    if name not in classes:
        hint = nearest(name, classes)
        raise ConfigError(f"unknown transform '{name}'{hint}; valid: albumentations' {len(classes)} classes")
    try:
        built = dict(arguments)
        if isinstance(built.get("transforms"), list):
            built["transforms"] = [build_transform(inner) for inner in built["transforms"]]
        with _BUILDING, warnings.catch_warnings():
            warnings.simplefilter("error")  # it only warns of an unknown argument
            return classes[name](**built)
    except ConfigError as error:
        raise error.within(key=name) from None
    except Exception as error:
        raise ConfigError(_argument_problem(classes[name], arguments, error), key=name) from None


def _argument_problem(transform: Any, arguments: Mapping[str, Any], error: Exception) -> str:
    """Return what is wrong with a transform's arguments, for which it raised `error`, in one line."""
    valid = [p for p in inspect.signature(transform.__init__).parameters if p not in ("self", "args", "kwargs")]
    for argument in arguments:
        if argument not in valid:
            return unknown_choice_line("argument", argument, valid)
    text = one_line(error, limit=1000)
    pydantic = re.search(
        r"validation errors? for InitSchema (\w+) (.+?) \[type=.*?input_value=(.+?), input_type", text
    )
    return "{0}: {2} is not allowed: {1}".format(*pydantic.groups()) if pydantic else text[:200]

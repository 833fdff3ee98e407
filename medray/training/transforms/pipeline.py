"""Pipelines: which images undergo which transform, by `p`, weights and nests, as albumentations draws them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from typing_extensions import override

from medray._types import Array
from medray.errors import ConfigError
from medray.training.transforms.arguments import Arguments, NoBatchedForm
from medray.training.transforms.batch import Batch, Form
from medray.training.transforms.blurs import Blur, GaussianBlur, GaussNoise
from medray.training.transforms.by_albumentations import ByAlbumentations, Step, build_transform
from medray.training.transforms.deformations import ElasticTransform, RandomResizedCrop
from medray.training.transforms.erasing import CoarseDropout, Erasing
from medray.training.transforms.levels import ColorJitter, RandomBrightnessContrast, RandomGamma, ToGray
from medray.training.transforms.turns import Turn
from medray.training.transforms.warps import Affine, Perspective, Rotate

#: The batched form of a transform, and how often it is applied unless `p` says so.
BATCHED: Final[Mapping[str, tuple[type[Form], float]]] = {
    "Affine": (Affine, 0.5),
    "Blur": (Blur, 0.5),
    "CoarseDropout": (CoarseDropout, 0.5),
    "ColorJitter": (ColorJitter, 0.5),
    "D4": (Turn, 1.0),
    "ElasticTransform": (ElasticTransform, 0.5),
    "Erasing": (Erasing, 0.5),
    "GaussNoise": (GaussNoise, 0.5),
    "GaussianBlur": (GaussianBlur, 0.5),
    "HorizontalFlip": (Turn, 0.5),
    "Perspective": (Perspective, 0.5),
    "RandomBrightnessContrast": (RandomBrightnessContrast, 0.5),
    "RandomGamma": (RandomGamma, 0.5),
    "RandomResizedCrop": (RandomResizedCrop, 1.0),
    "RandomRotate90": (Turn, 1.0),
    "Rotate": (Rotate, 0.5),
    "ToGray": (ToGray, 0.5),
    "Transpose": (Turn, 0.5),
    "VerticalFlip": (Turn, 0.5),
}
#: What holds other transforms, and how often it is applied unless `p` says so.
NESTS: Final[Mapping[str, float]] = {
    "Compose": 1.0, "OneOf": 0.5, "RandomOrder": 1.0, "Sequential": 0.5, "SomeOf": 1.0,
}  # fmt: skip
Path = tuple[int, ...]


@dataclass(frozen=True)
class Draws:
    """The random numbers of one batch: each step has its own, so that none depends on what another draws.

    `needed` is the mask (n,) of the images whose result is used, None for all.
    """

    seed: int
    batch: Batch
    needed: Array | None = None

    def at(self, path: Path) -> np.random.Generator:
        """Return the generator of the step at `path`."""
        return np.random.default_rng([self.seed, len(path), *path])

    def applied(self, among: Array, p: float, rng: np.random.Generator, forced: bool) -> Array:
        """Return the mask (n,) of the images among a mask that a step with probability p is applied to."""
        drawn = rng.random(self.batch.count) < p
        return among if forced else among & drawn


@dataclass(frozen=True)
class Node(ABC):
    """A step of a pipeline, applied with probability `p`, which is its weight in a OneOf."""

    p: float

    @abstractmethod
    def apply(self, draws: Draws, among: Array, path: Path, *, forced: bool = False) -> None:
        """Apply it to images among a mask (n,); forced ones whatever p is."""


@dataclass(frozen=True)
class Single(Node):
    """A batched form."""

    change: Form

    @override
    def apply(self, draws: Draws, among: Array, path: Path, *, forced: bool = False) -> None:
        rng = draws.at(path)
        applied = draws.applied(among, self.p, rng, forced and self.p > 0)
        if draws.needed is not None and self.change.by_image:
            applied = applied & draws.needed
        rows = np.flatnonzero(applied)
        if len(rows):
            self.change(draws.batch, rows, rng)


@dataclass(frozen=True)
class Other(Node):
    """A step that albumentations computes."""

    change: ByAlbumentations

    @override
    def apply(self, draws: Draws, among: Array, path: Path, *, forced: bool = False) -> None:
        rows = np.flatnonzero(among)
        if len(rows):
            self.change(draws.batch, rows, draws.at(path), forced=forced)


@dataclass(frozen=True)
class InTurn(Node):
    """Compose and Sequential: all steps, one after the other."""

    steps: tuple[Node, ...]

    @override
    def apply(self, draws: Draws, among: Array, path: Path, *, forced: bool = False) -> None:
        applied = draws.applied(among, self.p, draws.at(path), forced)
        for i, step in enumerate(self.steps):
            step.apply(draws, applied, (*path, i))


@dataclass(frozen=True)
class OneOf(Node):
    """One of the steps, by their weights, whatever else its own p says."""

    steps: tuple[Node, ...]

    @override
    def apply(self, draws: Draws, among: Array, path: Path, *, forced: bool = False) -> None:
        rng = draws.at(path)
        applied = draws.applied(among, self.p, rng, forced)
        weights = np.array([step.p for step in self.steps])
        index = rng.choice(len(self.steps), size=draws.batch.count, p=weights / weights.sum())
        for i, step in enumerate(self.steps):
            step.apply(draws, applied & (index == i), (*path, i), forced=True)


@dataclass(frozen=True)
class SomeOf(Node):
    """`count` of the steps, each equally likely, each then by its own p; in a random order if `shuffled`."""

    steps: tuple[Node, ...]
    count: int
    replace: bool
    shuffled: bool

    @override
    def apply(self, draws: Draws, among: Array, path: Path, *, forced: bool = False) -> None:
        rng = draws.at(path)
        applied = draws.applied(among, self.p, rng, False)  # albumentations forces no SomeOf
        size = (draws.batch.count, len(self.steps))
        if self.replace:
            index = rng.integers(len(self.steps), size=(size[0], self.count))
        else:
            index = rng.random(size).argsort(axis=1)[:, : self.count]
        if not self.shuffled:
            index.sort(axis=1)
        for turn in range(index.shape[1]):
            for i, step in enumerate(self.steps):
                some = applied & (index[:, turn] == i)
                if some.any():
                    step.apply(draws, some, (*path, turn, i))


def build_pipeline(steps: Sequence[Step]) -> InTurn:
    """Build a pipeline; what has no batched form is built by albumentations, which checks it.

    Raises:
        ConfigError: a class or an argument is unknown, or a value is not allowed.
        MedrayError: albumentations is needed and can't be imported.
    """
    return InTurn(1.0, tuple(build_step(step) for step in steps))


def build_step(step: Step) -> Node:
    """Build one step of a pipeline; see `build_pipeline`."""
    try:
        return _batched(step)
    except NoBatchedForm:
        transform = build_transform(step)
        return Other(transform.p, ByAlbumentations(transform))


def without_batched_form(steps: Sequence[Step]) -> list[str]:
    """Return the names of the transforms in a pipeline that albumentations computes, each once, in order."""
    names: dict[str, None] = {}
    for step in steps:
        ((name, arguments),) = step.items()
        inner = arguments.get("transforms")
        if name in NESTS and isinstance(inner, list):
            names |= dict.fromkeys(without_batched_form(inner))
        else:
            try:
                _batched(step)
            except NoBatchedForm:
                names[name] = None
    return list(names)


def _batched(step: Step) -> Node:
    """Build the batched form of a step, or raise NoBatchedForm."""
    ((name, values),) = step.items()
    arguments = Arguments(values)
    if name in BATCHED:
        form, p = BATCHED[name]
        p = arguments.number("p", p, 0, 1)
        return Single(p, form.read(arguments, name))
    if name not in NESTS:
        raise NoBatchedForm(name)
    p, inner = arguments.number("p", NESTS[name], 0, 1), arguments.take("transforms", None)
    if not isinstance(inner, list) or not inner:
        raise NoBatchedForm(name)
    try:
        steps = tuple(build_step(step) for step in inner)
    except ConfigError as error:
        raise error.within(key=name) from None
    if name in ("SomeOf", "RandomOrder"):
        count = int(arguments.choice("n", 1, range(1, len(steps) + 1)))
        replace = arguments.flag("replace", False)
        arguments.finish()
        return SomeOf(p, steps, count, replace, name == "RandomOrder")
    arguments.finish()
    if name != "OneOf":
        return InTurn(p, steps)
    if not any(step.p for step in steps):
        raise NoBatchedForm(name)
    return OneOf(p, steps)

"""Ensemble: load it, show it images, and read its answers."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medray._types import Array
from medray.config import TrainConfig
from medray.decisions.conformal import ConformalSets
from medray.decisions.ood import Novelty
from medray.decisions.temperature import apply_temperature
from medray.decisions.thresholds import OperatingPoint
from medray.ensemble.averaging import average
from medray.ensemble.manifest import MANIFEST, read_manifest
from medray.ensemble.ood_file import read_novelty
from medray.errors import ConfigError, DataError, RunError, unknown_choice_line
from medray.runs.folder import Folder, read_checked

if TYPE_CHECKING:
    from medray.training.models import Network

NOT_SURE = "not sure"


@dataclass(frozen=True)
class Prediction:
    """What an ensemble answers: `probabilities` float32 (N, classes), calibrated, each row summing to 1."""

    probabilities: Array
    class_names: tuple[str, ...]
    operating_points: tuple[OperatingPoint, ...] = ()
    conformal: tuple[ConformalSets, ...] = ()

    @property
    def labels(self) -> Array:
        """The likeliest class of each image, int64 (N,)."""
        found: Array = self.probabilities.argmax(axis=1)
        return found

    @property
    def names(self) -> list[str]:
        """The name of the likeliest class of each image."""
        return [self.class_names[label] for label in self.labels]

    def decide(self, point: str | None = None) -> Array:
        """Whether each image is called positive at an operating point, bool (N,); the first one unless named.

        Raises:
            ConfigError: the ensemble has no such operating point.
        """
        names = [own.name for own in self.operating_points]
        if not names:
            raise ConfigError(
                "the ensemble has no operating point; set one by "
                "medray ensemble RUN --sensitivity 0.95 --positive CLASS"
            )
        if point is None:
            return self.operating_points[0].decide(self.probabilities)
        if point not in names:
            raise ConfigError(unknown_choice_line("operating point", point, names))
        return self.operating_points[names.index(point)].decide(self.probabilities)

    def sets(self, coverage: float | None = None) -> Array:
        """The classes that each image may be of, bool (N, classes), at an error rate of 1 - `coverage`.

        Raises:
            ConfigError: the ensemble is not calibrated for that coverage.
        """
        for own in self.conformal:
            if coverage is None or abs(own.coverage - coverage) < 1e-9:
                return own.sets(self.probabilities)
        has = [f"{own.coverage:g}" for own in self.conformal]
        wanted = "any coverage" if coverage is None else f"{coverage:g}"
        raise ConfigError(f"no conformal sets for {wanted}; this ensemble has: {', '.join(has) or 'none'}")

    def answers(self, coverage: float | None = None) -> list[str]:
        """Each image's set in words: one class, several joined by `or`, or `not sure` where it may be any."""
        sets = self.sets(coverage)
        return [
            NOT_SURE if row.all() else " or ".join(self.class_names[c] for c in np.flatnonzero(row))
            for row in sets
        ]


@dataclass(frozen=True)
class Ensemble:
    """Networks whose probabilities are averaged by weight, then calibrated by a temperature."""

    manifest: dict[str, Any]
    networks: "tuple[Network, ...]"
    device: str = "cpu"
    novelty: Novelty | None = None

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu") -> "Ensemble":
        """Load the ensemble in `folder`; no code in it is run.

        Raises:
            RunError: there is no manifest, or it or the novelty score is damaged or of another format.
            WeightsError: a member is missing, damaged, or not the file that the manifest describes.
        """
        home = Folder(str(folder))
        manifest = read_manifest(home)
        shape, classes = tuple(manifest["image_shape"]), len(manifest["class_names"])
        networks = [_load_member(home, member, shape, classes, device) for member in manifest["members"]]
        return cls(manifest, tuple(networks), device, read_novelty(home, manifest))

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the probabilities."""
        return tuple(self.manifest["class_names"])

    @cached_property
    def operating_points(self) -> tuple[OperatingPoint, ...]:
        """The operating points that were set for it."""
        return tuple(OperatingPoint.from_dict(point) for point in self.manifest["operating_points"])

    @cached_property
    def conformal(self) -> tuple[ConformalSets, ...]:
        """The conformal sets that it was calibrated for."""
        return tuple(ConformalSets.from_dict(sets) for sets in self.manifest["conformal_sets"])

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the images that the members were trained on."""
        height, width, channels = self.manifest["image_shape"]
        return height, width, channels

    def predict(self, images: Array) -> Prediction:
        """Classify uint8 images (N, H, W, C) of the shape that the members were trained on.

        Raises:
            DataError: they have another type or shape; nothing is resized unasked.
        """
        images = np.asarray(images)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != self.image_shape:
            wanted = ", ".join(map(str, self.image_shape))
            raise DataError(f"images are {images.dtype} {images.shape}, not uint8 (N, {wanted})")
        probabilities = np.empty((0, len(self.class_names)), dtype=np.float32)
        if len(images):
            weights = [member["weight"] for member in self.manifest["members"]]
            averaged = average(self.member_probabilities(images), weights)
            temperature = self.manifest["temperature"]
            probabilities = averaged if temperature == 1 else apply_temperature(averaged, temperature)
        return Prediction(probabilities, self.class_names, self.operating_points, self.conformal)

    def member_probabilities(self, images: Array) -> list[Array]:
        """What each member says of uint8 images (N, H, W, C), float32 (N, classes), before any averaging."""
        import torch

        from medray.data.dataset import LabelledImages
        from medray.training.loop import predict_probabilities

        labels, positions = np.zeros(len(images), dtype=np.int64), np.arange(len(images))
        slice_ = LabelledImages(images, labels, positions, self.class_names)
        return [predict_probabilities(network, slice_, torch.device(self.device)) for network in self.networks]


def _load_member(
    home: Folder, member: dict[str, Any], shape: tuple[int, ...], classes: int, device: str
) -> "Network":
    from medray.training.weights import load_network, weights_from_bytes

    name = home.path(member["file"])
    content = read_checked(home, member["file"], member["sha256"])
    tensors, _ = weights_from_bytes(content, name)
    try:
        config = TrainConfig.from_dict(member["config"])
    except ConfigError as error:
        raise RunError(f"{home.path(MANIFEST)}: members.{member['trial']}.config: {error}") from None
    height, width, channels = shape
    return load_network(config, (height, width, channels), classes, tensors, name).to(device)

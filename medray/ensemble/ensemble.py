"""Ensemble: load it, classify images, and read its predictions."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medray._types import Array, Shape
from medray.config import TrainConfig
from medray.decisions.conformal import INTERVAL, ConformalSets
from medray.decisions.ood import OodDetector
from medray.decisions.thresholds import OperatingPoint
from medray.ensemble.averaging import calibrated_average
from medray.ensemble.manifest import Manifest, read_manifest
from medray.ensemble.ood_file import read_ood
from medray.errors import ConfigError, DataError, unknown_choice_line
from medray.runs.folder import Folder
from medray.stats.cases import CaseIndex, number_cases
from medray.stats.outputs import Outputs
from medray.tasks import TASKS, Task

if TYPE_CHECKING:
    from medray.training.models import Network

NOT_SURE = "not sure"


@dataclass(frozen=True)
class Prediction:
    """An ensemble's answer: `probabilities` float32 (N, classes), calibrated, each row summing to 1."""

    probabilities: Array
    class_names: tuple[str, ...]
    operating_points: tuple[OperatingPoint, ...] = ()
    conformal: tuple[ConformalSets, ...] = ()

    @property
    def labels(self) -> Array:
        """The likeliest class of each image, int64 (N,)."""
        likeliest: Array = self.probabilities.argmax(axis=1)
        return likeliest

    @property
    def names(self) -> list[str]:
        """The name of the likeliest class of each image."""
        return [self.class_names[label] for label in self.labels]

    def decide(self, point: str | None = None) -> Array:
        """Return whether each image is positive at an operating point, bool (N,); the first one unless named.

        Raises:
            ConfigError: the ensemble has no such operating point.
        """
        names = [point.name for point in self.operating_points]
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
        """Return the classes each image may be of, bool (N, classes), at an error rate of 1 - `coverage`.

        Raises:
            ConfigError: the ensemble is not calibrated for that coverage.
        """
        return self._conformal(coverage).sets(self.probabilities)

    def _conformal(self, coverage: float | None) -> ConformalSets:
        for conformal in self.conformal:
            if coverage is None or abs(conformal.coverage - coverage) < 1e-9:
                return conformal
        valid = ", ".join(f"{conformal.coverage:g}" for conformal in self.conformal) or "none"
        asked = "any coverage" if coverage is None else f"{coverage:g}"
        raise ConfigError(f"no conformal sets for {asked}; this ensemble has: {valid}")

    def answers(self, coverage: float | None = None) -> list[str]:
        """Return each image's set as text: one class, several joined by `or`, or `not sure` if it may be any.

        Three grades or more are `1 to 3`.

        Raises:
            ConfigError: the ensemble is not calibrated for that coverage.
        """
        conformal = self._conformal(coverage)
        answers = []
        for row in conformal.sets(self.probabilities):
            names = [self.class_names[c] for c in np.flatnonzero(row)]
            grades = conformal.method == INTERVAL and len(names) > 2
            answers.append(
                NOT_SURE if row.all() else f"{names[0]} to {names[-1]}" if grades else " or ".join(names)
            )
        return answers


@dataclass(frozen=True)
class Ensemble:
    """Networks whose probabilities are averaged by weight, then calibrated by a temperature."""

    manifest: Manifest
    networks: "tuple[Network, ...]"
    device: str = "cpu"
    ood: OodDetector | None = None

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu") -> "Ensemble":
        """Load the ensemble in `folder`; no code in it is run.

        Raises:
            RunError: there is no manifest, or it or the detector's file is damaged or of another format.
            WeightsError: a member is missing, damaged, or not the file that the manifest describes.
        """
        home = Folder(str(folder))
        manifest = read_manifest(home)
        networks = tuple(
            load_member(
                member.read_from(home), home.path(member.file), member.train_config, manifest.image_shape,
                len(manifest.class_names), device,
            )
            for member in manifest.members
        )  # fmt: skip
        return cls(manifest, networks, device, read_ood(home, manifest))

    @property
    def task(self) -> Task:
        """The shape of question that it answers."""
        return TASKS[self.manifest.task]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the probabilities."""
        return self.manifest.class_names

    @property
    def operating_points(self) -> tuple[OperatingPoint, ...]:
        """The operating points that were set for it."""
        return self.manifest.operating_points

    @property
    def conformal(self) -> tuple[ConformalSets, ...]:
        """The conformal sets that it was calibrated for."""
        return self.manifest.conformal_sets

    @property
    def image_shape(self) -> Shape:
        """Height, width and channels of the images that the members were trained on."""
        return self.manifest.image_shape

    def predict(self, images: Array, cases: Array | None = None) -> Prediction:
        """Classify uint8 images (N, H, W, C) of the shape that the members were trained on.

        `cases` (N,), names or numbers, say which images are of one case: an ensemble of cases gives these one
        answer each, in the order of their first images. Without them each image is a case of its own.

        Raises:
            DataError: they have another type or shape; nothing is resized unasked.
            ConfigError: the ensemble was made to answer images, not cases.
        """
        rule = self.manifest.cases
        if cases is not None and rule is None:
            raise ConfigError("the ensemble answers each image: its search space has no `cases`")
        images = np.asarray(images)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != self.image_shape:
            expected = ", ".join(map(str, self.image_shape))
            raise DataError(f"images are {images.dtype} {images.shape}, not uint8 (N, {expected})")
        probabilities = np.empty((0, len(self.class_names)), dtype=np.float32)
        if len(images):
            weights = [member.weight for member in self.manifest.members]
            outputs = self.member_outputs(images)
            members = [output.probabilities for output in outputs]
            if cases is not None and rule is not None:
                index = CaseIndex(rule, number_cases(np.asarray(cases)))
                members = [index.answers(output.probabilities, output.scores) for output in outputs]
            probabilities = calibrated_average(
                members, weights, self.manifest.temperatures, label_sets=self.task.label_sets
            )
        return Prediction(probabilities, self.class_names, self.operating_points, self.conformal)

    def member_outputs(self, images: Array) -> list[Outputs]:
        """Return each member's outputs for uint8 images (N, H, W, C)."""
        import torch

        from medray.data.dataset import LabelledImages
        from medray.training.loop import predict_images

        labels, positions = np.zeros(len(images), dtype=np.int64), np.arange(len(images))
        slice_ = LabelledImages(images, labels, positions, self.class_names)
        return [predict_images(network, slice_, torch.device(self.device)) for network in self.networks]


def load_member(
    content: bytes, path: str, config: TrainConfig, shape: Shape, classes: int, device: str = "cpu"
) -> "Network":
    """Return the network of a weights file, whose `content` was read from `path`; no code in it is run.

    `config` are the settings that it was trained with, `shape` (H, W, C) its images, `classes` how many it knows.

    Raises:
        WeightsError: the file is damaged, or of another network.
    """
    from medray.training.weights import load_network, weights_from_bytes

    tensors, _ = weights_from_bytes(content, path)
    return load_network(config, shape, classes, tensors, path).to(device)

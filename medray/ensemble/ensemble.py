"""Ensemble: load it, and classify images."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medray._types import Array, Shape
from medray.config import TrainConfig
from medray.decisions.conformal import ConformalSets
from medray.decisions.ood import OodDetector
from medray.decisions.thresholds import OperatingPoint
from medray.ensemble.averaging import calibrated_average
from medray.ensemble.label_set_prediction import LabelSetPrediction
from medray.ensemble.manifest import Manifest, read_manifest
from medray.ensemble.ood_file import read_ood
from medray.ensemble.prediction import Prediction
from medray.errors import ConfigError, DataError
from medray.runs.folder import Folder
from medray.stats.cases import CaseIndex, number_cases
from medray.stats.outputs import Outputs
from medray.tasks import TASKS, Task

if TYPE_CHECKING:
    from medray.training.frozen.groups import NetworkGroup
    from medray.training.models import Network


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
        answer each, in the order of their first images. Without them its answers to images alone have neither
        operating points nor sets, which were set on cases: of an image they promise nothing. Where images may have
        several labels, the answer is a `LabelSetPrediction`.

        Raises:
            DataError: they have another type or shape; nothing is resized unasked.
            ConfigError: the ensemble was made to answer images, not cases.
        """
        index = None if cases is None else self.case_index(cases)
        images = np.asarray(images)
        self.check_images(images)
        if not len(images):
            return self._prediction(np.empty((0, len(self.class_names)), dtype=np.float32), index is not None)
        members = self.member_outputs(images)
        if index is None:
            return self.average([outputs.probabilities for outputs in members])
        return self.average([index.answers(o.probabilities, o.scores) for o in members], of_cases=True)

    @property
    def weights(self) -> list[float]:
        """The weight of each member in the average."""
        return [member.weight for member in self.manifest.members]

    def check_images(self, images: Array) -> None:
        """Check that images are uint8 (N, H, W, C) of the shape that the members were trained on.

        Raises:
            DataError: they are not.
        """
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != self.image_shape:
            expected = ", ".join(map(str, self.image_shape))
            raise DataError(f"images are {images.dtype} {images.shape}, not uint8 (N, {expected})")

    def case_index(self, cases: Array) -> CaseIndex:
        """Return the cases of images, by a name or number of each, (N,).

        Raises:
            ConfigError: the ensemble was made to answer images, not cases.
        """
        rule = self.manifest.cases
        if rule is None:
            raise ConfigError("the ensemble answers each image: its search space has no `cases`")
        return CaseIndex(rule, number_cases(np.asarray(cases)))

    def average(self, members: Sequence[Array], *, of_cases: bool = False) -> Prediction:
        """Return the ensemble's answer from each member's float32 (N, classes) to the same images or cases."""
        temperatures, label_sets = self.manifest.temperatures, self.task.label_sets
        mean = calibrated_average(members, self.weights, temperatures, label_sets=label_sets)
        return self._prediction(mean, of_cases)

    def _prediction(self, probabilities: Array, of_cases: bool) -> Prediction:
        kind = LabelSetPrediction if self.task.label_sets else Prediction
        if self.manifest.cases is not None and not of_cases:
            return kind(probabilities, self.class_names)
        return kind(probabilities, self.class_names, self.operating_points, self.conformal)

    def member_outputs(self, images: Array) -> list[Outputs]:
        """Return each member's outputs for uint8 images (N, H, W, C)."""
        import torch

        from medray.training.frozen.groups import group_outputs, in_order

        device = torch.device(self.device)
        answers = (group_outputs(group, images, device) for group in self.groups)
        return in_order(self.groups, answers)

    @cached_property
    def groups(self) -> "tuple[NetworkGroup, ...]":
        """The networks, in groups of those that share a frozen trunk, which then runs once."""
        import torch

        from medray.training.frozen.groups import group_networks

        height, width, channels = self.image_shape
        noise = torch.rand(2, channels, height, width, generator=torch.Generator().manual_seed(0)).to(self.device)
        return group_networks(self.networks, [member.train_config for member in self.manifest.members], noise)


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

"""Ensemble: trained networks whose probabilities are averaged; a folder that can be copied anywhere.

    ensemble/manifest.json           classes, image shape, members, validation scores; written last
    ensemble/members/0007.safetensors

`Ensemble.load(folder).predict(images)` needs neither Ray nor the run that the folder came from.
"""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medray import __version__
from medray.config import TrainConfig
from medray.data.dataset import Array
from medray.errors import ConfigError, DataError, RunError, WeightsError
from medray.leaderboard import rank, usable
from medray.runs import Folder, RunDir, TrialDir, TrialRecord

if TYPE_CHECKING:
    from medray.training.models import Network

FORMAT = 1
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Prediction:
    """What an ensemble answers: `probabilities` float32 (N, classes), each row summing to 1."""

    probabilities: Array
    class_names: tuple[str, ...]

    @property
    def labels(self) -> Array:
        """The likeliest class of each image, int64 (N,)."""
        found: Array = self.probabilities.argmax(axis=1)
        return found

    @property
    def names(self) -> list[str]:
        """The name of the likeliest class of each image."""
        return [self.class_names[label] for label in self.labels]


@dataclass(frozen=True)
class Ensemble:
    """Networks whose probabilities are averaged by weight."""

    manifest: dict[str, Any]
    networks: "tuple[Network, ...]"
    device: str = "cpu"

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu") -> "Ensemble":
        """Load the ensemble in `folder`; no code in it is run.

        Raises:
            RunError: there is no manifest, or it is damaged or of another format.
            WeightsError: a member is missing, damaged, or not the file that the manifest describes.
        """
        from medray.training.weights import load_network, weights_from_bytes

        home = Folder(str(folder))
        manifest = read_manifest(home)
        networks = []
        for member in manifest["members"]:
            name = home.path(member["file"])
            try:
                content = home.read(member["file"])
            except FileNotFoundError:
                raise WeightsError(f"{name} is missing") from None
            if hashlib.sha256(content).hexdigest() != member["sha256"]:
                raise WeightsError(
                    f"{name} is not the file that {home.path(MANIFEST)} describes: its SHA-256 differs"
                )
            tensors, _ = weights_from_bytes(content, name)
            try:
                config = TrainConfig.from_dict(member["config"])
            except ConfigError as error:
                raise RunError(f"{home.path(MANIFEST)}: members.{member['trial']}.config: {error}") from None
            shape = tuple(manifest["image_shape"])
            networks.append(load_network(config, shape, len(manifest["class_names"]), tensors, name).to(device))
        return cls(manifest, tuple(networks), device)

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the probabilities."""
        return tuple(self.manifest["class_names"])

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
        from medray.data.dataset import LabelledImages
        from medray.training.loop import predict_probabilities

        images = np.asarray(images)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != self.image_shape:
            wanted = ", ".join(map(str, self.image_shape))
            raise DataError(f"images are {images.dtype} {images.shape}, not uint8 (N, {wanted})")
        if not len(images):
            return Prediction(np.empty((0, len(self.class_names)), dtype=np.float32), self.class_names)
        import torch

        positions = np.arange(len(images))
        slice_ = LabelledImages(images, np.zeros(len(images), dtype=np.int64), positions, self.class_names)
        device = torch.device(self.device)
        parts = [predict_probabilities(network, slice_, device) for network in self.networks]
        weights = [member["weight"] for member in self.manifest["members"]]
        return Prediction(average(parts, weights), self.class_names)


def average(parts: Sequence[Array], weights: Sequence[float] | None = None) -> Array:
    """Average probabilities (N, classes) of several members, by weight where given; float32."""
    chosen = np.ones(len(parts)) if weights is None else np.asarray(weights, dtype=np.float64)
    total = np.zeros(parts[0].shape, dtype=np.float64)
    for part, weight in zip(parts, chosen / chosen.sum(), strict=True):
        total += weight * part
    averaged: Array = (total / total.sum(axis=1, keepdims=True)).astype(np.float32)
    return averaged


def read_manifest(home: Folder) -> dict[str, Any]:
    """Return an ensemble's manifest.

    Raises:
        RunError: it is missing or damaged, or of another format.
    """
    if not home.exists(MANIFEST):
        raise RunError(f"{home.location} is no ensemble: it has no {MANIFEST}")
    manifest: dict[str, Any] = home.read_json(MANIFEST)
    if manifest.get("format") != FORMAT:
        raise RunError(
            f"{home.path(MANIFEST)} is of format {manifest.get('format')!r}; this medray reads {FORMAT}"
        )
    return manifest


@dataclass(frozen=True)
class Candidate:
    """A trial that could be a member, with its validation probabilities (N, classes)."""

    record: TrialRecord
    probabilities: Array


def read_predictions(trial: TrialDir, record: TrialRecord) -> Array:
    """Return a trial's validation probabilities, float32 (N, classes).

    Raises:
        RunError: they are missing, damaged, or of another epoch than the record's best.
    """
    name = trial.path(trial.PREDICTIONS)
    try:
        with np.load(io.BytesIO(trial.read(trial.PREDICTIONS)), allow_pickle=False) as file:
            probabilities: Array = file["probabilities"]
            epoch = int(file["epoch"])
    except (FileNotFoundError, ValueError, KeyError, OSError) as error:
        raise RunError(f"{name} can't be read: {error}") from None
    if epoch != record.best_epoch or not np.isfinite(probabilities).all():
        raise RunError(f"{name} is damaged: it is of epoch {epoch}, the trial's best is {record.best_epoch}")
    return probabilities


def choose_top(run: RunDir, records: Sequence[TrialRecord], mode: str, k: int) -> list[Candidate]:
    """The best `k` trials on validation; one whose predictions another's repeat is not counted twice."""
    chosen: list[Candidate] = []
    for record in rank(usable(records), mode):
        candidate = Candidate(record, read_predictions(run.trial(record.number), record))
        if not any(np.array_equal(candidate.probabilities, other.probabilities) for other in chosen):
            chosen.append(candidate)
        if len(chosen) == k:
            break
    return chosen


def write_ensemble(
    run: RunDir, chosen: Sequence[Candidate], *, data: dict[str, Any], labels: Array, metric: str
) -> dict[str, Any]:
    """Write the ensemble's folder and return its manifest; `labels` are those of the validation images.

    An ensemble that was there is replaced: the manifest goes first and comes last.
    """
    from medray.training.metrics import defined, evaluate

    home = run.ensemble
    home.delete(MANIFEST)
    home.child("members").delete_all()
    members = [_write_member(run, home, candidate) for candidate in chosen]
    scores = defined(evaluate(average([candidate.probabilities for candidate in chosen]), labels))
    manifest = {
        "format": FORMAT,
        "medray": __version__,
        "class_names": data["class_names"],
        "image_shape": data["shape"],
        "preprocessing": "uint8 / 255; each member then normalises by its own buffers `normalise.mean` and `.std`",
        "averaging": "weighted mean of the members' softmax probabilities",
        "chosen_by": {"split": "val", "metric": metric},
        "val_scores": scores,
        "val_images": len(labels),
        "data": {key: data[key] for key in ("source", "fingerprint", "splits")},
        "intended_use": "research; not for diagnosis",
        "members": members,
    }
    home.write(MANIFEST, json.dumps(manifest, indent=1, allow_nan=False).encode() + b"\n")
    return manifest


def _write_member(run: RunDir, home: Folder, candidate: Candidate) -> dict[str, Any]:
    record = candidate.record
    trial = run.trial(record.number)
    content = trial.read(trial.WEIGHTS)
    file = f"members/{record.number:04d}.safetensors"
    home.write(file, content)
    return {
        "trial": record.number,
        "baseline": record.baseline,
        "file": file,
        "sha256": hashlib.sha256(content).hexdigest(),
        "weight": 1.0,
        "best_epoch": record.best_epoch,
        "val_scores": record.metrics,
        "config": trial.read_json(trial.CONFIG),
    }

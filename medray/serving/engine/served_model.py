"""ServedModel: an ensemble as the service answers with it, and the plain words of its answers."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medray._types import Array
from medray.decisions.ood import OUT_OF_DISTRIBUTION
from medray.ensemble.ensemble import Ensemble, Prediction
from medray.ensemble.manifest import MANIFEST, ensemble_folder
from medray.errors import RunError
from medray.runs.folder import Folder
from medray.serving.engine.onnx_ensemble import FastEnsemble

VERSION_DIGITS = 12


def version_of(folder: Folder) -> str:
    """The first digits of the manifest's SHA-256, which holds that of every member's weights."""
    return hashlib.sha256(folder.read(MANIFEST)).hexdigest()[:VERSION_DIGITS]


@dataclass(frozen=True)
class ServedModel:
    """One version of an ensemble, ready to answer."""

    name: str
    version: str
    fast: FastEnsemble

    @classmethod
    def load(
        cls, location: str, name: str, *, version: str | None = None, device: str = "cpu", threads: int = 1
    ) -> "ServedModel":
        """Load an ensemble, and see that it answers.

        Raises:
            RunError: there is none, it is damaged, or it is another than `version`.
            WeightsError: a member is missing, damaged, or not the file that the manifest describes.
        """
        folder = ensemble_folder(location)
        found = version_of(folder)
        if version is not None and found != version:
            raise RunError(f"{folder.location} is version {found} now; the service was given {version}")
        ensemble = Ensemble.load(folder.location, device)
        return cls(name, found, FastEnsemble.prepare(ensemble, threads=threads, folder=folder.location))

    @property
    def ensemble(self) -> Ensemble:
        """The ensemble as it was loaded."""
        return self.fast.ensemble

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the images that the networks take."""
        return self.ensemble.image_shape

    @property
    def aspect(self) -> str:
        """How an image of another size comes to that shape: stretch or pad."""
        return str(self.ensemble.manifest["image_aspect"])

    @property
    def identity(self) -> dict[str, str]:
        """What every answer says of the model."""
        return {"name": self.name, "version": self.version}

    def answers(self, images: Array) -> list[dict[str, Any]]:
        """Classify uint8 images (N, H, W, C) of the networks' shape; one answer of plain values for each."""
        prediction = self.fast.predict(images)
        novelty = self.ensemble.novelty
        scores = None if novelty is None else novelty.scores(images)
        decided = [point.decide(prediction.probabilities) for point in prediction.operating_points]
        sets = [own.sets(prediction.probabilities) for own in prediction.conformal]
        return [self._answer(prediction, row, decided, sets, scores) for row in range(len(images))]

    def _answer(
        self, found: Prediction, row: int, decided: Sequence[Array], sets: Sequence[Array], scores: Array | None
    ) -> dict[str, Any]:
        names, probabilities = found.class_names, found.probabilities[row]
        novelty = self.ensemble.novelty
        is_novel = novelty is not None and scores is not None and bool(scores[row] > novelty.threshold)
        return {
            "label": names[int(probabilities.argmax())],
            "probabilities": {name: round(float(p), 7) for name, p in zip(names, probabilities, strict=True)},
            "decisions": [
                {
                    "operating_point": point.name,
                    "class": point.positive,
                    "threshold": point.threshold,
                    "positive": bool(yes[row]),
                }
                for point, yes in zip(found.operating_points, decided, strict=True)
            ],
            "sets": [
                {"coverage": own.coverage, "classes": [names[c] for c in np.flatnonzero(inside[row])]}
                for own, inside in zip(found.conformal, sets, strict=True)
            ],
            "flags": [OUT_OF_DISTRIBUTION] if is_novel else [],
            "novelty": None
            if novelty is None or scores is None
            else {"score": round(float(scores[row]), 6), "threshold": round(novelty.threshold, 6)},
        }

    def public(self) -> dict[str, Any]:
        """The manifest's public part: what the model is, how good, and what it is not for."""
        manifest = self.ensemble.manifest
        height, width, channels = self.shape
        return {
            **self.identity,
            "classes": list(self.ensemble.class_names),
            "image": {"height": height, "width": width, "channels": channels, "aspect": self.aspect},
            "intended_use": manifest["intended_use"],
            "way": manifest["way"],
            "chosen_on": manifest["chosen_on"],
            "temperature": manifest["temperature"],
            "operating_points": manifest["operating_points"],
            "conformal_sets": manifest["conformal_sets"],
            "out_of_distribution": None if self.ensemble.novelty is None else self.ensemble.novelty.to_dict(),
            "data": {key: manifest["data"][key] for key in ("fingerprint", "splits") if key in manifest["data"]},
            "members": [
                {
                    "backbone": member["config"]["backbone"],
                    "trial": member["trial"],
                    "fold": member["fold"],
                    "weight": member["weight"],
                }
                for member in manifest["members"]
            ],
            "medray": manifest["medray"],
        }


def default_name(location: str) -> str:
    """A name for the model of a run or an ensemble: its folder's, in letters that a URL can hold."""
    path = Path(location.rstrip("/"))
    own = path.parent.name if path.name == "ensemble" else path.name
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in own)
    return kept.strip("-.")[:64] or "medray"

"""ServedModel: one version of an ensemble, with the service's own types for its answers."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medray._types import Array
from medray.decisions.ood import OUT_OF_DISTRIBUTION
from medray.ensemble.case_answers import answer_with_weights
from medray.ensemble.ensemble import Ensemble
from medray.ensemble.label_set_prediction import label_thresholds
from medray.ensemble.manifest import ensemble_folder, version_of
from medray.errors import RunError
from medray.serving.engine.answers import (
    Classification,
    Labelling,
    ModelIdentity,
    OodScore,
)
from medray.serving.engine.image_answers import image_answers
from medray.serving.engine.metadata import (
    Metadata,
    ModelCases,
    ModelData,
    ModelImage,
    ModelMember,
    ModelPoint,
)
from medray.serving.engine.onnx_ensemble import FastEnsemble


@dataclass(frozen=True, eq=False)
class ClassifiedCases:
    """What the ensemble says of N `images` alone, and of their `cases`, in the order of their first images.

    `index` int64 (N,) is the case of each image, `weights` (N,) its weight in the probability of its case's class
    `weights_of`, and `weighed_most` int64 (cases,) the image of each case with the highest one.
    """

    images: list[Classification] | list[Labelling]
    cases: list[Classification] | list[Labelling]
    index: Array
    weights_of: list[str]
    weights: Array
    weighed_most: Array


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
        """Load an ensemble, and check that it answers.

        Raises:
            RunError: there is none, it is damaged, or it is another than `version`.
            WeightsError: a member is missing, damaged, or not the file that the manifest describes.
        """
        folder = ensemble_folder(location)
        current = version_of(folder)
        if version is not None and version != current:
            raise RunError(f"{folder.location} is version {current} now; the service was given {version}")
        ensemble = Ensemble.load(folder.location, device)
        return cls(name, current, FastEnsemble.prepare(ensemble, threads=threads, folder=folder.location))

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
        """How an image of another size is brought to that shape: stretch, pad or lesion."""
        return self.ensemble.manifest.image_aspect

    @property
    def identity(self) -> ModelIdentity:
        """The part of every answer that says which model gave it."""
        return ModelIdentity(self.name, self.version)

    def classify(self, images: Array) -> list[Classification] | list[Labelling]:
        """Classify uint8 images (N, H, W, C) of the networks' shape."""
        return image_answers(self.fast.predict(images), *self._out_of_distribution(images))

    def classify_cases(self, images: Array, numbers: Array) -> ClassifiedCases:
        """Classify uint8 images (N, H, W, C), and the cases that `numbers` int64 (N,) put them into.

        Raises:
            ConfigError: the ensemble was made to answer images, not cases.
        """
        answers = answer_with_weights(self.fast, images, numbers)
        flags, oods = self._out_of_distribution(images)
        members = [np.flatnonzero(answers.index == case) for case in range(len(answers.classes))]
        case_flags = [list(dict.fromkeys(flag for row in rows for flag in flags[row])) for rows in members]
        case_oods = [
            max((ood for row in rows if (ood := oods[row]) is not None), key=lambda ood: ood.score, default=None)
            for rows in members
        ]
        return ClassifiedCases(
            image_answers(answers.images, flags, oods),
            image_answers(answers.cases, case_flags, case_oods),
            answers.index,
            [self.ensemble.class_names[index] for index in answers.classes],
            answers.weights,
            answers.weighed_most,
        )

    def _out_of_distribution(self, images: Array) -> tuple[list[list[str]], list[OodScore | None]]:
        """Return the flags and scores of images; without a detector there are none."""
        detector = self.ensemble.ood
        if detector is None:
            return [[] for _ in images], [None] * len(images)
        scores, threshold = detector.scores(images), detector.facts.threshold
        oods: list[OodScore | None] = [OodScore(round(float(score), 6), round(threshold, 6)) for score in scores]
        return [[OUT_OF_DISTRIBUTION] if score > threshold else [] for score in scores], oods

    def metadata(self) -> Metadata:
        """Return the manifest's public part: what the model is, how good, and what it is not for."""
        manifest, detector = self.ensemble.manifest, self.ensemble.ood
        return Metadata(
            self.name,
            self.version,
            task=manifest.task,
            classes=list(manifest.class_names),
            image=ModelImage(*self.shape, self.aspect),
            intended_use=manifest.intended_use,
            strategy=manifest.strategy,
            selected_on=manifest.selected_on,
            temperatures=manifest.temperatures,
            calibrated_on=manifest.calibrated_on,
            operating_points=[
                ModelPoint(
                    p.name,
                    p.positive,
                    p.event.class_index,
                    p.event.and_above,
                    p.threshold,
                    p.rates,
                    p.images,
                    p.set_on,
                    p.promised,
                )
                for p in manifest.operating_points
            ],
            conformal_sets=list(manifest.conformal_sets),
            ood=None if detector is None else detector.facts,
            data=ModelData(manifest.data.fingerprint, manifest.data.splits),
            members=[
                ModelMember(member.train_config.backbone, member.trial, member.fold, member.weight)
                for member in manifest.members
            ],
            medray=manifest.medray,
            called_from=self._called_from(),
            cases=None if manifest.cases is None else ModelCases(manifest.cases.by, manifest.cases.answer),
        )

    def _called_from(self) -> dict[str, float] | None:
        names, points = self.ensemble.class_names, self.ensemble.operating_points
        if not self.ensemble.task.label_sets:
            return None
        return dict(zip(names, label_thresholds(names, points).tolist(), strict=True))


def default_name(location: str) -> str:
    """Return a model's name for a run or an ensemble: the folder's, in characters that a URL can hold."""
    path = Path(location.rstrip("/"))
    folder = path.parent.name if path.name == "ensemble" else path.name
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in folder)
    return safe.strip("-.")[:64] or "medray"

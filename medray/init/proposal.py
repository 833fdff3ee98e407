"""Study: what a survey saw, the rules that are made for it, and the images that these keep, in their splits."""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from medray._types import Array
from medray.audit.survey import Survey
from medray.data.labels import choose_labels
from medray.data.listing.listing import SPLITS, TEST, TRAIN, VAL, ListedImage, Listing
from medray.data.similarity.groups import measured_families
from medray.data.similarity.measures import Measures
from medray.data.splits import divide
from medray.errors import DataError
from medray.init.data_sections import image_lines, label_lines, split_lines, split_shares
from medray.init.document import Line
from medray.space.preparation import Preparation


@dataclass(frozen=True)
class Study:
    """A study that is to be written down.

    `source` is as the file spells it, `guessed` are its table's columns by what they hold. `images`, `labels` and
    `splits` are the lines of those sections, none for a source that is no files. `kept` are the images that stay,
    all with their splits.
    """

    name: str
    source: str
    survey: Survey
    images: tuple[Line, ...]
    labels: tuple[Line, ...]
    splits: tuple[Line, ...]
    kept: Survey
    guessed: tuple[tuple[str, str], ...] = ()

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of what the networks will see."""
        said = Preparation.from_dict({"images": _values(self.images)}).images
        measures = self.survey.measures
        size = said.image_size or (int(measures.height[0]), int(measures.width[0]))
        return *size, said.channels or int(measures.channels[0])

    @cached_property
    def _counts(self) -> dict[str, dict[str, int]]:
        return {split: class_counts(self.kept, split) for split in SPLITS}

    def counts(self, split: str) -> dict[str, int]:
        """Images of each class in a split."""
        return self._counts[split]

    @property
    def train(self) -> int:
        """Number of training images."""
        return sum(self.counts(TRAIN).values())

    def absent(self, *splits: str) -> list[str]:
        """What splits lack, as `val has no BASOPHIL`."""
        return [
            f"{split} has no {name}" for split in splits for name, own in self.counts(split).items() if not own
        ]


def class_counts(survey: Survey, split: str | None = None) -> dict[str, int]:
    """Images of each class, in a split or in all; those that have one label."""
    classes = survey.classes()
    chosen = classes[(classes >= 0) & (survey.in_split(split) if split else True)]
    counts = np.bincount(chosen, minlength=len(survey.class_names))
    return dict(zip(survey.class_names, counts.tolist(), strict=True))


def pool_counts(study: Study) -> dict[str, int]:
    """What each class has to be divided into folds: images of train and val, or patients where they are told."""
    kept = study.kept
    pool = (kept.in_split(TRAIN) | kept.in_split(VAL)).tolist()
    own: dict[str, set[str]] = {name: set() for name in kept.class_names}
    for name, labels, patient, among in zip(kept.names, kept.labels, kept.patients, pool, strict=True):
        if among:
            own[labels[0]].add(patient or name)
    return {name: len(found) for name, found in own.items()}


def make_study(name: str, source: str, survey: Survey, guessed: tuple[tuple[str, str], ...] = ()) -> Study:
    """Decide what becomes of the images.

    Raises:
        DataError: no image can be read, fewer than two classes are left, or they can't be divided.
    """
    if not survey.files:
        return Study(name, source, survey, (), (), (), survey, guessed)
    images, labels = image_lines(survey), label_lines(survey)
    shares = split_shares(survey)
    rules = Preparation.from_dict({"images": _values(images), "labels": _values(labels), "splits": shares})
    kept = keep(survey, rules)
    splits = split_lines(shares, kept)
    return Study(name, source, survey, tuple(images), tuple(labels), tuple(splits), kept, guessed)


def keep(survey: Survey, rules: Preparation) -> Survey:
    """The images that a search with these rules will keep, in the splits that it will make.

    Raises:
        DataError: they can't be divided so.
    """
    listed = zip(survey.names, survey.labels, survey.splits, survey.patients, strict=True)
    images = tuple(ListedImage(Path(name), name, own, split, patient) for name, own, split, patient in listed)
    labelled = choose_labels(Listing(survey.source, Path(), images), rules.labels)
    labelled = labelled.without(np.flatnonzero(~survey.measures.readable[labelled.positions]).tolist())
    kept = labelled.positions
    patients = [survey.patients[place] for place in kept]
    if any(patients) and not all(patients):
        raise DataError(
            f"{survey.source}: {patients.count(None)} of {len(kept)} images have no patient: give each its own, "
            "or do without (`csv:PATH?patient=`)"
        )
    said = [survey.splits[place] for place in kept]
    groups = np.array(patients) if all(patients) else None
    places, _ = divide(
        said, labelled.labels, groups, rules.splits, survey.source, in_folds=survey.folds is not None,
        copies=lambda: measured_families(survey.measures)[kept],
    )  # fmt: skip
    for split, own in places.items():
        if not len(own):
            told = f"; {len(set(patients))} patients are too few" if groups is not None else ""
            raise DataError(f"{survey.source}: no image is left for {split}{told}")
    named: list[str | None] = [None] * len(kept)
    for split, own in places.items():
        for place in own.tolist():
            named[place] = split
    return _part(survey, kept, tuple(named), labelled.class_names)


def _part(survey: Survey, kept: Array, splits: tuple[str | None, ...], class_names: tuple[str, ...]) -> Survey:
    """Some images of a survey, in other splits; ready-made folds without those of test."""
    measures: dict[str, Any] = {own.name: getattr(survey.measures, own.name)[kept] for own in fields(Measures)}
    place = np.full(len(survey), -1, dtype=np.int64)
    place[kept] = np.where([own == TEST for own in splits], -1, np.arange(len(kept)))
    folds = tuple(tuple(place[part][place[part] >= 0] for part in fold) for fold in survey.folds or ())
    return replace(
        survey,
        names=tuple(survey.names[own] for own in kept),
        labels=tuple(survey.labels[own][:1] for own in kept),
        splits=splits,
        patients=tuple(survey.patients[own] for own in kept),
        class_names=class_names,
        measures=Measures(**measures),
        folds=None if survey.folds is None else tuple((train, val) for train, val in folds),
        missing=(),
        ignored=(),
    )


def _values(lines: list[Line] | tuple[Line, ...]) -> dict[str, object]:
    return {line.key: line.value for line in lines}

"""StudyProposal: a survey, the rules that init chooses for it, and the images that they keep, in their splits."""

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import compress
from pathlib import Path

import numpy as np

from medray.audit.survey import Survey
from medray.data.label_sets import choose_label_sets
from medray.data.labels import Labelled, choose_labels
from medray.data.listing.listing import TEST, TRAIN, VAL, ListedImage, Listing
from medray.data.members import UNKNOWN, members_of
from medray.data.similarity.duplicates import find_duplicates
from medray.data.similarity.groups import duplicate_groups
from medray.data.splits import make_splits
from medray.errors import DataError
from medray.init.data_sections import (
    image_lines,
    label_lines,
    masks_of,
    rare_lines,
    split_lines,
    split_shares,
)
from medray.init.document import Line
from medray.init.label_section import label_set_lines, lacking_labels
from medray.space.preparation import DROP, Preparation
from medray.tasks import SEVERAL, SINGLE
from medray.text import natural_order


@dataclass(frozen=True)
class StudyProposal:
    """A study that init is going to write as a search space.

    `source` is as the file will have it, `guessed` pairs what a table's column holds with its name, and `excluded`
    says why the source leaves files out that the person did not exclude. `images`,
    `labels` and `splits` are the lines of those sections, none for a source of arrays. `kept` is the survey of the
    images that remain, each with a split. `published` are the backbones whose published weights are at hand,
    `not_published` says why others are left out, and `metric` is the objective that the person asked for.
    """

    name: str
    source: str
    survey: Survey
    images: tuple[Line, ...]
    labels: tuple[Line, ...]
    splits: tuple[Line, ...]
    kept: Survey
    guessed: tuple[tuple[str, str], ...] = ()
    excluded: str = ""
    published: tuple[str, ...] = ()
    not_published: tuple[str, ...] = ()
    metric: str | None = None

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the networks' input."""
        rules = Preparation.from_dict({"images": _values(self.images)}).images
        measures = self.survey.measures
        size = rules.image_size or (int(measures.height[0]), int(measures.width[0]))
        return *size, rules.channels or int(measures.channels[0])

    def class_counts(self, split: str | None = None) -> dict[str, int]:
        """Return the number of kept images of each class, in a split or in all."""
        answers = self.kept.answers()[self.kept.in_split(split)] if split else self.kept.answers()
        counts = (answers == 1).sum(axis=0)
        return dict(zip(self.kept.class_names, counts.tolist(), strict=True))

    @property
    def train_count(self) -> int:
        """The number of training images."""
        return int(self.kept.in_split(TRAIN).sum())

    def absent_classes(self, *splits: str) -> list[str]:
        """Return a phrase for each class that one of the splits lacks, as `val has no BASOPHIL`."""
        return [
            f"{split} has no {name}"
            for split in splits
            for name, count in self.class_counts(split).items()
            if not count
        ]


def count_pool(proposal: StudyProposal) -> dict[str, int]:
    """Return how many images of each class, or patients where they are known, there are to make folds of."""
    kept = proposal.kept
    pool = (kept.in_split(TRAIN) | kept.in_split(VAL)).tolist()
    units: dict[str, set[str]] = {name: set() for name in kept.class_names}
    for name, labels, patient, in_pool in zip(kept.names, kept.labels, kept.patients, pool, strict=True):
        for label in labels if in_pool else ():
            units[label].add(patient or name)
    return {name: len(members) for name, members in units.items()}


def propose_study(
    name: str, source: str, survey: Survey, guessed: tuple[tuple[str, str], ...] = (), excluded: str = ""
) -> StudyProposal:
    """Choose the rules for the images of a survey, and apply them; `guessed` and `excluded` as in StudyProposal.

    Raises:
        DataError: no image can be read, fewer than two classes are left, or they can't be split.
    """
    if not survey.from_files:
        return StudyProposal(name, source, survey, (), (), (), survey, guessed, excluded)
    images, shares = image_lines(survey), split_shares(survey)
    labels = [*label_set_lines(survey), *rare_lines(survey)] if survey.label_sets else label_lines(survey)
    sections = {"images": _values(images), "labels": _values(labels), "splits": shares}
    rules = Preparation.from_dict(sections, SEVERAL.name if survey.label_sets else SINGLE.name)
    kept = keep(survey, rules)
    left_out: dict[str, str] = {}
    counts = Counter(name for names in kept.labels for name in names)
    # Splits that are drawn without a label may lack another one.
    while lacking := (lacking_labels if survey.label_sets else lacking_classes)(survey, kept):
        left_out |= lacking
        rules = replace(rules, labels=replace(rules.labels, leave_out=tuple(left_out)))
        kept = keep(survey, rules)
    if left_out:
        words = ", ".join(f"{split} has no {name} ({counts[name]} in all)" for name, split in left_out.items())
        labels.append(Line("leave_out", list(left_out), f"{words}, so no model could be measured on it"))
    splits = split_lines(shares, kept)
    return StudyProposal(
        name, source, survey, tuple(images), tuple(labels), tuple(splits), kept, guessed, excluded
    )


def lacking_classes(survey: Survey, kept: Survey) -> dict[str, str]:
    """Return the classes that the source's own train or val split has no image of, each with that split.

    No model can learn them, or be measured on them. None where fewer than two classes would be left.
    """
    lacking: dict[str, str] = {}
    for split in (TRAIN, VAL):
        inside = {own[0] for own, i in zip(kept.labels, kept.in_split(split), strict=True) if i}
        if split in survey.split_names:
            lacking |= {name: split for name in kept.class_names if name not in inside}
    lacking = {name: lacking[name] for name in natural_order(lacking)}
    return lacking if len(kept.class_names) - len(lacking) > 1 else {}


def keep(survey: Survey, rules: Preparation) -> Survey:
    """Return the images that a search with these rules will keep, in the splits that it will make.

    Raises:
        DataError: they can't be split so.
    """
    unlabelled = {*survey.unlabelled}
    columns = zip(survey.names, survey.labels, survey.splits, survey.patients, strict=True)
    images = tuple(
        ListedImage(
            Path(name), name, labels, split, patient, unlabelled=position in unlabelled,
            uncertain=survey.uncertain[position] if survey.label_sets and survey.uncertain else (),
        )
        for position, (name, labels, split, patient) in enumerate(columns)
    )  # fmt: skip
    listing = Listing(survey.source, Path(), images, class_columns=survey.class_columns)
    labelled = (choose_label_sets if survey.label_sets else choose_labels)(listing, rules.labels)
    usable = survey.measures.readable.copy()
    if rules.images.two_valued == DROP:
        usable &= ~masks_of(survey)
    labelled = labelled.without(np.flatnonzero(~usable[labelled.positions]).tolist())
    kept = labelled.positions
    patients = [survey.patients[position] for position in kept]
    if any(patients) and not all(patients):
        raise DataError(
            f"{survey.source}: {patients.count(None)} of {len(kept)} images have no patient: give each its own, "
            "or do without (`csv:PATH?patient=`)"
        )
    groups = np.array(patients) if all(patients) else None
    positions, notes = make_splits(
        [survey.splits[position] for position in kept],
        labelled.labels,
        groups,
        rules.splits,
        survey.source,
        class_names=labelled.class_names,
        in_folds=survey.folds is not None,
        duplicate_groups=lambda: duplicate_groups(find_duplicates(survey.measures))[kept],
    )
    splits: list[str | None] = [None] * len(kept)
    for split, images_of_split in positions.items():
        for position in images_of_split.tolist():
            splits[position] = split
    selected = _select(survey, labelled, tuple(splits))
    return replace(selected, notes=(*survey.notes, *notes))


def _select(survey: Survey, labelled: Labelled, splits: tuple[str | None, ...]) -> Survey:
    """Return the survey of the images that are kept, in other splits; ready-made folds lose their test images."""
    kept, class_names = labelled.positions, labelled.class_names
    answers = members_of(labelled.labels, len(class_names))
    unknown = labelled.labels == UNKNOWN if survey.label_sets else np.zeros_like(answers)
    position = np.full(len(survey), -1, dtype=np.int64)
    position[kept] = np.where([split == TEST for split in splits], -1, np.arange(len(kept)))
    return replace(
        survey,
        names=tuple(survey.names[image] for image in kept),
        labels=tuple(tuple(compress(class_names, row)) for row in answers),
        uncertain=tuple(tuple(compress(class_names, row)) for row in unknown),
        unlabelled=(),
        splits=splits,
        patients=tuple(survey.patients[image] for image in kept),
        class_names=class_names,
        measures=survey.measures.at(kept),
        paths=tuple(survey.paths[image] for image in kept) if survey.paths else (),
        columns={name: tuple(cells[image] for image in kept) for name, cells in survey.columns.items()},
        folds=None if survey.folds is None else tuple(fold.renumbered(position) for fold in survey.folds),
        missing=(),
        ignored=(),
    )


def _values(lines: list[Line] | tuple[Line, ...]) -> dict[str, object]:
    return {line.key: line.value for line in lines}

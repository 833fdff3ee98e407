"""ImageRecords: what a source says of its images; Survey: that, and what was measured of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from medray._types import Array
from medray.data.label_sets import find_none_label
from medray.data.listing.listing import SourceFacts
from medray.data.members import UNKNOWN
from medray.data.similarity.measures import Measures


@dataclass(frozen=True)
class ImageRecords(SourceFacts):
    """What a source says of each of its n images: `names`, `labels`, `splits` and `patients`, as in ListedImage.

    `class_names` are all classes, also those without an image. Where `label_sets`, images may have several labels,
    or none; then `uncertain` are those that each may have besides, empty where that is nowhere so, and
    `unlabelled` the positions of images of which the source says nothing. `cases` are those that a column makes,
    None for an image of no case; empty where nothing asks for cases.
    """

    names: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    splits: tuple[str | None, ...]
    patients: tuple[str | None, ...]
    class_names: tuple[str, ...]
    label_sets: bool = field(default=False, kw_only=True)
    uncertain: tuple[tuple[str, ...], ...] = field(default=(), kw_only=True)
    unlabelled: tuple[int, ...] = field(default=(), kw_only=True)
    cases: tuple[str | None, ...] = field(default=(), kw_only=True)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def split_names(self) -> tuple[str, ...]:
        """The splits that the source names, in order of first appearance."""
        return tuple(name for name in dict.fromkeys(self.splits) if name is not None)

    def in_split(self, name: str) -> Array:
        """Return whether each image belongs to a split, bool (n,)."""
        return np.array([split == name for split in self.splits], dtype=bool)

    def classes(self) -> Array:
        """Return each image's class as an index into `class_names`, int64 (n,); -1 unless it has one label."""
        index = {name: position for position, name in enumerate(self.class_names)}
        return np.array([index[labels[0]] if len(labels) == 1 else -1 for labels in self.labels], dtype=np.int64)

    def answers(self) -> Array:
        """Return whether each image is of each class, int64 (n, classes): 1, 0, or -1 where that is not known.

        It is not known of an image without a label, of one with several unless there are label sets, and of labels
        that are uncertain.
        """
        index = {name: position for position, name in enumerate(self.class_names)}
        answers = np.zeros((len(self), len(index)), dtype=np.int64)
        if not self.label_sets:
            classes = self.classes()
            answers[np.flatnonzero(classes >= 0), classes[classes >= 0]] = 1
            answers[classes < 0] = UNKNOWN
            return answers
        for column, value in ((self.uncertain, UNKNOWN), (self.labels, 1)):
            for image, names in enumerate(column):
                answers[image, [index[name] for name in names if name in index]] = value
        answers[list(self.unlabelled)] = UNKNOWN
        return answers

    @property
    def blank_images(self) -> tuple[int, ...]:
        """The positions of images without a label, where each should have one, or the source says nothing."""
        if self.label_sets:
            return self.unlabelled
        return tuple(image for image, labels in enumerate(self.labels) if not labels)

    @cached_property
    def none_label(self) -> str | None:
        """Of label sets, the class that means by its name that an image has none, and always stands alone."""
        return find_none_label(self.labels)[0] if self.label_sets else None


@dataclass(frozen=True)
class Survey(ImageRecords):
    """The n images of a source, each read once; `from_files` says whether each is a file of its own.

    `paths` are those of the files, below the source's root. `columns` (n,) are a table's cells, by column, that
    say where, when or how an image was taken, and those of its subgroups.
    """

    measures: Measures
    from_files: bool
    paths: tuple[str, ...] = ()
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

"""Other images that the run has too: identical ones and near-duplicates of its training or test images."""

from dataclasses import dataclass, replace

import numpy as np

from medray._types import Array, Progress, silent
from medray.data.dataset import ImageDataset
from medray.data.similarity.centre_crops import centre_cropped_pairs
from medray.data.similarity.duplicates import find_duplicates
from medray.data.similarity.groups import duplicate_groups, merge_patients
from medray.data.similarity.measures import Measures, measure_all
from medray.evaluate.external.figures import ExternalFigures
from medray.json_document import JsonDocument
from medray.space.published import TEST

EXAMPLES = 3


@dataclass(frozen=True)
class CopyCounts(JsonDocument):
    """How many of the other images have a copy among the run's, and figures without them.

    `seen` have one in train, val or calibration, `in_test` in the test split; an image may be of both. `left_out`
    are all that have any, and with them the other images of their patients or cases. `examples` name an image and
    a copy of it. `figures` are of the `images` that are left, None where there is no copy, or too few are left.
    """

    seen: int
    in_test: int
    left_out: int
    images: int
    examples: tuple[str, ...]
    figures: ExternalFigures | None


@dataclass(frozen=True)
class Copies:
    """Which of n other images have a copy in the run's train, val or calibration (`seen`), and in `in_test`.

    Both are bool (n,). `units` (n,) connect images of one patient or case and copies of one another. `examples`
    name an image by its position and the position of a copy in the run's data. `run` and `external` are the
    measures of the run's images at `rows`, without the test split, and of the others.
    """

    seen: Array
    in_test: Array
    units: Array
    examples: tuple[tuple[int, int], ...]
    rows: Array
    run: Measures
    external: Measures

    @property
    def left_out(self) -> Array:
        """Whether an image, or another of its patient or case, has any copy, bool (n,)."""
        return np.asarray(np.isin(self.units, self.units[self.seen | self.in_test]))


def find_copies(run: ImageDataset, external: ImageDataset, progress: Progress = silent) -> Copies:
    """Compare the pixels of other images with all images of a run's data; no label is read.

    Both are as the networks see them. What is looked for: `medray.data.similarity.duplicates`, and centre crops
    between both sets.

    Raises:
        DataError: millions of images look the same.
    """
    run_measures, others = measure_all(run.images, progress), measure_all(external.images, progress)
    duplicates = find_duplicates(Measures.concatenate([run_measures, others]))
    first, second = centre_cropped_pairs(run_measures.thumbnail, others.thumbnail)
    duplicates = replace(
        duplicates,
        first=np.concatenate([duplicates.first, first]),
        second=np.concatenate([duplicates.second, second + len(run)]),
    )
    groups = duplicate_groups(duplicates)
    run_groups, other_groups = groups[: len(run)], groups[len(run) :]
    test = np.zeros(len(run), dtype=bool)
    test[run.splits[TEST]] = True
    used = np.zeros(len(run), dtype=bool)
    used[np.concatenate(list(run.splits.values()))] = True
    seen = np.isin(other_groups, run_groups[used & ~test])
    in_test = np.isin(other_groups, run_groups[test])
    copied = {group: position for position, group in reversed(list(enumerate(run_groups.tolist())))}
    examples = [(i, copied[other_groups[i]]) for i in np.flatnonzero(seen | in_test)[:EXAMPLES].tolist()]
    rows = np.flatnonzero(used & ~test)
    units = merge_patients(other_groups, external.clusters)
    return Copies(seen, in_test, units, tuple(examples), rows, run_measures.at(rows), others)

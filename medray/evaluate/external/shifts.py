"""How other images differ from those of a run: classes, looks, sizes, columns, share out of distribution."""

from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.data.dataset import ImageDataset
from medray.data.decoding import Decoded, decode_file
from medray.data.listing.list_source import list_source
from medray.data.similarity.measures import Measures
from medray.data.source import parse_source
from medray.errors import DataError
from medray.json_document import JsonDocument
from medray.stats.bootstrap import Estimate
from medray.stats.events import Event
from medray.stats.rates import Proportion, share_of
from medray.stats.score_gap import score_gap
from medray.text import natural_order

LOOKS = ("brightness", "contrast", "sharpness")
SAMPLE = 200  # files whose size is read
MOST_VALUES = 12  # of a column


@dataclass(frozen=True)
class ClassShift(JsonDocument):
    """The share of a class among the run's images and among the others, and the difference with its interval.

    Shares are of cases where the run answers these, and of images whose label is known where there may be several.
    """

    name: str
    run: Proportion
    external: Proportion
    difference: Estimate


@dataclass(frozen=True)
class LookShift(JsonDocument):
    """Mean and standard deviation of a look on both sides; `effect` is the difference in the run's deviations."""

    name: str
    run_mean: float
    run_sd: float
    external_mean: float
    external_sd: float
    effect: float | None


@dataclass(frozen=True)
class ColumnShift(JsonDocument):
    """The share of each value of a column on both sides; a side without the column has no shares."""

    column: str
    run: dict[str, Proportion]
    external: dict[str, Proportion]


@dataclass(frozen=True)
class Shifts(JsonDocument):
    """All shifts; `images` are the run's own that it was compared with: train, val and calibration, never test.

    `run_size` and `external_size` are the median height and width of the images before they were resized, None
    where their files can't be had. `out_of_distribution` is the share of the other images that the ensemble's
    detector flags, of `expected` among images like the run's; None without a detector.
    """

    images: int
    classes: tuple[ClassShift, ...]
    looks: tuple[LookShift, ...]
    run_size: tuple[float, float] | None
    external_size: tuple[float, float] | None
    columns: tuple[ColumnShift, ...]
    out_of_distribution: Proportion | None
    expected: float | None


def class_shifts(run: ImageDataset, rows: Array, external: ImageDataset) -> tuple[ClassShift, ...]:
    """Return the shift of each class among images, or cases, of which it is known; `rows` are the run's images."""
    shifts = []
    for index, name in enumerate(run.class_names):
        of_run, other = (
            _class_share(dataset, at, Event.at(index, run.class_names))
            for dataset, at in ((run, rows), (external, np.arange(len(external))))
        )
        shifts.append(ClassShift(name, of_run, other, score_gap(other, of_run)))
    return tuple(shifts)


def _class_share(dataset: ImageDataset, rows: Array, event: Event) -> Proportion:
    """Return the share of a class or label among what is answered of the images at `rows`, where it is known."""
    labels, groups = dataset.at(rows).answered_labels, dataset.answered_groups(rows)
    known = event.known(labels)
    return share_of(event.of(labels[known]), None if groups is None else groups[known])


def look_shifts(run: Measures, external: Measures) -> tuple[LookShift, ...]:
    """Return the shift of each of LOOKS, as the images are seen by the networks."""
    shifts = []
    for name in LOOKS:
        of_run, other = (np.asarray(getattr(side, name), dtype=np.float64) for side in (run, external))
        spread = float(of_run.std())
        effect = (float(other.mean()) - float(of_run.mean())) / spread if spread else None
        shifts.append(
            LookShift(name, float(of_run.mean()), spread, float(other.mean()), float(other.std()), effect)
        )
    return tuple(shifts)


def column_shifts(run: ImageDataset, rows: Array, external: ImageDataset) -> tuple[ColumnShift, ...]:
    """Return the shares of the values of each column of subgroups that either side has, if they are few."""
    of_run = {name: column[rows] for name, column in run.subgroups.items()}
    run_patients = None if run.groups is None else run.groups[rows]
    shifts = []
    for name in natural_order({*of_run, *external.subgroups}):
        sides = ((of_run.get(name), run_patients), (external.subgroups.get(name), external.groups))
        values = natural_order({str(value) for column, _ in sides if column is not None for value in column})
        if len(values) <= MOST_VALUES:
            shares: list[dict[str, Proportion]] = [
                {} if column is None else {v: share_of(column.astype(str) == v, groups) for v in values}
                for column, groups in sides
            ]
            shifts.append(ColumnShift(name, *shares))
    return tuple(shifts)


def median_size(source: str, dataset: ImageDataset) -> tuple[float, float] | None:
    """Return the median height and width of a source's images; of files, those of a fixed sample are read."""
    try:
        parsed = parse_source(source)
        if not parsed.is_listed:
            height, width, _ = (dataset.original or dataset).shape
            return float(height), float(width)
        paths = [image.path for image in list_source(parsed).images]
    except (DataError, OSError):
        return None
    rows = np.random.default_rng(0).permutation(len(paths))[:SAMPLE]
    decoded = [decode_file(paths[row], (8, 8, 3)) for row in rows.tolist()]
    sizes = np.array([image.upright for image in decoded if isinstance(image, Decoded)])
    if not len(sizes):
        return None
    height, width = np.median(sizes, axis=0).tolist()
    return height, width

"""Surveys of images that nobody has drawn: counts and sizes alone."""

from collections.abc import Mapping, Sequence

import numpy as np

from medray.audit.survey import Survey
from medray.data.label_sets import has_label_sets
from medray.data.similarity.measures import LOOKS, Measures


def measures(
    count: int, sizes: Sequence[tuple[int, int]] = ((64, 64),), colours: Sequence[int] = (1,), broken: int = 0
) -> Measures:
    """Images of these sizes and numbers of channels in turn; the first `broken` can't be read."""
    fine = np.arange(count) >= broken
    height, width = (np.resize([size[side] for size in sizes], count) * fine for side in (0, 1))
    looks = {name: np.where(fine, 50.0, np.nan).astype(np.float32) for name in LOOKS}
    return Measures(
        sha256=np.array([str(index) for index in range(count)]),
        format=np.full(count, "png"),
        problem=np.where(fine, "", "the file ends too early"),
        height=height,
        width=width,
        channels=np.resize(colours, count) * fine,
        bits=np.full(count, 8),
        opacity=np.ones(count),
        levels=np.zeros(count, dtype=np.int64),
        grey_as_rgb=np.zeros(count, dtype=bool),
        thumbnail=np.random.default_rng(0).integers(0, 256, (count, 32, 32), dtype=np.uint8),
        **looks,
    )


def survey(
    counts: Mapping[str, int],
    *,
    sizes: Sequence[tuple[int, int]] = ((64, 64),),
    colours: Sequence[int] = (1,),
    broken: int = 0,
    blank: int = 0,
    several: int = 0,
    splits: Sequence[str | None] = (None,),
    per_patient: int = 0,
    files: bool = True,
) -> Survey:
    """Images of each class by their number, in `splits` in turn within a class, so many of a patient."""
    labels = [(name,) for name, count in counts.items() for _ in range(count)]
    placed = [splits[index % len(splits)] for count in counts.values() for index in range(count)]
    more = [*[()] * blank, *[tuple(counts)[:2]] * several]
    placed += [splits[0]] * len(more)
    total = len(labels) + len(more)
    return Survey(
        source="folder:scans",
        from_files=files,
        names=tuple(f"{index}.png" for index in range(total)),
        labels=(*labels, *more),
        splits=tuple(placed),
        patients=tuple(f"p{index // per_patient}" if per_patient else None for index in range(total)),
        class_names=tuple(sorted(counts)),
        measures=measures(total, sizes, colours, broken),
        label_sets=has_label_sets([*labels, *more]),
        unlabelled=tuple(range(len(labels), len(labels) + blank)),
    )

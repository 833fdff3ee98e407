"""Load other images as an ensemble takes them: of its size, channels and aspect, with its classes.

The images stand in the order of their content, so that no figure depends on that of a table's rows or a folder's
files. All images of the source are taken, in whatever splits it has them. Where the run answers by case, these
images are too, all readable ones of a case that has a label: a source that does not know the cases is refused, as
what is promised by case holds for no image.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from medray._types import Array, Progress, silent
from medray.data.arrays.resize import resize_dataset
from medray.data.cache.file_hashes import hash_files
from medray.data.cases import case_numbers, with_cases
from medray.data.dataset import ImageDataset
from medray.data.labels import Labelled, choose_labels
from medray.data.listing.list_source import list_source
from medray.data.listing.listing import Listing
from medray.data.listing.tables.blanks import hint_to_keep
from medray.data.load_data import load_data
from medray.data.members import members_of
from medray.data.source import Source, parse_source
from medray.ensemble.manifest import Manifest
from medray.errors import DataError
from medray.evaluate.external.case_labels import label_by_case, refuse_without_cases, with_unlabelled
from medray.evaluate.external.class_map import MappedClass, map_classes
from medray.evaluate.external.decode_listed import decode_listed
from medray.evaluate.external.external_labels import (
    choose_external_sets,
    complete_map,
    count_labels,
    label_sets_of_arrays,
    none_label,
)
from medray.space.preparation import Labels, Preparation
from medray.space.published import TEST
from medray.stats.case_rule import CaseRule
from medray.stats.cases import CaseIndex
from medray.tasks import TASKS


@dataclass(frozen=True)
class ExternalImages:
    """Other images with the run's classes; `dataset` has no splits, and the run's cases where it has any.

    An image without a usable label is there only with others of its case, and has that of its case. `names` (n,)
    say where each image lies. `content` is a SHA-256 of the images as they are in their source,
    whatever their order and labels. `size` is height and width of arrays before they were resized, None of files.
    """

    dataset: ImageDataset
    names: tuple[str, ...]
    classes: tuple[MappedClass, ...]
    content: str
    size: tuple[float, float] | None = None


def load_external(
    source: str, manifest: Manifest, preparation: Preparation, class_map: Mapping[str, str | None],
    progress: Progress = silent,
) -> ExternalImages:  # fmt: skip
    """Load the images of `source` for the ensemble of `manifest`; `preparation` says what its run did to images.

    Classes that the run merged or left out are so here too, where the source has them; none is left out as rare.

    Raises:
        DataError: there is no such source, it can't be used, its classes are neither the run's nor mapped, or it
            does not know the cases that the run answers.
        SideCarError: masks or the like lie among the images.
    """
    parsed = parse_source(source)
    height, width, channels = manifest.image_shape
    images = replace(
        preparation.images, image_size=(height, width), channels=channels, aspect=manifest.image_aspect
    )
    rules = replace(preparation, images=images)
    load = _load_listed if parsed.is_listed else _load_arrays
    cases = None if preparation.cases is None else manifest.cases
    external = load(parsed, manifest.class_names, rules, class_map, cases, progress)
    if external.dataset.shape != manifest.image_shape:
        raise DataError(f"{source}: images are {external.dataset.shape}, not {manifest.image_shape}")
    external = _in_order_of_content(external)
    return external if preparation.cases is None else _by_case(external, preparation)


def _load_listed(
    source: Source, class_names: tuple[str, ...], rules: Preparation, class_map: Mapping[str, str | None],
    cases: CaseRule | None, progress: Progress,
) -> ExternalImages:  # fmt: skip
    listing, labels = list_source(source), rules.labels
    none = none_label(labels, class_names, rules.task)
    counts = count_labels(listing, class_names, labels, class_map)
    if not (several := TASKS[rules.task].label_sets):
        counts = {name: count for name, count in counts.items() if count}
    complete, hint = complete_map(counts, labels, class_map), hint_to_keep(listing.read_as_blank)
    classes = map_classes(counts, complete, class_names, listing.source, hint, none)
    listing = replace(listing, folds=None)
    labelled = (
        choose_external_sets(listing, classes, class_names, none, labels)
        if several
        else _one_class_each(listing, classes, class_names, labels)
    )
    patients = [listing.images[position].patient for position in labelled.positions]
    if any(patients) and not all(patients):
        raise DataError(
            f"{listing.source}: {patients.count(None)} of {len(patients)} images have no patient: give each its "
            "own, or do without (`?patient=` behind a table)"
        )
    taken, pixels, notes = decode_listed(listing, labelled, rules, cases, progress)
    kept = [listing.images[position] for position in taken.positions]
    columns = sorted({name for image in kept for name in image.subgroups})
    dataset = ImageDataset(
        images=pixels,
        labels=taken.labels,
        class_names=class_names,
        splits={},
        source=listing.source,
        groups=np.array([image.patient for image in kept]) if all(patients) else None,
        notes=tuple(notes),
        subgroups={name: np.array([image.subgroups.get(name, "") for image in kept]) for name in columns},
        aspect=rules.images.aspect,
    )
    content = _digest(hash_files([image.path for image in kept], progress))
    return ExternalImages(dataset, tuple(image.where for image in kept), classes, content)


def _one_class_each(
    listing: Listing, classes: tuple[MappedClass, ...], class_names: tuple[str, ...], rules: Labels
) -> Labelled:
    """Return the images that have one class, and which of the run's it is, int64 (n,); others are left out.

    Raises:
        DataError: an image has no label or several, and the run's `rules` do not say what that means.
    """
    left_out = {row.theirs for row in classes if row.ours is None}
    # All at once: a class of theirs may be called as one of the run's and be mapped to another.
    names = {row.theirs: row.ours for row in classes if row.ours is not None}
    rows = [row for row, image in enumerate(listing.images) if not image.labels or {*image.labels} - left_out]
    images = tuple(
        replace(image, labels=tuple(names[label] for label in image.labels if label not in left_out))
        for image in (listing.images[row] for row in rows)
    )
    plain = replace(rules, merge={}, min_count=1, leave_out=())
    labelled = choose_labels(replace(listing, images=images), plain)
    numbers = np.array([class_names.index(name) for name in labelled.class_names])
    return replace(
        labelled,
        positions=np.array(rows)[labelled.positions],
        labels=numbers[labelled.labels],
        class_names=class_names,
    )


def _load_arrays(
    source: Source, class_names: tuple[str, ...], rules: Preparation, class_map: Mapping[str, str | None],
    cases: CaseRule | None, progress: Progress,
) -> ExternalImages:  # fmt: skip
    # A run of several labels takes arrays of one class each too, so these are loaded as they are.
    several = TASKS[rules.task].label_sets
    loaded = load_data(source, preparation=None if several else replace(rules, cases=None), progress=progress)
    loaded = resize_dataset(loaded, rules.images, progress)  # a phantom keeps the size that it is drawn in
    names, none = loaded.class_names, none_label(rules.labels, class_names, rules.task)
    numbers = members_of(loaded.labels, len(names)).sum(axis=0).tolist()
    columns = dict.fromkeys(names if loaded.has_label_sets else (), 0)
    named = {*class_names, *class_map, *complete_map(columns, rules.labels, class_map)} if columns else ()
    counts = {name: count for name, count in zip(names, numbers, strict=True) if count or name in named}
    complete = complete_map(counts, rules.labels, class_map)
    classes = map_classes(counts, complete, class_names, loaded.source, none=none)
    if several:
        labelled = label_sets_of_arrays(
            loaded.labels, names, classes, class_names, none, rules.labels, loaded.source
        )
        kept, labels, notes = labelled.positions, labelled.labels, labelled.notes
    else:
        ours = {row.theirs: -1 if row.ours is None else class_names.index(row.ours) for row in classes}
        labels = np.array([ours.get(name, -1) for name in names])[loaded.labels]
        kept, notes = np.flatnonzero(labels >= 0), ()
        labels = labels[kept]
    if cases is not None:
        with refuse_without_cases(cases.by):
            numbers = case_numbers(cases.by, loaded.groups, loaded.subgroups, loaded.source)
        kept, labels, more = label_by_case(*with_unlabelled(labels, kept, len(loaded)), CaseIndex(cases, numbers))
        notes = (*notes, *more)
    original = (loaded.original or loaded).images
    dataset = ImageDataset(
        images=loaded.images[kept],
        labels=labels,
        class_names=class_names,
        splits={},
        source=loaded.source,
        groups=None if loaded.groups is None else loaded.groups[kept],
        notes=(*loaded.notes, *notes),
        subgroups={name: column[kept] for name, column in loaded.subgroups.items()},
        aspect=loaded.aspect,
    )
    names = tuple(f"image {position}" for position in kept.tolist())
    content = _digest([image_digest(original[i]) for i in kept.tolist()])
    height, width = original.shape[1:3]
    return ExternalImages(dataset, names, classes, content, (float(height), float(width)))


def image_digest(pixels: Array) -> str:
    """Return the SHA-256 of an image's pixels uint8 (H, W, C) and their shape, as hexadecimal digits."""
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def _digest(digests: list[str]) -> str:
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()


def _in_order_of_content(external: ExternalImages) -> ExternalImages:
    dataset = external.dataset
    groups = [""] * len(dataset) if dataset.groups is None else list(map(str, dataset.groups.tolist()))
    columns = [list(map(str, dataset.subgroups[name].tolist())) for name in sorted(dataset.subgroups)]
    labels = dataset.labels.reshape(len(dataset), -1).tolist()
    keys = [
        (image_digest(dataset.images[i]), labels[i], groups[i], *(column[i] for column in columns))
        for i in range(len(dataset))
    ]
    return _at(external, np.array(sorted(range(len(dataset)), key=keys.__getitem__), dtype=np.int64))


def _by_case(external: ExternalImages, preparation: Preparation) -> ExternalImages:
    """Return the images with the cases that the run answers, without those that differ where it drops them."""
    everything = replace(external.dataset, splits={TEST: np.arange(len(external.dataset))})
    assert preparation.cases is not None
    with refuse_without_cases(preparation.cases.by):
        dataset = with_cases(everything, preparation.cases, preparation.task)
    external = replace(external, dataset=replace(dataset, splits={}))
    return _at(external, dataset.splits[TEST])


def _at(external: ExternalImages, rows: Array) -> ExternalImages:
    """Return the images at `rows` (m,) in that order."""
    dataset = external.dataset
    ordered = replace(
        dataset, images=dataset.images[rows], labels=dataset.labels[rows],
        groups=None if dataset.groups is None else dataset.groups[rows],
        subgroups={name: column[rows] for name, column in dataset.subgroups.items()},
        cases=None if dataset.cases is None else dataset.cases.at(rows),
    )  # fmt: skip
    return replace(external, dataset=ordered, names=tuple(external.names[i] for i in rows.tolist()))

"""Load other images as an ensemble takes them: of its size, channels and aspect, with its classes.

The images stand in the order of their content, so that no figure depends on that of a table's rows or a folder's
files. All images of the source are taken, in whatever splits it has them.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from medray._types import Array, Progress, silent
from medray.data.arrays.resize import resize_dataset
from medray.data.build import prepare_images
from medray.data.cache.file_hashes import hash_files
from medray.data.dataset import ImageDataset
from medray.data.listing.list_source import list_source
from medray.data.listing.listing import Listing
from medray.data.listing.tables.blanks import hint_to_keep
from medray.data.load_data import load_data
from medray.data.source import Source, parse_source
from medray.ensemble.manifest import Manifest
from medray.errors import DataError
from medray.evaluate.external.class_map import MappedClass, map_classes
from medray.space.preparation import Preparation


@dataclass(frozen=True)
class ExternalImages:
    """Other images with the run's classes; `dataset` has no splits.

    `names` (n,) say where each image lies. `content` is a SHA-256 of the images as they are in their source,
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

    Classes that the run merged are merged here too, where the source has them; none is left out as rare.

    Raises:
        DataError: there is no such source, it can't be used, or its classes are neither the run's nor mapped.
        SideCarError: masks or the like lie among the images.
    """
    parsed = parse_source(source)
    height, width, channels = manifest.image_shape
    images = replace(
        preparation.images, image_size=(height, width), channels=channels, aspect=manifest.image_aspect
    )
    rules = Preparation(images, replace(preparation.labels, merge={}, min_count=1), preparation.splits)
    merged = {part: name for name, parts in preparation.labels.merge.items() for part in parts}
    load = _load_listed if parsed.is_listed else _load_arrays
    external = load(parsed, manifest.class_names, rules, {**merged}, class_map, progress)
    if external.dataset.shape != manifest.image_shape:
        raise DataError(f"{source}: images are {external.dataset.shape}, not {manifest.image_shape}")
    return _in_order_of_content(external)


def _load_listed(
    source: Source, class_names: tuple[str, ...], rules: Preparation, merged: Mapping[str, str],
    class_map: Mapping[str, str | None], progress: Progress,
) -> ExternalImages:  # fmt: skip
    listing = list_source(source)
    counts = Counter(label for image in listing.images for label in dict.fromkeys(image.labels))
    hint = hint_to_keep(listing.read_as_blank)
    classes = map_classes(counts, _complete(counts, merged, class_map), class_names, listing.source, hint)
    listing = _mapped(listing, classes)
    labelled, images, notes = prepare_images(listing, rules, progress)
    kept = [listing.images[position] for position in labelled.positions]
    patients = [image.patient for image in kept]
    if any(patients) and not all(patients):
        raise DataError(
            f"{listing.source}: {patients.count(None)} of {len(kept)} images have no patient: give each its own, "
            "or do without (`?patient=` behind a table)"
        )
    columns = sorted({name for image in kept for name in image.subgroups})
    ours = np.array([class_names.index(name) for name in labelled.class_names])
    dataset = ImageDataset(
        images=images.array,
        labels=ours[labelled.labels],
        class_names=class_names,
        splits={},
        source=listing.source,
        groups=np.array(patients) if all(patients) else None,
        notes=tuple(notes),
        subgroups={name: np.array([image.subgroups.get(name, "") for image in kept]) for name in columns},
        aspect=rules.images.aspect,
    )
    content = _digest(hash_files([image.path for image in kept], progress))
    return ExternalImages(dataset, tuple(image.where for image in kept), classes, content)


def _mapped(listing: Listing, classes: tuple[MappedClass, ...]) -> Listing:
    """Return the listing with the run's classes, without images all of whose classes are left out, nor folds."""
    left_out = {row.theirs for row in classes if row.ours is None}
    images = tuple(
        replace(image, labels=tuple(label for label in image.labels if label not in left_out))
        for image in listing.images
        if not image.labels or set(image.labels) - left_out
    )
    # All at once: a class of theirs may be called as one of the run's and be mapped to another.
    names = {row.theirs: row.ours for row in classes if row.ours is not None}
    images = tuple(replace(image, labels=tuple(names[label] for label in image.labels)) for image in images)
    return replace(listing, images=images, folds=None)


def _load_arrays(
    source: Source, class_names: tuple[str, ...], rules: Preparation, merged: Mapping[str, str],
    class_map: Mapping[str, str | None], progress: Progress,
) -> ExternalImages:  # fmt: skip
    loaded = load_data(source, preparation=rules, progress=progress)
    loaded = resize_dataset(loaded, rules.images, progress)  # a phantom keeps the size that it is drawn in
    numbers = np.bincount(loaded.labels, minlength=len(loaded.class_names)).tolist()
    counts = {name: count for name, count in zip(loaded.class_names, numbers, strict=True) if count}
    classes = map_classes(counts, _complete(counts, merged, class_map), class_names, loaded.source)
    ours = {row.theirs: -1 if row.ours is None else class_names.index(row.ours) for row in classes}
    labels = np.array([ours.get(name, -1) for name in loaded.class_names])[loaded.labels]
    kept = np.flatnonzero(labels >= 0)
    original = (loaded.original or loaded).images
    dataset = ImageDataset(
        images=loaded.images[kept],
        labels=labels[kept],
        class_names=class_names,
        splits={},
        source=loaded.source,
        groups=None if loaded.groups is None else loaded.groups[kept],
        notes=loaded.notes,
        subgroups={name: column[kept] for name, column in loaded.subgroups.items()},
        aspect=loaded.aspect,
    )
    names = tuple(f"image {position}" for position in kept.tolist())
    content = _digest([image_digest(original[i]) for i in kept.tolist()])
    height, width = original.shape[1:3]
    return ExternalImages(dataset, names, classes, content, (float(height), float(width)))


def _complete(
    counts: Mapping[str, int], merged: Mapping[str, str], class_map: Mapping[str, str | None]
) -> dict[str, str | None]:
    return {**{part: name for part, name in merged.items() if part in counts}, **class_map}


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
    keys = [
        (image_digest(dataset.images[i]), int(dataset.labels[i]), groups[i], *(column[i] for column in columns))
        for i in range(len(dataset))
    ]
    order = np.array(sorted(range(len(dataset)), key=keys.__getitem__), dtype=np.int64)
    ordered = replace(
        dataset, images=dataset.images[order], labels=dataset.labels[order],
        groups=None if dataset.groups is None else dataset.groups[order],
        subgroups={name: column[order] for name, column in dataset.subgroups.items()},
    )  # fmt: skip
    return replace(external, dataset=ordered, names=tuple(external.names[i] for i in order.tolist()))

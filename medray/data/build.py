"""From a listing to a data set: every file decoded once, on all cores, into an array that is kept by content."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from medray._types import Array, Progress, silent
from medray.data.cache import arrays
from medray.data.cache.file_hashes import hash_files
from medray.data.cache.parallel import in_order
from medray.data.dataset import ImageDataset
from medray.data.decoding import Decoded, decode_file
from medray.data.labels import Labelled, choose_labels
from medray.data.listing.listing import Listing
from medray.data.similarity.dataset_duplicates import array_duplicates
from medray.data.similarity.groups import duplicate_groups
from medray.data.splits import divide
from medray.errors import DataError, printable
from medray.space.preparation import DROP, Preparation

FORM = 2  # of what is cached; another one means other pixels or notes
TOLD = {
    "few_grey_levels": "of few grey levels: they use less than a quarter of their range, as 12 bits in files of "
    "16 do; stretch their values to the whole range first, or take the DICOM files",
}


def build_dataset(listing: Listing, preparation: Preparation, progress: Progress = silent) -> ImageDataset:
    """Decode the images of a listing and divide them; what was left out or decided stands in `notes`.

    Raises:
        DataError: a label or file is not as `preparation` allows, sizes differ and it names none, or there are
            too few images of a class.
    """
    rules = preparation.images
    if listing.missing and rules.missing != DROP:
        raise DataError(
            f"{listing.source}: {len(listing.missing)} rows without a file (first: {listing.missing[0]}); "
            "`images: {missing: drop}` leaves them out"
        )
    labelled = choose_labels(listing, preparation.labels)
    notes = [*listing.notes, *labelled.notes]
    if listing.missing:
        notes.append(f"left out: {len(listing.missing)} rows without a file (first: {listing.missing[0]})")
    images, broken, done = _pixels(listing, labelled, preparation, progress)
    if broken:
        first = next(iter(broken))
        told = f"(first: {listing.images[labelled.positions[first]].where}: {broken[first]})"
        if rules.unreadable != DROP:
            raise DataError(
                f"{listing.source}: {len(broken)} files can't be read {told}; `images: {{unreadable: drop}}` "
                "leaves them out"
            )
        notes.append(f"left out: {len(broken)} files that can't be read {told}")
        labelled = labelled.without(list(broken))
        images, _, done = _pixels(listing, labelled, preparation, progress)  # an array without holes
    return _dataset(listing, labelled, images, [*notes, *done], preparation)


def _shape(paths: Sequence[Path], preparation: Preparation, source: str) -> tuple[int, int, int]:
    """The shape that is asked for; what is not asked for, the first image that can be read says."""
    size, channels = preparation.images.image_size, preparation.images.channels
    if size is not None and channels is not None:
        return *size, channels
    told = ""
    for path in paths:
        first = decode_file(path, (8, 8, 3), preparation.images.aspect)
        if isinstance(first, Decoded):
            size = size or first.upright
            return *size, channels or (1 if (first.pixels == first.pixels[:, :, :1]).all() else 3)
        told = told or f" (first: {printable(path.name)}: {first})"
    raise DataError(f"{source}: none of its {len(paths)} images can be read{told}")


def _pixels(
    listing: Listing, labelled: Labelled, preparation: Preparation, progress: Progress
) -> tuple[arrays.Mapped, dict[int, str], list[str]]:
    """The array of the images, from the cache or decoded now, why some can't be read, and what was done."""
    rules, paths = preparation.images, [listing.images[place].path for place in labelled.positions]
    hashes = hash_files(paths, progress)
    shape = _shape(paths, preparation, listing.source)
    images, facts = _decoded(paths, hashes, shape, rules.aspect, listing.source, progress)
    if rules.channels is None and "greyscaled" in facts["done"]:  # a later image has colours
        shape = (*shape[:2], 3)
        images, facts = _decoded(paths, hashes, shape, rules.aspect, listing.source, progress)
    other = facts["done"].get("resized", 0)
    if rules.image_size is None and other:
        raise DataError(
            f"{listing.source}: {other} of {len(paths)} images are not {shape[0]}×{shape[1]} as the first is; say "
            f"which size all shall have: `images: {{image_size: [{shape[0]}, {shape[1]}]}}`"
        )
    done = [
        f"{count} images {TOLD.get(what, what.replace('_', ' '))}" for what, count in sorted(facts["done"].items())
    ]
    done += arrays.too_large(images.array)
    return images, {int(place): why for place, why in facts["broken"].items()}, done


def _decoded(
    paths: Sequence[Path], hashes: Sequence[str], shape: tuple[int, int, int], aspect: str, source: str,
    progress: Progress,
) -> tuple[arrays.Mapped, dict[str, Any]]:  # fmt: skip
    told = json.dumps([FORM, shape, aspect, list(hashes)])
    key = hashlib.sha256(told.encode()).hexdigest()
    return arrays.find_or_make(key, lambda: _decode_all(key, paths, shape, aspect, source, progress), source)


def _decode_all(
    key: str, paths: Sequence[Path], shape: tuple[int, int, int], aspect: str, source: str, progress: Progress
) -> None:
    facts: dict[str, object] = {"source": source, "broken": {}, "done": {}}
    broken: dict[str, str] = {}
    done: Counter[str] = Counter()
    with (
        arrays.new_array(key, (len(paths), *shape), facts) as images,
        closing(in_order(lambda path: decode_file(path, shape, aspect), paths)) as found,
    ):
        for place, one in enumerate(found):
            if isinstance(one, Decoded):
                images[place] = one.pixels
                done.update(one.notes)
            else:
                broken[str(place)] = one
            progress("Decoding", place + 1, len(paths))
        facts |= {"broken": broken, "done": dict(done)}


def _dataset(
    listing: Listing, labelled: Labelled, images: arrays.Mapped, notes: list[str], preparation: Preparation
) -> ImageDataset:
    kept, labels = labelled.positions, labelled.labels
    listed = [listing.images[place] for place in kept]
    missing = [name for c, name in enumerate(labelled.class_names) if not (labels == c).any()]
    if missing:
        raise DataError(f"{listing.source}: no readable image of class {', '.join(missing)}")
    patients = [one.patient for one in listed]
    if any(patients) and not all(patients):
        raise DataError(f"{listing.source}: {patients.count(None)} of {len(listed)} images have no patient")
    groups = np.array(patients) if all(patients) else None
    splits, decided = divide(
        [one.split for one in listed],
        labels,
        groups,
        preparation.splits,
        listing.source,
        in_folds=listing.folds is not None,
        duplicate_groups=lambda: duplicate_groups(array_duplicates(images.array, images.path)),
    )
    columns = sorted({name for one in listed for name in one.subgroups})
    return ImageDataset(
        images=images.array,
        mapped=str(images.path),
        labels=labels,
        class_names=labelled.class_names,
        splits=splits,
        source=listing.source,
        groups=groups,
        notes=(*notes, *decided),
        folds=_folds(listing, kept, splits["test"]),
        subgroups={name: np.array([one.subgroups.get(name, "") for one in listed]) for name in columns},
        aspect=preparation.images.aspect,
    )


def _folds(listing: Listing, kept: Array, test: Array) -> tuple[tuple[Array, Array], ...] | None:
    """Ready-made folds in the positions of what was kept, without the test split's images."""
    if listing.folds is None:
        return None
    place = np.full(len(listing), -1, dtype=np.int64)
    place[kept] = np.arange(len(kept))
    place[kept[test]] = -1
    parts = ((place[train], place[val]) for train, val in listing.folds)
    return tuple((train[train >= 0], val[val >= 0]) for train, val in parts)

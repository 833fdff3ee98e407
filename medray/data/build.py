"""Build a data set from a listing: decode every file once, give each image its class, make the missing splits."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from medray._types import Progress, Shape, silent
from medray.data.cache.file_hashes import hash_files
from medray.data.cases import case_numbers
from medray.data.dataset import ImageDataset
from medray.data.decoding import Decoded, decode_file
from medray.data.fitted_images import Converted, FittedImages, drop_images, fit_images
from medray.data.label_sets import choose_label_sets
from medray.data.labels import Labelled, choose_labels
from medray.data.listing.listing import Listing
from medray.data.members import members_of
from medray.data.resampling import Size, limited
from medray.data.similarity.dataset_duplicates import array_duplicates
from medray.data.similarity.groups import duplicate_groups
from medray.data.source import PATTERN
from medray.data.splits import CASE, PATIENT, make_splits
from medray.data.two_valued import at_most_two, masks_among
from medray.errors import DataError, printable
from medray.space.preparation import DROP, FAIL, Images, Labels, Preparation
from medray.tasks import SEVERAL

FORM = 4  # of what is cached; another one means other pixels or notes
DIFFERING = "of another size than the first"
SAMPLE = 16
NOTE_TEXTS = {
    "alpha_dropped": "with transparent pixels, whose colours are kept",
    "first_window": "that name several windows, the first of which is applied",
    "window_ignored": "whose window is none (its width is not above 0, or it is no number): the next one is "
    "applied, or values are scaled from the least to the greatest",
    "syntax_guessed": "that name no transfer syntax, or not the one they are written in: their elements show it",
    "few_grey_levels": "of few grey levels: they use less than a quarter of their range, as 12 bits in files of "
    "16 do; stretch their values to the whole range first, or take the DICOM files",
}


def build_dataset(listing: Listing, preparation: Preparation, progress: Progress = silent) -> ImageDataset:
    """Build the data set of a listing; its `notes` say what was left out and decided.

    Raises:
        DataError: a label or file is not as `preparation` allows, sizes differ and it names none, or there are
            too few images of a class.
    """
    return join_columns(listing, *prepare_images(listing, preparation, progress), preparation)


def prepare_images(
    listing: Listing, preparation: Preparation, progress: Progress = silent,
    choose: Callable[[Listing, Labels], Labelled] | None = None,
) -> tuple[Labelled, FittedImages, list[str]]:  # fmt: skip
    """Return the classes and pixels of a listing's images that are kept, and notes on what was left out.

    `choose` gives images their labels, in the way of the task where it is None.

    Raises:
        DataError: a label or file is not as `preparation` allows, or sizes differ and it names none.
    """
    rules, source = preparation.images, listing.source
    if listing.missing:
        missing = f"{len(listing.missing)} rows without a file (first: {listing.missing[0]})"
        if rules.missing != DROP:
            raise DataError(
                f"{source}: {missing}; `?{PATTERN}=` behind the source says how files are called, "
                "`images: {missing: drop}` leaves them out"
            )
    choose = choose or (choose_label_sets if preparation.task == SEVERAL.name else choose_labels)
    labelled = choose(listing, preparation.labels)
    notes = [*listing.notes, *labelled.notes]
    if listing.missing:
        notes.append(f"left out: {missing}")
    images = decode_images(listing, labelled, rules, progress, preparation.longest)
    if images.broken:
        index, reason = next(iter(images.broken.items()))
        first = f"(first: {listing.images[labelled.positions[index]].where}: {reason})"
        files = f"{len(images.broken)} files"
        if rules.unreadable != DROP:
            raise DataError(
                f"{source}: {files} can't be read {first}; `images: {{unreadable: drop}}` leaves them out"
            )
        notes.append(f"left out: {files} that can't be read {first}")
    left_out = {*images.broken}
    if images.levels:
        names = [listing.images[position].where for position in labelled.positions]
        masks, mask_notes = find_masks(images, names, rules, source)
        left_out, notes = left_out | masks, notes + mask_notes
    if left_out:
        labelled = labelled.without(sorted(left_out))
        images = drop_images(images, left_out, source, progress)
    for done, count in sorted(images.done.items()):
        notes.append(f"{count} images {NOTE_TEXTS.get(done, done.replace('_', ' '))}")
    return labelled, images, [*notes, *images.notes]


def find_masks(
    images: FittedImages, names: Sequence[str], rules: Images, source: str
) -> tuple[set[int], list[str]]:
    """Return the indices of the two-valued images that are left out, and a note on those that there are.

    Raises:
        DataError: there are masks among other images, and `rules` do not say what to do with them.
    """
    readable = [index for index in range(len(names)) if index not in images.broken]
    levels = np.array([images.levels.get(index, 0) for index in readable])
    indices = [readable[at] for at in np.flatnonzero(at_most_two(levels))]
    if not indices:
        two = (levels == 2).all()
        return set(), ["all images have two values only: they are drawings or masks"] if two else []
    first = next(names[index] for index in indices if images.levels[index] == 2)
    few = f"{len(indices)} of {len(readable)} images have one or two values only, as masks have (first: {first})"
    if rules.two_valued == FAIL and masks_among(levels):
        raise DataError(
            f"{source}: {few}; `?exclude=` leaves files out by name, `images: {{two_valued: drop}}` leaves out "
            "these, and `keep` takes them for images"
        )
    if rules.two_valued == DROP:
        return {*indices}, [f"left out: {few}"]
    return set(), [few]


def decode_images(
    listing: Listing, labelled: Labelled, rules: Images, progress: Progress, longest: int | None = None
) -> FittedImages:
    """Decode the images of a listing that are kept, or take them from the cache.

    Without a size or channels in `rules` the first image's are used, with three channels if any image has colours.
    With `longest` images of one size have a longer side of at most that, and images of several become squares of
    it.

    Raises:
        DataError: no image can be read, or the sizes differ and neither `rules` nor `longest` say what becomes of
            them.
    """
    paths = [listing.images[position].path for position in labelled.positions]
    hashes = hash_files(paths, progress)

    def decode_to(shape: Shape, common: Size | None = None) -> FittedImages:
        def convert(path: Path) -> Converted | str:
            result = decode_file(path, shape, rules.aspect)
            if not isinstance(result, Decoded):
                return result
            notes = result.notes if common in (None, result.upright) else (*result.notes, DIFFERING)
            return result.pixels, notes, result.levels

        content = [FORM, shape, rules.aspect, list(hashes), *([common] if common else [])]
        return fit_images(content, shape, paths, convert, listing.source, "Decoding", progress)

    height, width, channels = choose_shape(paths, rules, listing.source)
    common = None
    if rules.image_size is None and longest is not None:
        common = (height, width)
        height, width = limited(common, longest)
        if differ(paths, common):
            common, height, width = None, longest, longest
    images = decode_to((height, width, channels), common)
    if common is not None and DIFFERING in images.done:
        common, height, width = None, longest or height, longest or width
        images = decode_to((height, width, channels))
    if rules.channels is None and "greyscaled" in images.done:  # a later image has colours
        images = decode_to((height, width, 3), common)
    resized = images.done.get("resized", 0)
    if rules.image_size is None and longest is None and resized:
        raise DataError(
            f"{listing.source}: {resized} of {len(paths)} images are not {height}×{width} as the first is; say "
            f"which size all shall have: `images: {{image_size: [{height}, {width}]}}`"
        )
    return images


def differ(paths: Sequence[Path], size: Size) -> bool:
    """Return whether among a few images, spread over all of them, one has another size: it spares decoding all."""
    some = (decode_file(path, (8, 8, 3)) for path in paths[:: max(1, len(paths) // SAMPLE)])
    return any(isinstance(image, Decoded) and image.upright != size for image in some)


def choose_shape(paths: Sequence[Path], rules: Images, source: str) -> Shape:
    """Return the shape in `rules`, completed by that of the first image that can be read.

    Raises:
        DataError: it is incomplete, and no image can be read.
    """
    size, channels = rules.image_size, rules.channels
    if size is not None and channels is not None:
        return *size, channels
    reasons = []
    for path in paths:
        image = decode_file(path, (8, 8, 3), rules.aspect)
        if isinstance(image, Decoded):
            size = size or image.upright
            return *size, channels or (1 if (image.pixels == image.pixels[:, :, :1]).all() else 3)
        reasons.append(f"{printable(path.name)}: {image}")
    first = f" (first: {reasons[0]})" if reasons else ""
    raise DataError(f"{source}: none of its {len(paths)} images can be read{first}")


def join_columns(
    listing: Listing, labelled: Labelled, images: FittedImages, notes: Sequence[str], preparation: Preparation
) -> ImageDataset:
    """Join pixels and labels with the patients, splits, folds and subgroups of a listing.

    Raises:
        DataError: a class has no image, only some images have a patient, or the splits can't be made.
    """
    source, labels = listing.source, labelled.labels
    kept = [listing.images[position] for position in labelled.positions]
    counts = members_of(labels, len(labelled.class_names)).sum(axis=0).tolist()
    missing = [name for name, count in zip(labelled.class_names, counts, strict=True) if not count]
    if missing:
        raise DataError(f"{source}: no readable image of class {', '.join(missing)}")
    patients = [image.patient for image in kept]
    if any(patients) and not all(patients):
        raise DataError(
            f"{source}: {patients.count(None)} of {len(kept)} images have no patient: give each its own, or do "
            "without (`?patient=` behind a table)"
        )
    groups = np.array(patients) if all(patients) else None
    columns = sorted({name for image in kept for name in image.subgroups})
    subgroups = {name: np.array([image.subgroups.get(name, "") for image in kept]) for name in columns}
    together, of = groups, PATIENT
    if preparation.cases is not None:
        numbers = case_numbers(preparation.cases.by, groups, subgroups, source)
        together, of = (numbers, CASE) if groups is None else (groups, PATIENT)
    splits, split_notes = make_splits(
        [image.split for image in kept],
        labels,
        together,
        preparation.splits,
        source,
        class_names=labelled.class_names,
        in_folds=listing.folds is not None,
        duplicate_groups=lambda: duplicate_groups(array_duplicates(images.array, images.path)),
        of=of,
    )
    renumbered = np.full(len(listing), -1, dtype=np.int64)  # -1: left out, or of the test split
    renumbered[labelled.positions] = np.arange(len(kept))
    renumbered[labelled.positions[splits["test"]]] = -1
    return ImageDataset(
        images=images.array,
        mapped=str(images.path),
        labels=labels,
        class_names=labelled.class_names,
        splits=splits,
        source=source,
        groups=groups,
        notes=(*notes, *split_notes),
        folds=None if listing.folds is None else tuple(fold.renumbered(renumbered) for fold in listing.folds),
        subgroups=subgroups,
        aspect=preparation.images.aspect,
    )

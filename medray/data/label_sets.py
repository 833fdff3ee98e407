"""Give each listed image its set of labels, for the task `several`: none, one or more of them."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from medray.data.labels import Labelled, merge_classes
from medray.data.listing.folder_names import tidy
from medray.data.listing.listing import ListedImage, Listing
from medray.data.listing.tables.blanks import hint_to_keep
from medray.data.members import UNKNOWN
from medray.errors import DataError, printable, unknown_choice_line
from medray.space.preparation import DROP, NONE, Labels
from medray.text import first_names, natural_order, plural

MANY = 0.05  # of the labelled images: where fewer have several labels, these are taken for oddities
#: Names of labels that mean that an image has none.
NONE_WORDS = frozenset({
    "none", "no finding", "no findings", "normal", "healthy", "negative", "no disease", "no abnormality",
    "no abnormalities", "no abnormality detected", "unremarkable", "clear", "no label", "no pathology",
})  # fmt: skip


def has_label_sets(labels: Sequence[tuple[str, ...]]) -> bool:
    """Return whether so many images have several `labels` (n,) that they are for the task several."""
    labelled = [{*names} for names in labels if names]
    return sum(len(names) > 1 for names in labelled) > MANY * len(labelled)


def find_none_label(labels: Sequence[tuple[str, ...]]) -> tuple[str | None, Counter[str]]:
    """Return the label that means none by its name and always stands alone, and what stands beside others such.

    The second counts, for each label that means none by its name, the images where it stands beside another.
    """
    alone: Counter[str] = Counter()
    beside: Counter[str] = Counter()
    for names in map(set, labels):
        for name in names:
            if re.sub(r"[\W_]+", " ", name.casefold()).strip() in NONE_WORDS:
                (beside if len(names) > 1 else alone)[name] += 1
    always = [name for name in natural_order(alone) if name not in beside]
    return max(always, key=lambda name: alone[name], default=None), beside


def says_nothing(image: ListedImage, *, class_columns: bool) -> bool:
    """Return whether a source says nothing of an image, where it says which labels others have or lack."""
    return not image.labels and not image.uncertain and (image.unlabelled or not class_columns)


def choose_label_sets(listing: Listing, rules: Labels, class_names: tuple[str, ...] | None = None) -> Labelled:
    """Give each image its labels, int64 (n, classes): 1, 0, or `UNKNOWN` for one that the source is uncertain of.

    Classes are merged first. The label that `rules` calls `none` stands for an image without any. Class names are
    in natural order. Where `class_names` are given, labels are these in their order, however many have them.

    Raises:
        DataError: an image has no label and `rules` do not say what that means, `none` stands beside another
            label, a class to merge, to leave out or that means none does not exist, fewer than two are left, or
            each image has just one label.
    """
    listing, notes = merge_classes(listing, rules.merge)
    counts = Counter(label for image in listing.images for label in {*image.labels})
    none = printable(tidy(rules.none)) if rules.none is not None else None
    if none is not None and none not in counts:
        raise DataError(unknown_choice_line("class", none, counts), file=listing.source, key="labels.none")
    for name in rules.leave_out:
        if name not in counts:
            problem = unknown_choice_line("class", name, counts)
            raise DataError(problem, file=listing.source, key="labels.leave_out")
        notes.append(f"left out, as asked: label {name} ({counts[name]})")
    kept = _labelled_images(listing, rules, none, notes)
    if class_names is None:
        class_names = _frequent_labels(listing, kept, counts, rules, none, notes)
    numbers = {name: number for number, name in enumerate(class_names)}
    table = np.zeros((len(kept), len(class_names)), dtype=np.int64)
    for row, position in enumerate(kept):
        image = listing.images[position]
        table[row, [numbers[label] for label in image.uncertain if label in numbers]] = UNKNOWN
        table[row, [numbers[label] for label in image.labels if label in numbers]] = 1
    sets = (table == 1).sum(axis=1)
    notes.append(f"labels an image: none {(sets == 0).sum()}, one {(sets == 1).sum()}, several {(sets > 1).sum()}")
    if (table == UNKNOWN).any():
        notes.append(f"uncertain labels, neither trained on nor measured: {(table == UNKNOWN).sum()}")
    return Labelled(np.array(kept, dtype=np.int64), table, class_names, tuple(notes))


def _frequent_labels(
    listing: Listing, kept: Sequence[int], counts: Counter[str], rules: Labels, none: str | None, notes: list[str]
) -> tuple[str, ...]:
    """Return the labels that are not left out, in natural order, and note which are too rare.

    Raises:
        DataError: fewer than two are left, or each image has just one label.
    """
    names = {*counts} - {none, *rules.leave_out}
    rare = {name: counts[name] for name in natural_order(names) if counts[name] < rules.min_count}
    if rare:
        labels = ", ".join(f"{label} ({count})" for label, count in rare.items())
        notes.append(f"left out: labels of fewer than {rules.min_count} images: {labels}")
    class_names = tuple(natural_order(names - set(rare)))
    if len(class_names) < 2:
        raise DataError(f"{listing.source}: {plural(len(class_names), 'label')} left; at least two are needed")
    if none is None and all(len({*listing.images[i].labels}) == 1 for i in kept):
        raise DataError(
            f"{listing.source}: each image has one label: `task: single` takes them as classes; `labels: {{none: "
            "NAME}` says which of them means that an image has none"
        )
    return class_names


def _labelled_images(listing: Listing, rules: Labels, none: str | None, notes: list[str]) -> list[int]:
    """Return the positions of the images that are kept, and note which are not and which have no label.

    Raises:
        DataError: some have no label and nothing says what that means, or `none` and another one.
    """
    images = listing.images
    both = [image.where for image in images if none in image.labels and len({*image.labels}) > 1]
    if both:
        raise DataError(
            f"{listing.source}: {plural(len(both), 'image')} with '{none}' and another label (first: {both[0]}): "
            "the label that means none must stand alone; without `labels.none` it is a label like others"
        )
    # In a column of labels an uncertain cell is no label of its own: what the image has is not known.
    unsure = {
        position: image.where
        for position, image in enumerate(images)
        if image.uncertain and not image.labels and (none in image.uncertain or not listing.class_columns)
    }
    if unsure:
        first = first_names(list(unsure.values())[:1])
        notes.append(f"left out: {plural(len(unsure), 'image')} (first: {first}) with uncertain labels alone")
    blank = {
        position: image.where
        for position, image in enumerate(images)
        if says_nothing(image, class_columns=listing.class_columns)
    }
    problem = f"{plural(len(blank), 'blank label')} (first: {first_names(list(blank.values())[:1])})"
    if blank and rules.blank not in (DROP, NONE):
        raise DataError(
            f"{listing.source}: {problem}; `labels: {{blank: drop}}` leaves such images out, `blank: none` takes "
            f"them for images of no label{hint_to_keep(listing.read_as_blank)}"
        )
    if blank:
        notes.append(f"{'left out' if rules.blank == DROP else 'taken for images of no label'}: {problem}")
    left_out = {*unsure, *(blank if rules.blank == DROP else ())}
    kept = [position for position in range(len(images)) if position not in left_out]
    if none is not None:
        bare = sum(not images[i].labels and not images[i].uncertain and i not in blank for i in kept)
        if bare:
            notes.append(f"with neither a label nor '{none}', and taken for images of no label: {bare}")
    return kept

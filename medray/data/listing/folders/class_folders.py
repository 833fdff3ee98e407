"""Check the folders of classes and those below them."""

from collections import defaultdict
from collections.abc import Collection, Sequence

from medray.data.listing.exclude import hint_to_exclude
from medray.data.listing.file_tree import FileTree
from medray.data.listing.folder_names import folder_split, names_fold, split_named, words_of
from medray.data.listing.folders.folder_image import FolderImage
from medray.data.listing.listing import TRAIN
from medray.data.source import SUBGROUPS
from medray.errors import DataError, nearest, printable
from medray.text import natural_order

#: Endings by which a folder's name says which class its images are of, as study1_positive does.
FINDINGS = frozenset({"positive", "negative", "pos", "neg", "benign", "malignant", "normal", "abnormal"})


def check_classes(tree: FileTree, images: Sequence[FolderImage], *, guess: bool = True) -> None:
    """Check that there are classes, all of them in train, and no folders of splits or folds below them.

    With `guess`, folders below that end in words of findings are refused too.

    Raises:
        DataError: it is not so.
    """
    names = sorted({image.label for image in images})
    if len(names) < 2:
        inner = ""
        while len(folders := tree.image_subfolders(inner)) == 1:
            inner += f"{folders[0]}/"
        hint = f" (did you mean '{tree.root / inner}'?)" if inner and len(folders) > 1 else ""
        raise DataError(f"{tree.root}: one class only, '{names[0]}'; at least two are needed{hint}")
    trained = {(image.fold, image.label) for image in images if image.split in (TRAIN, None)}
    for image in images:
        if (image.fold, image.label) not in trained:
            known = natural_order(label for fold, label in trained if fold == image.fold)
            raise DataError(
                f"{tree.root}: class '{image.label}' of {image.split} is not in train"
                f"{nearest(image.label, known)}; train has: {', '.join(known)} ('{printable(image.path)}')"
            )
    if all(names_fold(image.label) and len(image.below) > 1 for image in images):
        raise DataError(
            f"{tree.root}: fold folders lie below '{printable(images[0].path.partition('/')[0])}'; "
            "they must stand above those of the splits"
        )
    check_below(tree, images, guess=guess)


def check_below(tree: FileTree, images: Sequence[FolderImage], *, guess: bool) -> None:
    """Check that no folders below those of classes are splits, folds or, with `guess`, name classes themselves.

    Raises:
        DataError: some are.
    """
    siblings: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for image in images:
        for depth, name in enumerate(image.below[:-1]):
            siblings[image.label, *image.below[:depth]].add(name)
    findings: dict[str, set[str]] = defaultdict(set)
    for (label, *_), names in siblings.items():
        split = next((name for name in sorted(names) if split_named(name)), None)
        if split is None and TRAIN in (splits := set(map(folder_split, names))) and {*splits} > {TRAIN}:
            split = min(names) if None not in splits else None
        if split:
            raise DataError(
                f"{tree.root}: '{printable(split)}' lies below class '{label}'; split folders must stand above "
                f"those of the classes{hint_to_exclude(split)}"
            )
        if len(names) > 1 and all(map(names_fold, names)):
            raise DataError(
                f"{tree.root}: fold folders such as '{printable(min(names))}' lie below class '{label}'; they "
                "must stand above those of the classes"
            )
        for name in names:
            findings[label].add(finding_named(name))
    if guess:
        _check_findings(tree, findings)


def finding_named(name: str) -> str:
    """Return the finding that a folder's name ends in behind a number, such as positive of study1_positive."""
    *others, last = words_of(name) or [""]
    return last if last in FINDINGS and any(word.isdigit() for word in others) else ""


def _check_findings(tree: FileTree, findings: dict[str, set[str]]) -> None:
    seen: Collection[str] = set().union(*findings.values()) - {""}
    if len(seen) > 1 and sum(len(names - {""}) > 1 for names in findings.values()) > 1:
        raise DataError(
            f"{tree.root}: folders below '{min(findings)}' and others end in {' and '.join(sorted(seen))}: if "
            "these are the classes, a table (csv:) names the class of each image; if the outer folders are, "
            f"`?{SUBGROUPS}=` behind the source says so"
        )

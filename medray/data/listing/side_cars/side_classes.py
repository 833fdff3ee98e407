"""Find folders that stand where those of classes do and hold the masks of the other folders' images."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from medray.data.listing.exclude import normalised
from medray.data.listing.folders.folder_image import FolderImage
from medray.data.listing.side_cars.check_side_cars import KEEP, SideCar, keeps_side_cars, side_car_error, stem_of
from medray.data.listing.side_cars.side_words import (
    image_keys,
    image_words,
    is_image_name,
    is_side_name,
    key_of,
    side_positions,
    split_words,
)
from medray.data.source import SIDE_CARS, Source
from medray.errors import DataError, printable
from medray.text import first_names

SHARE = 0.8  # of a folder's files must be named as images of other folders
LARGEST_OVERLAP = 0.1  # of the names in class folders that are told apart by names, not numbered each from 1

Keys = Mapping[str, str]  # an image's path by its key


def check_side_classes(images: Sequence[FolderImage], root: Path, source: Source) -> list[str]:
    """Refuse folders of masks beside those of classes, and return a note on those that the source keeps.

    A folder is one if its name has a side word, its files have the names of other folders' images, and these are
    not numbered alike in each class: the other folder's name is that of images as such ("images"), or the same
    without the word ("benign" and "benign_mask"); or folders of the classes lie below it; or its files are named
    as those of several classes that share no names. The error does not name the source's path.

    Raises:
        SideCarError: there is one, and two classes are left without it.
        DataError: there is one, and fewer are left.
    """
    keep = keeps_side_cars(source)
    if not any(is_side_name(label) for label in {image.label for image in images}):
        return []
    keys: dict[str, dict[str, str]] = defaultdict(dict)
    for image in images:
        keys[image.label][_key(image)] = image.path
    classes = {label: members for label, members in keys.items() if not is_side_name(label)}
    side_cars = []
    for label in [label for label in keys if label not in classes]:
        members = [image for image in images if image.label == label]
        side_cars += _of_classes(label, members, classes)
    if not side_cars:
        return []
    names = sorted({side_car.folder for side_car in side_cars})
    left = sorted({*keys} - {*names})
    example = f"'{printable(side_cars[0].path)}' and '{printable(side_cars[0].image)}'"
    folders = f"'{first_names(names)}' beside '{first_names(left)}'"
    problem = (
        f"{folders} look like masks of images, and not like classes: their files have the same names, as {example}"
    )
    if keep:
        return [f"kept by {SIDE_CARS}: {problem}"]
    if len(left) >= 2:
        raise side_car_error(problem, side_cars, [image.path for image in images], source)
    below = {image.below[0] for image in images if image.label == left[0] and len(image.below) > 1}
    way = "name their classes in a table (`csv:PATH`), or put images into folders of classes"
    if len(below) > 1 and all(image.split is None for image in images):
        way = f"`folder:{root / left[0]}` has folders of classes"
    raise DataError(f"{root}: {problem}; {way}; `?{SIDE_CARS}={KEEP}` keeps them as classes")


def _of_classes(label: str, members: Sequence[FolderImage], classes: Mapping[str, Keys]) -> list[SideCar]:
    """Return the files of a folder as side-cars if they are those of images in other folders."""

    def pairs(others: Keys) -> list[SideCar]:
        images = [next((others[key] for key in _keys(image) if key in others), None) for image in members]
        return [
            SideCar(i.path, other, label) for i, other in zip(members, images, strict=True) if other is not None
        ]

    def fit(side_cars: list[SideCar]) -> bool:
        return len(side_cars) >= SHARE * len(members)

    for name, others in classes.items():
        if (is_image_name(name) or _plain(name) == _plain(label)) and fit(pairs(others)):
            return _all(members, pairs(others), label)
    prefixed = {_with_class(key, name): path for name, others in classes.items() for key, path in others.items()}
    if fit(pairs(prefixed)):
        return _all(members, pairs(prefixed), label)
    together = {key: path for others in classes.values() for key, path in others.items()}
    overlap = 1 - len(together) / max(sum(map(len, classes.values())), 1)
    matched = pairs(together)
    spanned = {path.image.rpartition("/")[0] for path in matched}
    if len(spanned) > 1 and overlap <= LARGEST_OVERLAP and fit(matched):
        return _all(members, matched, label)
    return []


def _all(members: Sequence[FolderImage], matched: list[SideCar], label: str) -> list[SideCar]:
    """Return the matched files first, and then the rest of the folder, which is left out with them."""
    paths = {side_car.path for side_car in matched}
    return [*matched, *(SideCar(i.path, "", label) for i in members if i.path not in paths)]


def _where(image: FolderImage) -> str:
    return f"{image.fold}/{image.split}/"


def _key(image: FolderImage) -> str:
    """Return the key of an image: fold and split, the folders below its class, and its name."""
    folders = "".join(f"{normalised(name)}/" for name in image.below[:-1])
    return f"{_where(image)}{folders}{key_of(split_words(stem_of(image.path)))}"


def _keys(image: FolderImage) -> list[str]:
    """Return the keys that an image may have whose mask this is."""
    start = _key(image).rpartition("/")[0]
    return [_key(image), *(f"{start}/{key}" for key in image_keys(split_words(stem_of(image.path))))]


def _with_class(key: str, name: str) -> str:
    fold, split, rest = key.split("/", 2)
    return f"{fold}/{split}/{normalised(name)}/{rest}"


def _plain(name: str) -> str:
    """Return a key of a class's name without side words and words for images."""
    words = split_words(name)
    extra = {*side_positions(words), *image_words(words)}
    return key_of(tuple(word for at, word in enumerate(words) if at not in extra))

"""Find side-cars: masks, overlays, annotations and thumbnails that lie among the images that they were made from.

They are recognised by names: a file's is another's and a side word, or it lies in a folder of such a word beside
the image of its name. A mask that is taken for an image tells its class by what was drawn, so the scores of a
study would be far too good.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from medray.data.listing.exclude import MASKS, hint_to_exclude, normalised
from medray.data.listing.file_tree import image_suffix
from medray.data.listing.side_cars.patterns import find_patterns
from medray.data.listing.side_cars.side_words import (
    image_keys,
    image_words,
    is_side_name,
    key_of,
    may_be_side_name,
    side_positions,
    split_words,
)
from medray.data.source import EXCLUDE, SIDE_CARS, Source
from medray.errors import DataError, SideCarError, printable, unknown_choice_line

KEEP = "keep"
LEAST_TWICE, TWICE_SHARE = (
    5,
    0.9,
)  # images of a folder that stand there in two formats, and their share of a format


@dataclass(frozen=True)
class SideCar:
    """The paths of a file and of the image that it belongs to; `folder` is the folder that says so, if one."""

    path: str
    image: str
    folder: str = ""


def stem_of(path: str) -> str:
    """Return the name of a file without the suffix of an image."""
    name = path.rpartition("/")[2]
    return name[: len(name) - len(image_suffix(name))]


def find_side_cars(paths: Iterable[str], level: int = 0) -> list[SideCar]:
    """Return the side-cars among the paths, in their order; the first `level` folders are those of the layout.

    Only files of one folder are compared, and those of a folder of masks (or of another side word) below the
    layout with those beside that folder. Below class folders masks need no image.
    """
    folders: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        folders[path.rpartition("/")[0]].append(path)
    side_folders = {folder: _side_folder(folder, level) for folder in folders}
    outside: dict[str, dict[str, str]] = defaultdict(dict)  # by the folder above: an image by its key
    for above in {above for above, _ in filter(None, side_folders.values())}:
        for folder, members in folders.items():
            if side_folders[folder] is None and f"{folder}/".startswith(above):
                outside[above] |= _by_key(members)
    side_cars: list[SideCar] = []
    for folder, members in folders.items():
        side_folder = side_folders[folder]
        if side_folder is None:
            side_cars += _in_folder(members)
            continue
        above, name = side_folder
        images = {path: _image_of(path, outside[above], itself=True) for path in members}
        is_mask = level > 0 and normalised(name) in MASKS  # nobody can have meant them as images
        side_cars += [SideCar(path, image or "", name) for path, image in images.items() if image or is_mask]
        if not is_mask:
            side_cars += _in_folder([path for path, image in images.items() if image is None])
    return side_cars


def _side_folder(folder: str, level: int) -> tuple[str, str] | None:
    """Return the path above the outermost folder of a side word, ending in "/" unless empty, and its name."""
    parts = folder.split("/") if folder else []
    for at in range(level, len(parts)):
        if is_side_name(parts[at]):
            return "".join(f"{part}/" for part in parts[:at]), parts[at]
    return None


def _in_folder(paths: Sequence[str]) -> list[SideCar]:
    """Return the side-cars among the files of one folder."""
    if not any(may_be_side_name(path.rpartition("/")[2]) for path in paths):
        return _in_two_formats(paths)
    images = _by_key(paths)
    pairs = [SideCar(path, image) for path in paths if (image := _image_of(path, images)) is not None]
    return pairs or _in_two_formats(paths)


def _by_key(paths: Sequence[str]) -> dict[str, str]:
    """Return the paths by the keys of their names, and those of img_1 or 1_raw by that of 1 too, if it is free."""
    words = {path: split_words(stem_of(path)) for path in paths}
    short: dict[str, str] = {}
    for path, name in words.items():
        at_images = image_words(name) if not side_positions(name) else []
        for removed in ([at_images] if at_images else []) + [[at] for at in at_images]:
            short.setdefault(key_of(tuple(word for at, word in enumerate(name) if at not in removed)), path)
    short.pop("", None)
    return {**short, **{key_of(name): path for path, name in words.items()}}


def _image_of(path: str, images: Mapping[str, str], *, itself: bool = False) -> str | None:
    """Return the image, by its key, that a file belongs to; that of its own key too where it lies elsewhere."""
    if not itself and not may_be_side_name(path.rpartition("/")[2]):
        return None
    words = split_words(stem_of(path))
    if itself and words and key_of(words) in images:
        return images[key_of(words)]
    keys = image_keys(words)
    return next((images[key] for key in keys if key in images and images[key] != path), None)


def _in_two_formats(paths: Sequence[str]) -> list[SideCar]:
    """Return the files of one format if most have a file of the same stem in another: masks, or images twice."""
    stems: dict[str, dict[str, str]] = defaultdict(dict)  # by suffix: the path by its stem
    if len({image_suffix(path) for path in paths}) < 2:
        return []
    for path in paths:
        stems[image_suffix(path)][normalised(stem_of(path))] = path
    for suffix, members in sorted(stems.items(), key=lambda item: (len(item[1]), item[0] != ".png")):
        for other, images in stems.items():
            shared = members.keys() & images.keys()
            is_most = LEAST_TWICE <= len(shared) >= TWICE_SHARE * len(members)
            if other != suffix and is_most:
                return [SideCar(members[stem], images[stem]) for stem in sorted(shared)]
    return []


def keeps_side_cars(source: Source) -> bool:
    """Return whether the source's option says that side-cars are images too.

    Raises:
        DataError: the option has another value.
    """
    value = source.options.get(SIDE_CARS)
    if value not in (None, KEEP):
        raise DataError(unknown_choice_line("value of side_cars", value, (KEEP,)), file=printable(str(source)))
    return value == KEEP


def check_side_cars(
    paths: Sequence[str], source: Source, *, level: int = 0, labels: Sequence[object] = ()
) -> list[str]:
    """Refuse side-cars among `paths`, and return a note on those that the source keeps.

    With `labels` only files of one label are compared. The error does not name the source's path.

    Raises:
        SideCarError: there is one, and the source does not keep it.
        DataError: the option `side_cars` has another value than keep.
    """
    keep = keeps_side_cars(source)
    groups: dict[object, list[str]] = defaultdict(list)
    for path, label in zip(paths, labels or [None] * len(paths), strict=True):
        groups[label].append(path)
    side_cars = [side_car for members in groups.values() for side_car in find_side_cars(members, level)]
    if not side_cars:
        return []
    first, many = side_cars[0], len(side_cars) > 1
    example = f"'{printable(first.path)}' beside '{printable(first.image)}'"
    count = f"{len(side_cars)} images lie" if many else "an image lies"
    if first.folder:
        problem = f"{count} in folders of masks or the like, as '{printable(first.path)}'"
    elif stem_of(first.image) == stem_of(first.path):
        problem = f"{count} beside {'ones' if many else 'one'} of the same name in another format, as {example}"
    else:
        problem = f"{count} beside the {'images' if many else 'image'} that {'they are' if many else 'it is'} "
        problem += f"made from (masks, labels, overlays, thumbnails), as {example}"
    if keep:
        return [f"kept by {SIDE_CARS}: {problem}"]
    raise side_car_error(problem, side_cars, paths, source)


def side_car_error(
    problem: str, side_cars: Sequence[SideCar], paths: Sequence[str], source: Source
) -> SideCarError:
    """Return the error of side-cars among `paths`, with the option that leaves them out."""
    option, patterns = source.options.get(EXCLUDE), find_patterns(side_cars, paths)
    way = hint_to_exclude(*patterns, option=option) if patterns else "; move them to a folder elsewhere"
    return SideCarError(
        f"{problem}{way}; `?{SIDE_CARS}={KEEP}` keeps them as images",
        exclude=",".join([*([option] if option else []), *patterns]) if patterns else "",
        count=len(side_cars),
        example=side_cars[0].path,
    )

"""Find the files of ids whose numbers a spreadsheet wrote anew: zeros lost or added, 1.0, 1.00E+05."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from medray.data.listing.exclude import MASKS
from medray.data.listing.file_tree import image_suffix
from medray.data.listing.tables.id_numbers import read_rounded
from medray.data.source import PATTERN, escaped
from medray.errors import DataError, printable
from medray.text import plural

_ZEROS = re.compile(r"(?<![0-9])(?<![0-9][.,])0+(?=[0-9])")  # not those of a fraction: 1.05 is not 1.5
LAST_NUMBER = re.compile(r"(.*?)([0-9]+)([^0-9]*)", re.DOTALL)


def find_renumbered(
    cells: Collection[str], numbers: Mapping[str, int], images: Sequence[str], named: Collection[str]
) -> dict[str, str]:
    """Return the file of each cell that differs from a file's name only in how a number is written.

    `cells` are those that name no file, `numbers` the numbers of the column, by cell, `named` the files that other
    cells name as they are. Zeros before a number do not count, and 1.0 is 1. A cell that is just a number may also
    be the number in a name like those that are named, as 7 in `scan 07.png` where a cell is `scan 10.png`. A file
    that is named is no other cell's, but one's that writes the number of the name in another way, as 1.0 beside 1.

    Raises:
        DataError: a cell may be several files.
    """
    with_digits = [cell for cell in dict.fromkeys(cells) if re.search("[0-9]", cell)]
    keys = {image: _key(image) for image in images} if with_digits else {}
    by_name: dict[str, list[str]] = defaultdict(list)
    for image, key in keys.items():
        by_name[key[-1]].append(image)
    matches = (LAST_NUMBER.fullmatch(keys[image][-1]) for image in named if image in keys)
    forms = sorted({("", ""), *((match[1], match[3]) for match in matches if match)})
    others = {*images} - {*named}
    files = {}
    for cell in with_digits:
        number, rounded, parts = numbers.get(cell), read_rounded(cell), _key(cell)
        if rounded:
            possible = _rounded_alike(*rounded, keys, forms)
        elif number is not None:
            possible = [image for before, after in forms for image in by_name.get(f"{before}{number}{after}", ())]
        else:
            possible = [
                image
                for image in by_name.get(parts[-1], ())
                if keys[image][-len(parts) :] == parts and image_suffix(cell) in ("", image_suffix(image))
            ]
        if {*MASKS}.isdisjoint(parts[:-1]):
            possible = [image for image in possible if {*MASKS}.isdisjoint(keys[image][:-1])]
        same = [image for image in possible if not cell.isdecimal() and _stem(image) == str(number)]
        possible = same or [image for image in possible if image in others or rounded]
        if len(possible) > 1:
            raise DataError(_ambiguous_line(cell, number, possible))
        if same or (possible and possible[0] in others):
            files[cell] = possible[0]
    return files


def _rounded_alike(
    number: int, step: int, keys: Mapping[str, tuple[str, ...]], forms: Collection[tuple[str, str]]
) -> list[str]:
    """Return the images of all numbers that are rounded to one, none if that is not among them."""
    of_image = {
        image: int(match[2])
        for image, key in keys.items()
        if (match := LAST_NUMBER.fullmatch(key[-1])) and match.group(1, 3) in forms
    }
    alike = [image for image, other in of_image.items() if 2 * abs(other - number) <= step]
    return alike if any(of_image[image] == number for image in alike) else []


def note_renumbered(column: str, files: Mapping[str, str]) -> list[str]:
    """Return a note on the files that `find_renumbered` took, if there are any."""
    if not files:
        return []
    cell, image = next(iter(files.items()))
    return [
        f"files: {plural(len(files), 'cell')} of column '{column}', not here as written, by their numbers, as "
        f"'{printable(image)}' for '{printable(cell)}'"
    ]


def _ambiguous_line(cell: str, number: int | None, images: Sequence[str]) -> str:
    """Return the line that refuses a cell of several files, with the patterns that select one of them."""
    patterns = []
    for image in images if number is not None else ():
        folder, _, name = image.rpartition("/")
        match = LAST_NUMBER.fullmatch(_stem(image))
        if match:
            width = f":0{len(match[2])}d" if len(match[2]) > 1 else ":d"
            file = f"{match[1]}{{{width}}}{match[3]}{name[len(_stem(image)) :]}"
            patterns.append(f"`?{PATTERN}={escaped(printable(f'{folder}/{file}' if folder else file))}`")
    ways = " or ".join(patterns[:3])
    advice = f"{ways} behind the source says which" if ways else "write the names of the files into the column"
    first, second = map(printable, images[:2])
    return f"'{printable(cell)}' may be any of {len(images)} files, '{first}' or '{second}'; {advice}"


def _stem(image: str) -> str:
    name = image.rpartition("/")[2]
    return name[: len(name) - len(image_suffix(name))]


def _key(path: str) -> tuple[str, ...]:
    """Return the parts of a path as they are compared: in lower case, without suffix and zeros before numbers."""
    name = unicodedata.normalize("NFC", path.replace("\\", "/")).lower()
    name = _ZEROS.sub("", name.removesuffix(image_suffix(name)))
    return tuple(part for part in name.split("/") if part not in ("", ".")) or ("",)

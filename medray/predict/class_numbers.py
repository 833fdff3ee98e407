"""The number that each class has as a label: what a table of indices must hold to be compared with the labels."""

import re

from medray.data.source import parse_source
from medray.ensemble.manifest import Manifest
from medray.errors import DataError

_WHOLE = re.compile(r"([+-]?[0-9]{1,18})(\.0+)?")  # 3, or 3.0 as pandas writes it where a cell is blank


def class_numbers(manifest: Manifest) -> list[int]:
    """Return the number of each class.

    Arrays hold positions among the class names. Files have a class's name, in a table or as a folder: where all
    names are different whole numbers these are the labels, in whatever order, else the positions are.
    """
    names, positions = manifest.class_names, list(range(len(manifest.class_names)))
    try:
        listed = parse_source(manifest.data.source).is_listed
    except DataError:  # a data set that was made in Python
        listed = False
    matches = [_WHOLE.fullmatch(name) for name in names]
    numbers = [int(match[1]) for match in matches if match]
    return numbers if listed and len(set(numbers)) == len(names) else positions


def describe_numbers(manifest: Manifest) -> str:
    """Return a line that says which number stands for which class."""
    pairs = zip(class_numbers(manifest), manifest.class_names, strict=True)
    listed = ", ".join(f"{number}" if str(number) == name else f"{number} {name}" for number, name in pairs)
    return f"class numbers: {listed}"

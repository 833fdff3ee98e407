"""Read a cell that is written as a list of labels, as pandas, JSON and numpy write them."""

import ast
import json
import re
import warnings
from collections.abc import Collection

from medray.data.listing.tables.words import plain_number
from medray.errors import DataError, printable

_WRAPPED = re.compile(
    r"(?:np\.|numpy\.|pd\.)?(?:array|list|set|frozenset|tuple|Index|Series)\((.*?)(?:,\s*dtype=[^)]*)?\)",
    re.DOTALL,
)
_BRACKETS = {"[": "]", "(": ")", "{": "}"}
_QUOTED = r"""(?:np\.str_\()?("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\)?"""
_NUMBER = r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))"
_WORD = r"(True|False|true|false|None|null|nan|NaN)"
_ITEM = re.compile(rf"\s*(?:{_QUOTED}|{_NUMBER}|{_WORD})(?=[\s,]|$)\s*,?", re.DOTALL)
_BEGUN = re.compile(
    r"""[({]+\s*["'].*[\])}]\)?|\[+\s*["'].*|\[[0-9.,\s]*\.\.\.[0-9.,\s]*\]""", re.DOTALL
)  # or cut by numpy
_PLAIN = re.compile(r"\[([^\[\](){}'\"]*)\]", re.DOTALL)
_BLANKS = frozenset({"None", "null", "nan", "NaN"})
LONGEST = 10_000  # characters


def read_list(cell: str) -> tuple[str, ...] | None:
    """Return the labels of a list of quoted texts or numbers, None for a cell that is no list.

    Items stand between square, round or curly brackets with commas or, as numpy writes them, spaces; None and nan
    are no labels. Nothing is evaluated but the quoted texts.

    >>> read_list("['a', 'b, c']"), read_list("array(['a' 'b'], dtype=object)"), read_list("[0 1]")
    (('a', 'b, c'), ('a', 'b'), ('0', '1'))
    >>> read_list("[]"), read_list("[18F]FDG"), read_list("(1)")
    ((), None, None)
    """
    wrapped = _WRAPPED.fullmatch(cell)
    text = (wrapped[1] if wrapped else cell).strip()
    if wrapped and not text:
        return ()
    if len(text) < 2 or len(text) > LONGEST or _BRACKETS.get(text[0]) != text[-1]:
        return None
    inner, position, items = text[1:-1].strip(), 0, []
    if text[0] == "(" and inner and "," not in inner:
        return None  # as in Python, where a tuple of one needs a comma
    while position < len(inner):
        match = _ITEM.match(inner, position)
        if not match:
            return None
        quoted, number, word = match.groups()
        if quoted:
            items.append(_unquote(quoted))
        elif number:
            items.append(plain_number(number.strip(".")) or number)
        elif word not in _BLANKS:
            items.append(word)
        position = match.end()
    return tuple(item.strip() for item in items if item.strip())


def _unquote(text: str) -> str:
    """Return a quoted text as JSON or Python reads it, or else as it stands between the quotes."""
    try:
        return str(json.loads(text))
    except ValueError:
        pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return str(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return text[1:-1]


def read_lists(cells: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return the labels of the cells that are lists, of all distinct `cells` of a column that are not empty.

    Lists of numbers, and of words without quotes, are such only if all cells are: "[1]" may be a class.

    Raises:
        DataError: a cell begins as a list and can't be read as one, or the lists are rows of 0 and 1 or of shares,
            each for one class without a name.
    """
    lists = {cell: items for cell in cells if (items := read_list(cell)) is not None}
    for cell in cells:
        if cell not in lists and _BEGUN.fullmatch(cell):
            raise DataError(
                f"'{printable(cell)}' looks like a list, and can't be read as one; `?separator=none` behind the "
                "source reads each cell as one label"
            )
    if len(lists) == len(cells):
        _check_named(lists)
        return lists
    plain = {cell: match[1] for cell in cells if (match := _PLAIN.fullmatch(cell))}
    if len(plain) == len(cells) and any("," in text for text in plain.values()):
        return {cell: tuple(filter(None, map(str.strip, text.split(",")))) for cell, text in plain.items()}
    quoted = re.compile(r"[\"']")
    return {cell: items for cell, items in lists.items() if not items or quoted.search(cell)}


def _check_named(lists: dict[str, tuple[str, ...]]) -> None:
    """Check that the lists do not hold a number for each class, in an order that nothing names.

    Raises:
        DataError: they do.
    """
    lengths = {len(items) for items in lists.values()}
    values = {item.lower() for items in lists.values() for item in items}
    shares = all(re.fullmatch(r"0|1|0\.[0-9]+|true|false", value) for value in values)
    if len(lengths) == 1 and lengths.pop() > 1 and shares:
        cell = next(iter(lists))
        raise DataError(
            f"'{printable(cell)}' looks like a number for each class, and nothing says which class is which: "
            "write a column for each, with its name above it, or the names of the classes that an image has"
        )

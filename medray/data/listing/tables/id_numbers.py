"""Read the whole numbers that a spreadsheet made of ids: 007, 1.0, 1,234, and rounded ones, 1.00E+05."""

import re
from collections.abc import Collection
from decimal import Decimal

from medray.text import plural

_MARKED = re.compile(r"[0-9][0-9.,]{0,23}")
_SPACED = re.compile(r"[0-9]{1,3}(?:[ '\u2019\u00a0\u202f][0-9]{3}){1,5}")  # 1 234 and 1'234
_WHOLE = re.compile(r"([0-9]{1,18})(?:[.,]0*)?")
_POWER = re.compile(r"[0-9](?:[.,][0-9]{1,15})?[eE]\+?[0-9]{1,2}")


def read_numbers(cells: Collection[str]) -> dict[str, int]:
    """Return the whole number that each cell of a column means; cells that mean none are left out.

    Whether `1,000` is one or a thousand is read from the column: it is one where all of its numbers end so.

    >>> read_numbers(["007", "12.0", "1,234", "1,000", "2.5", "1E5"])
    {'007': 7, '12.0': 12, '1,234': 1234, '1,000': 1000}
    >>> read_numbers(["1,000", "2,000"])
    {'1,000': 1, '2,000': 2}
    """
    marked = [cell for cell in cells if _MARKED.fullmatch(cell)]
    thousands = "".join(mark for mark in ".," if _divides_thousands(marked, mark))
    numbers = {}
    for cell in cells:
        plain = re.sub("[^0-9]", "", cell) if _SPACED.fullmatch(cell) else cell
        plain = re.sub(f"[{thousands}]", "", plain) if thousands else plain
        if match := _WHOLE.fullmatch(plain):
            numbers[cell] = int(match[1])
    return numbers


def _divides_thousands(marked: Collection[str], mark: str) -> bool:
    """Return whether the `mark`, a point or comma, divides thousands in a column's numbers."""
    using = [cell for cell in marked if mark in cell]
    grouped = all(re.fullmatch(rf"[0-9]{{1,3}}(?:\{mark}[0-9]{{3}})+(?:[.,]0*)?", cell) for cell in using)
    fractions = all(re.fullmatch(rf"[0-9]+\{mark}0+", cell) for cell in using)
    return bool(using) and grouped and (not fractions or len(using) < len(marked))


def read_rounded(cell: str) -> tuple[int, int] | None:
    """Return the whole number of a cell such as `1.23E+05`, and the step of its last digit; None for another cell.

    The id was any number that is rounded to it, half a step above or below.

    >>> read_rounded("1.23E+05")
    (123000, 1000)
    """
    value = Decimal(cell.replace(",", ".")) if _POWER.fullmatch(cell) else Decimal("0.5")
    if value != int(value):
        return None
    return int(value), 10 ** max(0, int(value.as_tuple().exponent))


def note_rounded(column: str, absent: Collection[str]) -> list[str]:
    """Return a note on the cells without a file that a spreadsheet has rounded to a power of ten, if any."""
    rounded = [cell for cell in dict.fromkeys(absent) if read_rounded(cell)]
    if not rounded:
        return []
    return [
        f"column '{column}': {plural(len(rounded), 'number')} such as '{rounded[0]}' may be rounded by a "
        "spreadsheet: write the column as text there, and save the table again"
    ]

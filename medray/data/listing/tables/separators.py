"""Divide the cells of a label's column that name several labels, by a separator that is named or can be told."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

from medray.data.listing.folder_names import tidy
from medray.data.source import SEPARATOR, escaped
from medray.errors import DataError, printable

NO_SEPARATOR = "none"
_CLEAR, _COMMAS = "|;\uff1b\n\t", ",\uff0c\u3001"  # those that are guessed, with the full-width ones
_RARE = (" ", "/", "+", "&", "_", " and ")  # those that are only noted: names of classes hold them


def named_separators(option: str | None) -> tuple[str, ...] | None:
    """Return the separator that an option names, none for an empty one or "none"; None if it is to be guessed."""
    if option is None:
        return None
    return () if option.casefold() in ("", NO_SEPARATOR) else (option,)


def divide(cell: str, separators: Sequence[str]) -> tuple[str, ...]:
    """Return the parts of a cell that are not blank; without separators there is one."""
    parts = re.split("|".join(map(re.escape, separators)), cell) if separators else [cell]
    return tuple(part.strip() for part in parts if part.strip())


def guess_separators(lines: Mapping[str, int]) -> tuple[str, ...]:
    """Return the separators of a column's distinct cells, given with the line of each; empty if none holds one.

    A part is a label if it is a cell by itself, or stands both at the start of a cell and further on. A bar, a
    semicolon or a line end alone divides cells if some part is a label. A comma, which names of classes hold too,
    and several separators do so only if all parts after the first of each cell are labels.

    Raises:
        DataError: cells may be one label as well as several.
    """
    kinds = tuple(separator for separator in _CLEAR + _COMMAS if any(separator in cell for cell in lines))
    several = {cell: divide(cell, kinds) for cell in lines if any(kind in cell for kind in kinds)}
    clear = len(kinds) == 1 and kinds[0] in _CLEAR
    unsure = _never_alone(lines, several)
    parts = {_folded(part) for cell_parts in several.values() for part in cell_parts}
    later = {_folded(part) for cell_parts in several.values() for part in cell_parts[1:]}
    if not unsure & later or (clear and len(unsure) < len(parts)):
        return kinds
    if len(kinds) > 1:
        examples = dict.fromkeys(next(cell for cell in several if kind in cell) for kind in kinds)
        shown = ", ".join(f"{_quoted(cell)} (line {lines[cell]})" for cell in examples)
        raise DataError(
            f"cells hold {' and '.join(map(_quoted, kinds))}, such as {shown}: {', '.join(map(_way, kinds))} "
            f"behind the source divides them at one of these, {_way(NO_SEPARATOR)} reads each as one label"
        )
    cell, part = next((c, part) for c, named in several.items() for part in named[1:] if _folded(part) in unsure)
    raise DataError(
        f"line {lines[cell]}: {_quoted(cell)} may be one label or several, "
        f"{' and '.join(map(_quoted, several[cell]))} ({_quoted(part)} is in no cell by itself): "
        f"{_way(NO_SEPARATOR)} behind the source reads it as one, {_way(kinds[0])} as several"
    )


def _never_alone(lines: Collection[str], several: Mapping[str, Sequence[str]]) -> set[str]:
    """Return the parts of cells that are no cell by themselves, and stand only at the start or only further on."""
    positions: dict[str, set[bool]] = defaultdict(set)
    for parts in several.values():
        for index, part in enumerate(parts):
            positions[_folded(part)] |= {index > 0} if len(parts) > 1 else {False, True}
    alone = {_folded(cell) for cell in lines if cell not in several}
    return {part for part, ends in positions.items() if part not in alone and len(ends) < 2}


def note_separators(counts: Counter[str], separators: Sequence[str], *, named: bool) -> list[str]:
    """Return a note on the cells that separators divide, given with their numbers of rows.

    Without one, the note is on cells that another character would divide into cells of the same column.
    """
    several = [cell for cell in counts if any(separator in cell for separator in separators)]
    listed = " and ".join(map(_quoted, separators))
    if several:
        rows = sum(counts[cell] for cell in several)
        keep = "" if named else f"; {_way(NO_SEPARATOR)} behind the source reads such a cell as one label"
        return [f"divided at {listed}: rows: {rows}, such as {_quoted(several[0])}{keep}"]
    if named:
        return [f"no cell holds the separator {listed}"] if separators else []
    cells = {_folded(cell) for cell in counts}
    for rare in _RARE:
        for cell in counts:
            parts = divide(cell, (rare,))
            if len(parts) > 1 and all(_folded(part) in cells for part in parts):
                return [f"{_quoted(cell)} is read as one label: {_way(rare)} behind the source divides it"]
    return []


def _folded(label: str) -> str:
    return tidy(label).casefold()


def _way(separator: str) -> str:
    return f"`?{SEPARATOR}={escaped(separator)}`"


def _quoted(text: str) -> str:
    return f"'{printable(text)}'"

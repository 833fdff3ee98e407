"""Decide what uncertain labels become: -1, "?", maybe and their like, in columns of classes or a label's cells."""

from collections.abc import Mapping

from medray.data.listing.tables.words import NEGATIVE, POSITIVE, UNCERTAIN, plain_number, read_answer
from medray.data.source import BLANKS, escaped
from medray.data.source import UNCERTAIN as OPTION
from medray.errors import DataError, printable, unknown_choice_line

IGNORE = "ignore"
CHOICES = (IGNORE, NEGATIVE, POSITIVE)
_EFFECTS = {IGNORE: "ignored", NEGATIVE: "read as no", POSITIVE: "read as yes"}


def uncertain_option(options: Mapping[str, str]) -> str | None:
    """Return what uncertain labels become, one of CHOICES; None if the options do not say.

    Raises:
        DataError: the option is none of these.
    """
    choice = options.get(OPTION)
    if choice is not None and choice not in CHOICES:
        raise DataError(f"option '{OPTION}': {unknown_choice_line('choice', printable(choice), CHOICES)}")
    return choice


def note_uncertain(
    where: str, cells: Mapping[str, list[int]], choice: str | None, other_ways: str = ""
) -> list[str]:
    """Return a note on the uncertain `cells`, each with the lines of its rows; `where` names the columns.

    Raises:
        DataError: there are some, and no choice was made.
    """
    counts = ", ".join(
        f"'{printable(cell)}' (rows: {len(set(n))}, the first line {n[0]})" for cell, n in cells.items()
    )
    if cells and choice is None:
        raise DataError(
            f"uncertain labels among yes and no in {where}: {counts}; behind the source `?{OPTION}={IGNORE}` "
            f"leaves such images out, or with `task: several` such labels, `?{OPTION}={NEGATIVE}` reads them as "
            f"no (where -1 means no, too), `?{OPTION}={POSITIVE}` as yes{other_ways}"
        )
    if choice is None:
        return []
    return [f"uncertain labels, {_EFFECTS[choice]}: {counts or 'there are none'}"]


def resolve_uncertain(
    column: str, cells: Mapping[int, str], options: Mapping[str, str], blanks_read: tuple[str, ...]
) -> tuple[dict[int, str], set[int], list[str]]:
    """Return a label column's `cells` by line with uncertain ones resolved, the lines to ignore, and notes.

    In a column of yes and no these are -1 and words such as "?" and maybe. Elsewhere a single negative number must
    be explained, and maybe is a class, with a note.

    Raises:
        DataError: there are uncertain cells, and the options do not say what they become.
    """
    choice, column = uncertain_option(options), printable(column)
    lines: dict[str, list[int]] = {}
    for line, cell in cells.items():
        if cell:
            lines.setdefault(cell, []).append(line)
    answers = {cell: read_answer(cell, frozenset()) for cell in lines}
    unsure = {cell: rows for cell, rows in lines.items() if answers[cell] == UNCERTAIN}
    binary = None not in answers.values() and len(unsure) < len(lines)
    # -1 and 1 alone are the two classes, as where a margin is trained; with blank cells -1 may be a third answer.
    signs = {plain_number(cell) for cell in lines} == {"-1", "1"} and all(cells.values())
    if choice is None and (signs or BLANKS in options):
        return dict(cells), set(), [_as_class(column, unsure)] if unsure else []
    if choice is None and not (binary and unsure):
        check_negative(column, lines, blanks_read)
        note = f"{_as_class(column, unsure)}; `?{OPTION}={IGNORE}` behind the source leaves its images out"
        return dict(cells), set(), [note] if unsure else []
    words, keep = (escaped(",".join(names)) for names in ([*unsure, *blanks_read], blanks_read))
    other_ways = f", `?{BLANKS}={words}` as no label, `?{BLANKS}={keep}` as a class"
    notes = note_uncertain(f"column '{column}'", unsure, choice, other_ways)
    if choice == IGNORE:
        return dict(cells), {line for rows in unsure.values() for line in rows}, notes
    if unsure and not binary:
        raise DataError(
            f"option '{OPTION}': column '{column}' has other words than yes and no, so that its uncertain labels "
            f"({_listed(unsure)}) can't be {choice}; valid here: {IGNORE}"
        )
    same = next((cell for cell in lines if answers[cell] == choice), None)
    word = same or (str(int(choice == POSITIVE)) if all(map(plain_number, lines)) else str(choice))
    return {line: word if cell in unsure else cell for line, cell in cells.items()}, set(), notes


def check_negative(column: str, lines: Mapping[str, list[int]], blanks_read: tuple[str, ...]) -> None:
    """Check that a label column, given by its cells with their lines, has no single negative number.

    Raises:
        DataError: it has, such as -1 or -99 beside 0, 1 and 2, which often says that there is no label.
    """
    negative = [cell for cell in lines if (plain_number(cell) or "").startswith("-")]
    if len({plain_number(cell) for cell in negative}) != 1 or len(negative) == len(lines):
        return
    words, keep = (escaped(",".join(names)) for names in ([*negative, *blanks_read], blanks_read))
    ignore = f"`?{OPTION}={IGNORE}` as uncertain, so that its images are left out, "
    raise DataError(
        f"column '{column}' holds {_listed({cell: lines[cell] for cell in negative})}, the only negative number, "
        f"which may be no class: behind the source `?{BLANKS}={words}` reads it as no label, "
        f"{ignore if plain_number(negative[0]) == '-1' else ''}`?{BLANKS}={keep}` as a class"
    )


def _as_class(column: str, cells: Mapping[str, list[int]]) -> str:
    return f"column '{column}': {_listed(cells)} is read as a class"


def _listed(cells: Mapping[str, list[int]]) -> str:
    return ", ".join(f"'{printable(cell)}' (rows: {len(rows)})" for cell, rows in cells.items())

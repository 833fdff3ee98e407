"""Decide what uncertain labels become: -1, "?", maybe and their like, in columns of classes or a label's cells."""

import re
from collections.abc import Mapping

from medray.data.listing.table_words import NEGATIVE, POSITIVE, UNCERTAIN, plain_number, read_answer
from medray.data.source import BLANKS, escaped
from medray.data.source import UNCERTAIN as OPTION
from medray.errors import DataError, printable, unknown_choice_line

IGNORE = "ignore"
CHOICES = (IGNORE, NEGATIVE, POSITIVE)
_LEFT_OUT = {IGNORE: "images with one are left out", NEGATIVE: "read as no", POSITIVE: "read as yes"}


def uncertain_option(options: Mapping[str, str]) -> str | None:
    """Return what uncertain labels become, one of CHOICES; None if the options do not say.

    Raises:
        DataError: the option is none of these.
    """
    choice = options.get(OPTION)
    if choice is not None and choice not in CHOICES:
        raise DataError(f"option '{OPTION}': {unknown_choice_line('choice', printable(choice), CHOICES)}")
    return choice


def note_uncertain(where: str, cells: Mapping[str, list[int]], choice: str | None) -> list[str]:
    """Return a note on the uncertain `cells`, each with the lines of its rows, of which `where` says the column.

    Raises:
        DataError: there are some, and no choice was made.
    """
    counts = ", ".join(
        f"'{printable(cell)}' (rows: {len(set(n))}, the first line {n[0]})" for cell, n in cells.items()
    )
    if cells and choice is None:
        raise DataError(
            f"{where} of yes and no, with uncertain labels: {counts}; behind the source `?{OPTION}={IGNORE}` "
            f"leaves such images out, `?{OPTION}={NEGATIVE}` reads them as no (where -1 means no, too), "
            f"`?{OPTION}={POSITIVE}` as yes"
        )
    if choice is None:
        return []
    return [f"uncertain labels, {_LEFT_OUT[choice]}: {counts or 'there are none'}"]


def resolve_uncertain(
    column: str, cells: Mapping[int, str], options: Mapping[str, str], blanks_read: tuple[str, ...]
) -> tuple[dict[int, str], set[int], list[str]]:
    """Return a label column's `cells` by line with uncertain ones resolved, the lines to ignore, and notes.

    In a column of yes and no these are -1 and words such as "?" and maybe. Among other numbers from 0 on -1 often
    says that there is no label, and must be explained; among other words, maybe is a class, with a note.

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
    # -1 and 1 alone are the two classes of a column, as where a margin is trained.
    two_signs = {plain_number(cell) for cell in lines} == {"-1", "1"}
    if not unsure or (two_signs and choice is None):
        return dict(cells), set(), []
    if choice is None and BLANKS in options:
        return dict(cells), set(), [f"column '{column}': {_listed(unsure)} is read as a class"]
    if binary:
        note = note_uncertain(f"column '{column}' is", unsure, choice)
    elif choice in (NEGATIVE, POSITIVE):
        raise DataError(
            f"option '{OPTION}': column '{column}' has other words than yes and no, so that its uncertain labels "
            f"({_listed(unsure)}) can't be {choice}; valid here: {IGNORE}"
        )
    elif choice == IGNORE:
        note = note_uncertain(f"column '{column}'", unsure, choice)
    else:
        return dict(cells), set(), _note_or_refuse(column, lines, unsure, blanks_read)
    if choice == IGNORE:
        return dict(cells), {line for rows in unsure.values() for line in rows}, note
    same = next((cell for cell in lines if answers[cell] == choice), None)
    word = same or (str(int(choice == POSITIVE)) if all(map(plain_number, lines)) else str(choice))
    return {line: word if cell in unsure else cell for line, cell in cells.items()}, set(), note


def _note_or_refuse(
    column: str, lines: Mapping[str, list[int]], unsure: Mapping[str, list[int]], blanks_read: tuple[str, ...]
) -> list[str]:
    """Return a note on words such as maybe among classes.

    Raises:
        DataError: -1 stands among numbers from 0 on.
    """
    minus = [cell for cell in unsure if plain_number(cell) == "-1"]
    others = [cell for cell in lines if cell not in unsure]
    if minus and all(re.fullmatch(r"[0-9]+([.,]0+)?", cell) for cell in others):
        words = escaped(",".join([*minus, *blanks_read]))
        keep = escaped(",".join(blanks_read))
        raise DataError(
            f"column '{column}' holds {_listed({cell: unsure[cell] for cell in minus})} among numbers from 0 on, "
            f"which may be no class: behind the source `?{BLANKS}={words}` reads it as no label, "
            f"`?{OPTION}={IGNORE}` as an uncertain one, whose images are left out, `?{BLANKS}={keep}` as a class"
        )
    return [
        f"column '{column}': {_listed(unsure)} is read as a class; `?{OPTION}={IGNORE}` behind the source leaves "
        "its images out"
    ]


def _listed(cells: Mapping[str, list[int]]) -> str:
    return ", ".join(f"'{printable(cell)}' (rows: {len(rows)})" for cell, rows in cells.items())

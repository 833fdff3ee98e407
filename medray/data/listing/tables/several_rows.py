"""Unite the labels of rows that name one image, of several readers or of several findings."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from medray.data.listing.listing import BLANK
from medray.data.source import LABEL, ROWS
from medray.errors import DataError, printable, unknown_choice_line
from medray.text import first_names, plural

MAJORITY, FIRST, ALL = RULES = ("majority", "first", "all")
_EFFECTS = {MAJORITY: "the label of most rows", FIRST: "that of the first row", ALL: "all labels"}
#: Words in the name of a column that says whose label a row holds.
_READERS = frozenset({
    "reader", "rater", "annotator", "radiologist", "rad", "grader", "doctor", "physician", "clinician", "expert",
    "observer", "labeler", "labeller", "pathologist", "dermatologist", "ophthalmologist", "reviewer",
})  # fmt: skip


@dataclass(frozen=True)
class RowAnswer:
    """What a row says: its line, the cell that names its image, and its labels, none if blank."""

    line: int
    cell: str
    labels: tuple[str, ...]


def unite_labels(
    rows_of: Sequence[Sequence[RowAnswer]], rule: str | None, columns: Sequence[str]
) -> tuple[list[tuple[str, ...]], list[str]]:
    """Return the labels of each image, of which `rows_of` has the rows in their order, and a note.

    Rows agree if they name the same labels in any order. Where they do not, `rule` says what the image has:
    majority is what most rows name, a blank and several labels in one row being a vote like others; first is the
    first row's; all are the labels of all rows. `columns` are the table's.

    Raises:
        DataError: there is no such rule; rows differ, and there is none; or by majority two answers are equally
            frequent.
    """
    if rule is not None and rule not in RULES:
        raise DataError(f"option '{ROWS}': {unknown_choice_line('rule', printable(rule), RULES)}")
    differing = [rows for rows in rows_of if len(_count_votes(rows)) > 1]
    if differing and rule is None:
        raise DataError(_difference_line(differing, columns))
    tied = [rows for rows in differing if rule == MAJORITY and len(_most_frequent(rows)) > 1]
    if tied:
        votes = ", ".join(f"{_in_words(row.labels)} ({count})" for row, count in _most_frequent(tied[0]))
        raise DataError(
            f"{plural(len(tied), 'image')} without a majority among the rows (first: {_lines(tied[0])} name "
            f"'{printable(tied[0][0].cell)}': {votes}); `?{ROWS}={FIRST}` behind the source takes the first row's "
            f"label, `?{ROWS}={ALL}` all of them, so that `labels: {{multiple: drop}}` leaves such images out"
        )
    labels = [_answer(rows, rule) for rows in rows_of]
    if rule is None:
        return labels, []
    several = sum(len(rows) > 1 for rows in rows_of)
    note = f"rows: {plural(several, 'image')} with several rows, {len(differing):,} of them with different labels"
    if differing:
        first = f"'{printable(differing[0][0].cell)}', {_lines(differing[0])}"
        note += f": {_EFFECTS[rule]} ({first}: {_in_words(_answer(differing[0], rule))})"
    return labels, [note]


def _answer(rows: Sequence[RowAnswer], rule: str | None) -> tuple[str, ...]:
    """Return the labels of an image by the rule; by majority there is no tie."""
    if rule == ALL:
        return tuple(dict.fromkeys(label for row in rows for label in row.labels))
    return _most_frequent(rows)[0][0].labels if rule == MAJORITY else rows[0].labels


def check_no_readers(one_hot: Sequence[str]) -> None:
    """Check that columns of 0 and 1 are classes, and not all of them the answers of readers.

    Raises:
        DataError: they are those of readers, by their names.
    """
    if one_hot and all(map(_names_readers, one_hot)):
        names = "', '".join(map(printable, one_hot))
        raise DataError(
            f"columns '{names}' look like the answers of readers, not like classes: `?{LABEL}=` with one of them "
            f"takes that one's; with a row for each reader and image `?{ROWS}={MAJORITY}` lets them vote"
        )


def _count_votes(rows: Sequence[RowAnswer]) -> Counter[frozenset[str]]:
    return Counter(frozenset(row.labels) for row in rows)


def _most_frequent(rows: Sequence[RowAnswer]) -> list[tuple[RowAnswer, int]]:
    """Return the first row of each most frequent answer of an image, with the count of its rows."""
    votes = _count_votes(rows)
    first: dict[frozenset[str], RowAnswer] = {}
    for row in rows:
        first.setdefault(frozenset(row.labels), row)
    most = max(votes.values())
    return [(first[answer], count) for answer, count in votes.items() if count == most]


def _difference_line(differing: Sequence[Sequence[RowAnswer]], columns: Sequence[str]) -> str:
    """Return the line that refuses rows with different labels, and says how to unite them."""
    rows = differing[0]
    second = next(row for row in rows if {*row.labels} != {*rows[0].labels})
    readers = [name for name in columns if _names_readers(name)]
    hint = f"; column '{printable(readers[0])}' looks like that of several readers" if readers else ""
    answers = f"{_in_words(rows[0].labels)} and {_in_words(second.labels)}"
    return (
        f"lines {rows[0].line} and {second.line} name one image, '{printable(second.cell)}', with different "
        f"labels: {answers} (images with such rows: {len(differing):,}){hint}; `?{ROWS}={MAJORITY}` behind the "
        f"source takes {_EFFECTS[MAJORITY]}, `{FIRST}` {_EFFECTS[FIRST]}, `{ALL}` {_EFFECTS[ALL]}"
    )


def _names_readers(name: str) -> bool:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return not _READERS.isdisjoint(word.removesuffix("s") for word in re.findall("[a-z]+", spaced.lower()))


def _lines(rows: Sequence[RowAnswer]) -> str:
    *lines, last = [str(row.line) for row in rows]
    return f"lines {first_names([*lines, last])}" if len(lines) > 4 else f"lines {', '.join(lines)} and {last}"


def _in_words(labels: Sequence[str]) -> str:
    return ", ".join(f"'{printable(label)}'" for label in sorted({*labels})) or BLANK

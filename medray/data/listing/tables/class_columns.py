"""Guess which columns of a table stand for one class each, and refuse to where others may be meant."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from medray._types import Array
from medray.data.listing.file_tree import image_suffix
from medray.data.listing.tables.table_text import Table
from medray.data.listing.tables.words import NEGATIVE, POSITIVE, UNCERTAIN, plain_number, read_answer, read_share
from medray.data.source import BLANKS, LABEL, escaped
from medray.errors import DataError, printable
from medray.text import first_names

#: Words in the name of a column that may hold yes and no without being a class.
_COVARIATES = frozenset({
    "sex", "gender", "male", "female", "smoker", "smoking", "alcohol", "drinking", "diabetic", "pregnant", "age",
    "history", "augmented", "augmentation", "aug", "synthetic", "generated", "flipped", "train", "training",
    "test", "testing", "val", "validation", "holdout", "split", "fold", "view", "ap", "pa", "frontal", "lateral",
    "left", "right", "weight", "flag", "qc", "quality", "valid", "exclude", "excluded", "include", "included",
    "duplicate", "public", "private", "biopsied", "contrast", "portable", "usage", "reviewed", "verified",
    "checked", "is", "has", "was",
})  # fmt: skip
#: Words in the name of a column that is no label, whatever it holds.
_OTHERS = frozenset({
    "age", "sex", "gender", "view", "position", "projection", "ap", "pa", "frontal", "lateral", "laterality",
    "side", "eye", "site", "location", "localization", "region", "race", "ethnicity", "scanner", "device",
    "vendor", "model", "manufacturer", "hospital", "center", "centre", "institution", "date", "time", "year",
    "month", "id", "ids", "uid", "path", "file", "filename", "url", "uri", "width", "height", "size", "rows",
    "columns", "spacing", "bmi", "weight", "source", "dataset", "origin", "modality", "camera", "comment",
    "comments", "note", "notes", "report", "description", "patient", "patientid", "subject", "study", "series",
    "lesion", "follow", "number", "index", "pixel", "x", "y", "split", "set", "fold", "usage", "md5", "hash",
    "image", "img",
})  # fmt: skip
_PREFIXES = frozenset({"is", "has", "was"})  # of classes where all columns have one
_INDEX = re.compile(r"column \d+|unnamed:.*|index", re.IGNORECASE)  # row numbers, as pandas writes them
LEAST_ROWS = 10  # for what holds in each row not to be chance
MOST_CLASSES, MOST_NAMED = 200, 4


@dataclass(frozen=True)
class ReadColumn:
    """A column's cells, and which of ANSWERS each gives.

    There are no answers if a cell is another word, or if yes or no is written in several ways: x and y are none.
    """

    name: str
    cells: tuple[str, ...]
    answers: tuple[str, ...]

    @classmethod
    def read(cls, table: Table, name: str, blanks: frozenset[str]) -> "ReadColumn":
        """Read a column by its name."""
        cells = tuple(row.cells[name] for row in table.rows)
        answers = {cell: read_answer(cell, blanks) or "" for cell in set(cells)}
        words = {(answer, plain_number(cell) or cell.casefold()) for cell, answer in answers.items()}
        ways = Counter(answer for answer, _ in words)
        clear = "" not in ways and ways[POSITIVE] < 2 and ways[NEGATIVE] < 2
        return cls(name, cells, tuple(answers[cell] for cell in cells) if clear else ())

    @property
    def values(self) -> list[str]:
        """Its distinct cells that are not empty."""
        return list(dict.fromkeys(cell for cell in self.cells if cell))

    @property
    def words(self) -> set[str]:
        """The words of its name in lower case."""
        return set(re.findall(r"[a-z]+[0-9]*", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", self.name).lower()))

    @property
    def holds_shares(self) -> bool:
        """Whether it holds numbers from 0 to 1, and others than these two."""
        shares = [read_share(value) for value in self.values]
        return None not in shares and any(share not in (0, 1) for share in shares)

    @property
    def may_be_label(self) -> bool:
        """Whether it may name the class, or give a share of one: neither its name nor its values say otherwise."""
        values, numbers = self.values, [plain_number(value) for value in self.values]
        if self.answers or self.words & _OTHERS or len(values) < 2 or all(map(image_suffix, values)):
            return False
        if None not in numbers and (len(values) > MOST_CLASSES // 10 or any("." in str(n) for n in numbers)):
            return self.holds_shares  # else a measure
        return len(values) <= MOST_CLASSES and (len(self.cells) < LEAST_ROWS or 2 * len(values) <= len(self.cells))

    def describe(self) -> str:
        """Return its name and its first values."""
        return f"'{self.name}' ({printable(first_names(self.values, MOST_NAMED))})"


@dataclass(frozen=True)
class ClassColumns:
    """The columns that stand for a class each; if there are none, `others` may be the label, with their values."""

    names: tuple[str, ...]
    notes: tuple[str, ...]
    others: tuple[str, ...]


def guess_class_columns(
    table: Table, columns: Sequence[str], blanks: frozenset[str], *, with_none: bool
) -> ClassColumns:
    """Guess which of `columns` stand for a class each: two or more of yes and no, or one beside a label for none.

    Raises:
        DataError: there are such columns, but it is doubtful which are classes, or another may be the label.
    """
    read = [ReadColumn.read(table, name, blanks) for name in columns if not _INDEX.fullmatch(name)]
    binary = [column for column in read if {POSITIVE, NEGATIVE} & set(column.answers)]
    ones = [column for column in binary if {POSITIVE, UNCERTAIN} & set(column.answers)]
    others = [column for column in read if column.may_be_label]
    shares = [column for column in others if column.holds_shares]
    least = 1 if with_none else 2
    if len(ones) + len(shares) < least or not (ones or shares):
        return ClassColumns((), (), tuple(column.describe() for column in (*ones, *others)))
    if len(ones) < least:
        check_answers(table, [column.name for column in (*ones, *shares)], blanks)
    check_doubts(table, ones, others, with_none=with_none, prefixed=all(c.words & _PREFIXES for c in binary))
    without = [column.name for column in binary if column not in ones]
    notes = [f"columns without a 1 are no classes: {', '.join(without)}"] if without else []
    return ClassColumns(tuple(column.name for column in ones), tuple(notes), ())


def check_doubts(
    table: Table, ones: Sequence[ReadColumn], others: Sequence[ReadColumn], *, with_none: bool, prefixed: bool
) -> None:
    """Check that all columns with a 1 are classes, and that no other column may be the label.

    `prefixed` says that the names of all columns of yes and no begin as is_train does.

    Raises:
        DataError: it is doubtful; the line says why, and which columns `?label=` may name.
    """
    covariates = _COVARIATES - _PREFIXES if prefixed else _COVARIATES
    every = [column for column in ones if set(column.answers) == {POSITIVE}]
    union = union_of_others(ones)
    named = [c for c in ones if c.words & covariates and c not in every and c is not union]
    classes = [c for c in ones if c not in (*every, *named) and c is not union]
    run = [] if with_none else exclusive_run(classes)
    doubts = [
        *(f"'{column.name}' is 1 in each row" for column in every),
        *([f"'{union.name}' is 1 just where another of these is"] if union else []),
        *(f"'{column.name}' may be no class, by its name" for column in named),
        *(f"{column.describe()} may be the label" for column in others),
        *([f"only {', '.join(column.name for column in run)} have one 1 in each row"] if run else []),
    ]
    if not doubts:
        return
    names = [column.name for column in run or (classes if len(classes) > (not with_none) else ones)]
    ways = [f"`?{LABEL}={escaped(','.join(names))}` behind the source reads these as the classes"]
    ways += [f"`?{LABEL}={escaped(column.name)}` the cells of that column" for column in others]
    listed = first_names([column.name for column in ones], MOST_NAMED)
    problem = f"{listed} may be a column for each class, but {'; '.join(doubts)}; {', '.join(ways)}"
    raise DataError(problem, file=table.path)


def positive_cells(columns: Sequence[ReadColumn]) -> Array:
    """Return 1 where a cell is positive and else 0, int16 (columns, rows)."""
    import numpy as np

    return np.array([[answer == POSITIVE for answer in column.answers] for column in columns], dtype=np.int16)


def union_of_others(columns: Sequence[ReadColumn]) -> ReadColumn | None:
    """Return the column that is positive in just those rows where another is, such as `abnormal`; None without."""
    if len(columns) < 3 or len(columns[0].cells) < LEAST_ROWS:
        return None
    ones = positive_cells(columns)
    total = ones.sum(axis=0)
    return next((c for c, row in zip(columns, ones, strict=True) if ((total - row > 0) == row).all()), None)


def exclusive_run(columns: Sequence[ReadColumn]) -> list[ReadColumn]:
    """Return neighbouring columns, not all, just one of which is positive in each row; none in a short table.

    If all columns together have this property, or there are no such neighbours, none is returned either.
    """
    if not columns or len(columns[0].cells) < LEAST_ROWS:
        return []
    import numpy as np

    ones = positive_cells(columns)
    sums = np.concatenate([np.zeros_like(ones[:1]), ones.cumsum(axis=0, dtype=np.int16)])
    if (sums[-1] == 1).all():
        return []
    for length in range(len(columns) - 1, 1, -1):
        for first in range(len(columns) - length + 1):
            if (sums[first + length] - sums[first] == 1).all():
                return list(columns[first : first + length])
    return []


def check_answers(table: Table, columns: Sequence[str], blanks: frozenset[str]) -> None:
    """Check that each cell of the columns of classes says yes, no, uncertain or nothing.

    Raises:
        DataError: one does not; the line says if the columns hold shares.
    """
    for row in table.rows:
        for name in columns:
            cell = row.cells[name]
            if read_answer(cell, blanks) is not None:
                continue
            if ReadColumn.read(table, name, blanks).holds_shares:
                raise DataError(
                    f"column '{name}' holds shares (line {row.line}: {printable(cell)}), not 0 and 1, and an "
                    "image has one class here: write the class with the largest share into a column, and name it "
                    f"by `?{LABEL}=` behind the source; or `?{LABEL}=` with columns of 0 and 1",
                    file=table.path,
                )
            raise DataError(
                f"line {row.line}: column '{name}': '{printable(cell)}' is neither yes nor no; valid in a column "
                "of a class: 0, 1, true, false, yes, no, positive, negative, x, blank, -1 for uncertain; "
                f"`?{BLANKS}={escaped(printable(cell))}` behind the source reads it as blank",
                file=table.path,
            )

"""FileCases: which image files are of one case, by a column of their table, their folder or a pattern."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from medray.data.listing.folders.folder_patients import FOLDER, is_pattern
from medray.errors import ConfigError, nearest, printable
from medray.predict.find_images import FoundImages, ImageFile
from medray.stats.patients import is_missing
from medray.text import first_names, plural


@dataclass
class FileCases:
    """The files of each case by its name, in the order of first files.

    `incomplete` has for some cases a file that they lack; `notes` say what was done.
    """

    files: dict[str, list[ImageFile]] = field(default_factory=dict)
    incomplete: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def file_cases(found: FoundImages, by: str) -> FileCases:
    """Return the cases of files: by a column, or else `folder`, or what a pattern matches in the path.

    Of a row of a table whose column `by` is empty, the file is a case of its own. The path is that below the
    folder or the table that was given. A pattern's one group, or all that it matches, is the case. A file that is
    given twice is one image of its case.

    Raises:
        ConfigError: a file has no such column, its path does not match, or the pattern can't be read.
    """
    pattern = _pattern(by) if is_pattern(by) else None
    cases, paths, alone, twice = FileCases(), dict[str, set[Path]](), list[str](), list[str]()
    for file in found.files:
        case = _case(file, by, pattern)
        if case is None:
            case = str(file.path)
            alone.append(printable(case))
        known = paths.setdefault(case, set())
        if file.path.resolve() in known:
            twice.append(printable(str(file.path)))
            continue
        known.add(file.path.resolve())
        cases.files.setdefault(case, []).append(file)
    for file in found.absent:
        if file.cell and (case := _case(file, by, pattern)) is not None:
            cases.incomplete.setdefault(case, printable(file.cell))
    if alone:
        note = f"{plural(len(alone), 'file')} without a value of '{by}', each a case of its own"
        cases.notes.append(f"{note}: {first_names(alone)}")
    if twice:
        note = f"{plural(len(twice), 'file')} given twice, which count once in their cases"
        cases.notes.append(f"{note}: {first_names(twice)}")
    return cases


def _pattern(by: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(by)
    except (re.error, RecursionError, OverflowError) as error:
        raise ConfigError(f"--by: the pattern '{printable(by)}' can't be read: {error}") from None
    if pattern.groups > 1:
        raise ConfigError(f"--by: the pattern '{printable(by)}' has {pattern.groups} groups; valid: one or none")
    return pattern


def _case(file: ImageFile, by: str, pattern: re.Pattern[str] | None) -> str | None:
    """Return the case of a file, None where its column holds no value."""
    column = _column(file.row, by)
    if column is not None:
        return None if is_missing(file.row[column].strip()) else file.row[column].strip()
    if by == FOLDER:
        return str(file.path.parent)
    shown = printable(file.below)
    if pattern is not None:
        match = pattern.search(file.below)
        if match and match[pattern.groups]:
            return match[pattern.groups]
        raise ConfigError(f"--by '{printable(by)}': '{shown}' does not match")
    columns = f"its table has the columns {', '.join(file.row)}" if file.row else "no table names it"
    raise ConfigError(
        f"--by {printable(by)}: '{shown}' has no such column{nearest(by, file.row)}: {columns}; "
        f"`--by {FOLDER}` makes each folder a case, `--by '([^_/]+)_'` what a pattern matches in the path"
    )


def _column(row: Mapping[str, str], by: str) -> str | None:
    if by in row:
        return by
    alike = [column for column in row if column.casefold() == by.strip().casefold()]
    return alike[0] if len(alike) == 1 else None

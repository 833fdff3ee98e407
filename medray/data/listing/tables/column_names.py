"""Find the columns of a table by their names: as an option names them, or as such columns are usually called."""

import re

from medray.data.listing.tables.table_text import Table
from medray.data.source import FOLD, IMAGE, LABEL, PATIENT, SPLIT, escaped
from medray.errors import DataError, nearest, printable

# Names in lower case; those after a bar are taken only if there is none of those before it.
_NAMES = {
    IMAGE: "image images img file filename file_name filepath file_path path image_path img_path image_name "
    "img_name image_file image_filename image_index | image_id imageid img_id id",
    LABEL: "label labels class classes category categories diagnosis target dx class_name label_name "
    "finding_labels",
    SPLIT: "split set subset partition",
    FOLD: "fold folds kfold",
    PATIENT: "patient patient_id patientid subject subject_id subjectid case case_id caseid participant "
    "participant_id",
}


def find_column(table: Table, name: str) -> str:
    """Return the column of a name, or else the only one that differs from it just in case.

    Raises:
        DataError: there is none, or several.
    """
    if name in table.columns:
        return name
    alike = [column for column in table.columns if column.casefold() == name.strip().casefold()]
    if len(alike) != 1:
        columns = ", ".join(table.columns)
        raise DataError(
            f"no column '{name}'{nearest(name, table.columns)}; its columns: {columns}", file=table.path
        )
    return alike[0]


def find_columns(table: Table, option: str) -> tuple[str, ...]:
    """Return the columns that an option names, one or several with commas; a name may hold commas itself.

    Raises:
        DataError: one does not exist, or is named twice.
    """
    parts, names = option.split(","), []
    while parts:
        # The longest text that is a column's name as it is; else one of another case.
        ends = [end for end in range(len(parts), 0, -1) if ",".join(parts[:end]).strip() in table.columns]
        end = ends[0] if ends else 1
        text = ",".join(parts[:end]).strip()
        if text:
            names.append(find_column(table, text))
        del parts[:end]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(f"column '{twice[0]}' is named twice in '{printable(option)}'", file=table.path)
    return tuple(names)


def guess_column(table: Table, kind: str, used: set[str]) -> str | None:
    """Return the column that is named as those of a kind usually are and is not `used`; None if there is none.

    Raises:
        DataError: there are several.
    """
    names = {column: re.sub(r"[\s.-]+", "_", column).lower() for column in table.columns if column not in used}
    for usual in _NAMES[kind].split(" | "):
        matches = [column for column, name in names.items() if name in usual.split()]
        if len(matches) > 1:
            listed = "' and '".join(matches)
            ways = " or ".join(f"`?{kind}={escaped(printable(name))}`" for name in matches)
            problem = f"columns '{listed}' may all be the {kind}; {ways} behind the source says which"
            raise DataError(problem, file=table.path)
        if matches:
            return matches[0]
    return None

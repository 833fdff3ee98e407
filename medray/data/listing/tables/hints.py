"""Name the columns that nobody uses and a study may go wrong without: ids of several images, splits, folds."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from medray.data.listing.file_tree import image_suffix
from medray.data.listing.folder_names import splits_in
from medray.data.listing.tables.columns import NUMBER, Columns
from medray.data.listing.tables.table_splits import table_split
from medray.data.listing.tables.table_text import Table
from medray.data.listing.tables.words import NEGATIVE, POSITIVE, read_answer
from medray.data.source import FOLD, PATIENT, SPLIT, escaped
from medray.text import natural_order, plural

UNUSED = "unused column"  # a note begins so
#: Words in the name of a column whose values are persons or what is one of a person.
_PERSONS = frozenset({
    "patient", "subject", "case", "lesion", "accession", "mrn", "pid", "participant", "donor", "person",
    "individual", "animal", "mouse", "volunteer", "examinee", "admission",
})  # fmt: skip
#: Words that number several images of a person, or are a category.
_SERIES = frozenset({
    "study", "exam", "examination", "visit", "slide", "eye", "specimen", "biopsy", "serie", "session",
    "encounter", "scan", "sample", "family", "record",
})  # fmt: skip
#: Beginnings of such words in other languages, and names of persons.
_PERSON_STEMS = ("patient", "pacient", "pazient", "proband")
_NAMES = frozenset({"name", "surname", "lastname", "nachname", "nombre", "nome"})
#: Words of a number that may be a person's, unless another word says whose else it is.
_IDS = frozenset({"id", "uid", "no", "nr", "number", "nummer", "numero", "code", "fall", "caso"})
_NO_PERSONS = frozenset(
    {
        "clas",
        "label",
        "category",
        "finding",
        "diagnosi",
        "dx",
        "disease",
        "split",
        "fold",
        "image",
        "img",
        "file",
        "reader",
        "rad",
        "rater",
        "annotator",
        "grader",
        "radiologist",
        "site",
        "center",
        "centre",
        "scanner",
        "device",
        "camera",
        "model",
        "vendor",
        "institution",
        "region",
        "slice",
        "frame",
        "view",
        "page",
        "tile",
        "patch",
        "row",
        "box",
        "bbox",
        "score",
        "grade",
        "dataset",
        "source",
        "batch",
        "color",
        "colour",
        "zip",
        "serie",
        "follow",
        "country",
        "city",
        "machine",
        "station",
        "protocol",
        "plane",
        "phase",
        "level",
        "version",
    }
)  # fmt: skip  (without the s at the end)
_ENDS = ("patientid", "subjectid", "caseid", "lesionid", "studyid", "examid", "seriesuid", "studyuid")
_DATE = re.compile(r"[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}.*")
LEAST_VALUES = 10  # of a column that is no category of few values
LEAST_NAMED = 3  # values of a column that is named as an id; two are a category, such as case and control
MOST_ROWS = 20  # of a value on average, in a column that may number visits
LEAST_DIGITS = 4  # of a number that is no age and no measure


def note_unused(table: Table, columns: Columns, options: Mapping[str, str]) -> list[str]:
    """Return a note on each column without a use that looks like an id of several images, a split or a fold.

    A column is an id by a word in its name, unless it has few values, or by its values: many of them, of letters
    and digits or of long numbers, some in several rows. It is noted only if some value has rows of several
    patients (images where no patients are known). What an empty option declines is not noted.
    """
    used = {columns.image, columns.label, columns.split, columns.fold, columns.patient, *columns.subgroups}
    units = [row.cells[columns.patient] for row in table.rows] if columns.patient else None
    instead = f" in place of '{columns.patient}'" if columns.patient else ""
    notes = []
    for name in (name for name in table.columns if name not in used and name not in columns.one_hot):
        cells = [row.cells[name] for row in table.rows]
        filled = [cell for cell in cells if cell]
        distinct = set(filled)
        splits = {table_split(cell) for cell in distinct}
        start, option = f"{UNUSED} '{name}'", escaped(name)
        if None not in splits and len(splits) > 1 and columns.split is None and options.get(SPLIT) != "":
            words = ", ".join(natural_order(distinct)[:4])
            notes.append(f"{start} names splits ({words}): `?{SPLIT}={option}` behind the source takes them")
        elif columns.split is None and options.get(SPLIT) != "" and _means_splits(name, distinct):
            words = ", ".join(natural_order(distinct)[:4])
            notes.append(
                f"{start} looks like splits ({words}), and is not read: with train, val and test in place of its "
                f"words `?{SPLIT}={option}` behind the source takes them"
            )
        elif _is_fold(name, distinct) and columns.fold is None and options.get(FOLD) != "":
            notes.append(f"{start} looks like folds: `?{FOLD}={option}` behind the source takes them")
        elif options.get(PATIENT) == "" or not _is_id(name, filled, beside_patient=units is not None):
            continue
        elif _joins(cells, units):
            counts = f"{plural(len(distinct), 'value')} in {plural(len(filled), 'row')}"
            notes.append(
                f"{start} looks like an id of several images ({counts}): they may stand on both sides of a split, "
                f"`?{PATIENT}={option}` behind the source keeps them together{instead}"
            )
    return notes


def _means_splits(name: str, values: set[str]) -> bool:
    """Return whether a column is called as a split and says yes and no, or each value has the word of a split."""
    if len(values) < 2 or len(values) > LEAST_VALUES:
        return False
    answers = {read_answer(value, frozenset()) for value in values}
    if answers == {POSITIVE, NEGATIVE}:
        return bool(splits_in(name)[0])
    named = [splits_in(value)[0] for value in values]
    return all(named) and len(frozenset().union(*named)) > 1


def _is_fold(name: str, values: set[str]) -> bool:
    return "fold" in name.lower() and 1 < len(values) <= LEAST_VALUES * 2 and all(map(NUMBER.fullmatch, values))


def _is_id(name: str, filled: Sequence[str], *, beside_patient: bool) -> bool:
    """Return whether a column looks like an id by its name or values; beside a patient's, of persons only."""
    count = len(set(filled))
    if count < LEAST_NAMED:
        return False
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    words = {word.removesuffix("s") for word in re.findall(r"[a-z]+", spaced.lower())}
    if words & _PERSONS or any(word.endswith(_ENDS) or word.startswith(_PERSON_STEMS) for word in words):
        return True
    if beside_patient:
        return False
    if LEAST_VALUES <= count < len(filled) <= MOST_ROWS * count and not words & _NO_PERSONS:
        whole_numbers = all(map(NUMBER.fullmatch, filled))
        if (words & _NAMES and not any(map(image_suffix, filled))) or (words & _IDS and whole_numbers):
            return True
    return _valued_as_id(filled) or (bool(words & _SERIES) and len(filled) <= MOST_ROWS * count)


def _valued_as_id(filled: Sequence[str]) -> bool:
    """Return whether values that repeat are too many for categories, and no measures, dates or sentences."""
    distinct = set(filled)
    if not LEAST_VALUES <= len(distinct) < len(filled):
        return False
    return all(
        " " not in value
        and not _DATE.fullmatch(value)
        and (len(value) >= LEAST_DIGITS if NUMBER.fullmatch(value) else re.search(r"[^\W\d].*\d", value))
        for value in distinct
    )


def _joins(cells: Sequence[str], units: Sequence[str] | None) -> bool:
    """Return whether a value has rows of several units; without units each row is one."""
    members: dict[str, set[object]] = defaultdict(set)
    for row, cell in enumerate(cells):
        if cell:
            members[cell].add(units[row] if units else row)
    return any(len(rows) > 1 for rows in members.values())

"""What images really were, as it became known after the answer: by POST /outcomes, or by a table."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from medray.data.listing.tables.table_text import Row, Table, read_table
from medray.errors import DataError, nearest, unknown_choice_line
from medray.monitor.logged_answers import LoggedAnswer
from medray.serving.engine.audit_log import read_audit

REQUEST, IMAGE, LABEL, PATIENT, DATE = COLUMNS = ("request_id", "sha256", "label", "patient", "date")
ANSWERS = {
    "1": True,
    "1.0": True,
    "yes": True,
    "true": True,
    "0": False,
    "0.0": False,
    "no": False,
    "false": False,
}
NOT_KNOWN = ("", "-1", "-1.0")  # the latter where labels are uncertain, as in CheXpert


@dataclass(frozen=True)
class Outcome:
    """What became known of an answer: for each class or label whether it has it, as far as known.

    The answer is that of the request `request_id`, of the image `image`, or of both; `day` (UTC) is when it became
    known, None where that is not said; `patient` is the patient's key.
    """

    request_id: str | None
    image: str | None
    having: Mapping[str, bool]
    day: str | None = None
    patient: str | None = None


@dataclass(frozen=True)
class KnownAnswer:
    """What is known of an answer, label by label, the day on which it first was, and the patients' keys."""

    having: Mapping[str, bool]
    days: Mapping[str, str]
    patients: frozenset[str]


@dataclass(frozen=True)
class JoinedOutcomes:
    """What is known of each answer, None where nothing is, and how many outcomes fit none or several answers.

    The latter are of requests with several images, which need the image's SHA-256. Images that were asked about
    again count once, in `counted`: by their first answer, with the outcomes of all.
    """

    known: Sequence[KnownAnswer | None]
    counted: Sequence[int]
    without_answer: int
    ambiguous: int


def read_outcomes(
    path: Path, class_names: Sequence[str], *, label_sets: bool = False, key: Callable[[str], str] = str
) -> list[Outcome]:
    """Return the outcomes of a table, in its order.

    Its columns are `request_id`, `sha256` or both, and `label`; where images have several labels, instead of that
    one for each label with 1, 0 or nothing. `patient` and `date` may be there too; `key` makes a patient's key.

    Raises:
        DataError: the table can't be read, lacks a column, or a cell can't be read.
    """
    table = read_table(path)
    if not {REQUEST, IMAGE} & {*table.columns} or not (label_sets or LABEL in table.columns):
        columns, of_labels = ", ".join(table.columns), "a column for each label" if label_sets else LABEL
        raise DataError(f"{path}: its columns are {columns}; needed are {of_labels}, and {REQUEST} or {IMAGE}")
    if label_sets:
        _check_label_columns(table, class_names)
    outcomes = []
    for row in table.rows:
        having = (_labels if label_sets else _class)(path, row, class_names)
        if not having:
            continue  # not known yet
        request, image = (row.cells.get(column) or None for column in (REQUEST, IMAGE))
        if request is None and image is None:
            raise DataError(f"{path}: line {row.line} names neither {REQUEST} nor {IMAGE}")
        patient = row.cells.get(PATIENT)
        outcomes.append(Outcome(request, image, having, _day(path, row), key(patient) if patient else None))
    return outcomes


def _check_label_columns(table: Table, class_names: Sequence[str]) -> None:
    """Check that there are labels among the columns, and none with a slip."""
    others = [name for name in table.columns if name not in (*class_names, *COLUMNS)]
    if {*class_names} & {*table.columns}:
        others = [name for name in others if nearest(name, class_names)]
    if others:
        raise DataError(f"{table.path}: column: {unknown_choice_line('label', others[0], class_names)}")
    if not {*class_names} & {*table.columns}:
        raise DataError(f"{table.path}: it has a column for none of the labels: {', '.join(class_names)}")


def _class(path: Path, row: Row, class_names: Sequence[str]) -> dict[str, bool]:
    label = row.cells[LABEL]
    if label and label not in class_names:
        raise DataError(f"{path}: line {row.line}: {unknown_choice_line('class', label, class_names)}")
    return _one_of(label, class_names) if label else {}


def _one_of(label: str, class_names: Sequence[str]) -> dict[str, bool]:
    return {name: name == label for name in class_names}


def _labels(path: Path, row: Row, class_names: Sequence[str]) -> dict[str, bool]:
    having = {}
    for name in class_names:
        cell = row.cells.get(name, "")
        if cell in NOT_KNOWN:
            continue
        if cell.lower() not in ANSWERS:
            raise DataError(f"{path}: line {row.line}: {name} is '{cell}'; it must be 1, 0, or empty if not known")
        having[name] = ANSWERS[cell.lower()]
    return having


def _day(path: Path, row: Row) -> str | None:
    cell = row.cells.get(DATE)
    if not cell:
        return None
    try:
        return date.fromisoformat(cell[:10]).isoformat()
    except ValueError:
        raise DataError(f"{path}: line {row.line}: date is '{cell}'; it must be as 2026-01-31") from None


def read_outcome_log(folder: Path, class_names: Sequence[str]) -> list[Outcome]:
    """Return what the service was told by POST /outcomes, in its order; nothing where there is no log.

    Raises:
        AuditError: it can't be read.
    """
    return list(_logged(folder, class_names)) if folder.is_dir() else []


def _logged(folder: Path, class_names: Sequence[str]) -> Iterator[Outcome]:
    for record in read_audit(folder):
        label, labels = record.get(LABEL), record.get("labels")
        having: dict[str, bool] = {}
        if isinstance(labels, dict):
            having = {
                name: value for name, value in labels.items() if name in class_names and value in (True, False)
            }
        elif label in class_names:
            having = _one_of(str(label), class_names)
        if having:
            yield Outcome(record.get(REQUEST), record.get(IMAGE), having, _logged_day(record), record.get(PATIENT))


def _logged_day(record: Mapping[str, Any]) -> str | None:
    moment = record.get("time")
    return moment[:10] if isinstance(moment, str) else None


def join_outcomes(answers: Sequence[LoggedAnswer], outcomes: Sequence[Outcome]) -> JoinedOutcomes:
    """Give each answer its outcomes: by request and image, by image alone, or by a request of one image or case.

    Of two outcomes of one label the later one counts, as known on the day of the earlier one; one that does not
    say its day was known on the day of the answer.
    """
    rows_of: dict[tuple[str | None, str | None], list[int]] = {}
    for row, answer in enumerate(answers):
        keys: list[tuple[str | None, str | None]] = [(answer.request_id, None)]
        keys += [(request, digest) for digest in answer.subject for request in (answer.request_id, None)]
        for key in dict.fromkeys(keys):
            rows_of.setdefault(key, []).append(row)
    of_subject: dict[frozenset[str], list[Outcome]] = {}
    without_answer = ambiguous = 0
    for outcome in outcomes:
        rows = rows_of.get((outcome.request_id, outcome.image), [])
        subjects = {answers[row].subject for row in rows}
        without_answer += not subjects
        ambiguous += len(subjects) > 1
        if len(subjects) == 1:
            of_subject.setdefault(subjects.pop(), []).append(outcome)
    known: list[KnownAnswer | None] = [None] * len(answers)
    first: dict[frozenset[str], int] = {}
    for row, answer in enumerate(answers):
        if first.setdefault(answer.subject, row) == row and answer.subject in of_subject:
            known[row] = _known(of_subject[answer.subject], answer.day)
    return JoinedOutcomes(known, sorted(first.values()), without_answer, ambiguous)


def _known(outcomes: Sequence[Outcome], day: str) -> KnownAnswer:
    having: dict[str, bool] = {}
    days: dict[str, str] = {}
    for outcome in outcomes:
        having.update(outcome.having)
        for name in outcome.having:
            days.setdefault(name, outcome.day or day)
    patients = frozenset(outcome.patient for outcome in outcomes if outcome.patient is not None)
    return KnownAnswer(having, days, patients)

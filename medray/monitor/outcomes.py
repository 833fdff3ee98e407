"""What images really were, as it became known after the answer: a table of request or image, and class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medray.data.listing.tables.table_text import read_table
from medray.errors import DataError, unknown_choice_line
from medray.monitor.logged_answers import LoggedAnswer
from medray.serving.engine.audit_log import read_audit

REQUEST, IMAGE, LABEL = "request_id", "sha256", "label"
Key = tuple[str | None, str | None]  # request and image


@dataclass(frozen=True)
class JoinedOutcomes:
    """The class of each answer, None where none is known, and how many outcomes fit none or several answers.

    The latter are of requests with several images, which need the image's SHA-256. Images that were asked about
    again count once, in `counted`: by their last answer, with the outcome of any.
    """

    labels: Sequence[str | None]
    counted: Sequence[int]
    without_answer: int
    ambiguous: int


def read_outcomes(path: Path, class_names: Sequence[str]) -> Mapping[Key, str]:
    """Return classes by request and image, of which one may be None; of two rows of one key the later counts.

    Raises:
        DataError: the table can't be read, lacks a column, names neither request nor image, or another class.
    """
    table = read_table(path)
    if LABEL not in table.columns or not {REQUEST, IMAGE} & {*table.columns}:
        columns = ", ".join(table.columns)
        raise DataError(f"{path}: its columns are {columns}; needed are {LABEL}, and {REQUEST} or {IMAGE}")
    outcomes: dict[Key, str] = {}
    for row in table.rows:
        label, key = row.cells[LABEL], (row.cells.get(REQUEST) or None, row.cells.get(IMAGE) or None)
        if not label:
            continue  # not known yet
        if label not in class_names:
            raise DataError(f"{path}: line {row.line}: {unknown_choice_line('class', label, class_names)}")
        if key == (None, None):
            raise DataError(f"{path}: line {row.line} names neither {REQUEST} nor {IMAGE}")
        outcomes.pop(key, None)  # so that the later row is the last
        outcomes[key] = label
    return outcomes


def read_outcome_log(folder: Path) -> Mapping[Key, str]:
    """Return what the service was told by POST /outcomes, by request and image; none where there is no log.

    Raises:
        AuditError: it can't be read.
    """
    if not folder.is_dir():
        return {}
    records = (record for record in read_audit(folder) if isinstance(record.get(LABEL), str))
    outcomes: dict[Key, str] = {}
    for record in records:
        key = (record.get(REQUEST), record.get(IMAGE))
        outcomes.pop(key, None)
        outcomes[key] = record[LABEL]
    return outcomes


def join_outcomes(answers: Sequence[LoggedAnswer], outcomes: Mapping[Key, str]) -> JoinedOutcomes:
    """Give each answer its outcome: by request and image, by image alone, or by a request of one image."""
    rows_of: dict[Key, list[int]] = {}
    for row, answer in enumerate(answers):
        keys: list[Key] = [(answer.request_id, None)]
        keys += [(request, digest) for digest in answer.digests for request in (answer.request_id, None)]
        for key in dict.fromkeys(keys):
            rows_of.setdefault(key, []).append(row)
    by_subject: dict[frozenset[str], str] = {}
    without_answer = ambiguous = 0
    for (request, image), label in outcomes.items():
        rows = rows_of.get((request, image), [])
        if not rows:
            without_answer += 1
        elif len({answers[row].subject for row in rows}) > 1:
            ambiguous += 1
        else:
            subject = answers[rows[-1]].subject
            by_subject.pop(subject, None)
            by_subject[subject] = label
    last = {answer.subject: row for row, answer in enumerate(answers)}
    counted = sorted(last.values())
    labels: list[str | None] = [None] * len(answers)
    for subject, row in last.items():
        labels[row] = by_subject.get(subject)
    return JoinedOutcomes(labels, counted, without_answer, ambiguous)

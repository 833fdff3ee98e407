"""Differing labels: patients, or cases by a column, whose images have different labels."""

from collections.abc import Iterator, Sequence

from medray.audit.findings import INFO, WARNING, Finding
from medray.audit.survey import ImageRecords
from medray.text import first_names, plural


def find_differing_labels(records: ImageRecords) -> Iterator[Finding]:
    """Yield a finding for the cases whose images have different labels, or else for such patients.

    Of patients that is for information: a follow-up may well show another disease, and nothing asks for one answer
    for all images. Cases are asked for one. Where images have several labels, differing ones are no finding.
    """
    if any(len(labels) > 1 for labels in records.labels):
        return
    if any(records.cases):
        names = differing(records, records.cases)
        rest = "whose images have different labels: one answer for all needs a rule (`cases: {normal: CLASS}`)"
        if names:
            text = f"{plural(len(names), 'case')} {rest}: {first_names(names)}"
            yield Finding("differing_labels", WARNING, text, len(names), names)
    elif names := differing(records, records.patients):
        text = f"{plural(len(names), 'patient')} whose images have different labels: {first_names(names)}"
        yield Finding("differing_labels", INFO, text, len(names), names)


def differing(records: ImageRecords, column: Sequence[str | None]) -> tuple[str, ...]:
    """Return each value of `column` (n,) whose images have several labels, with these in brackets."""
    labels_of: dict[str, dict[str, None]] = {}
    for value, labels in zip(column, records.labels, strict=True):
        if value is not None:
            labels_of.setdefault(value, {}).update(dict.fromkeys(labels))
    return tuple(f"{value} ({', '.join(labels)})" for value, labels in labels_of.items() if len(labels) > 1)

"""The cases of a data set's images: which images are of one patient, exam or lesion, and what these answer."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from medray._types import Array
from medray.data.dataset import Fold, ImageDataset
from medray.errors import DataError, unknown_choice_line
from medray.space.cases_section import DROP, Cases
from medray.stats.case_rule import BY_PATIENT, CaseRule
from medray.stats.cases import CaseIndex, differing_cases, number_cases
from medray.tasks import TASKS
from medray.text import first_names, plural


def case_numbers(by: str, groups: Array | None, subgroups: Mapping[str, Array], source: str) -> Array:
    """Return the case of each image, int64 (N,), by the patients `groups` (N,) or a column of `subgroups`.

    A case by a column is of one patient, where they are known: exam 1 of one patient is not that of another.

    Raises:
        DataError: there is no such column, or patients are not known.
    """
    if by == BY_PATIENT and groups is not None:
        return number_cases(groups)
    if by in subgroups:
        return number_cases(subgroups[by], groups)
    valid = [*([] if groups is None else [BY_PATIENT]), *subgroups]
    if not valid:
        raise DataError(
            f"cases.by: '{by}', but the source knows neither patients nor columns; behind a table "
            "`?patient=COLUMN` or `?subgroups=COLUMN` names one",
            file=source,
        )
    raise DataError(f"cases.by: {unknown_choice_line('column', by, valid)}", file=source)


def with_cases(dataset: ImageDataset, cases: Cases | None, task: str) -> ImageDataset:
    """Return the data set with the cases that a search space asks for, itself where it asks for none.

    Cases whose images have classes that make no label of the case are left out of all splits and folds where
    `cases` say so.

    Raises:
        DataError: there is no such column or class, or images of a case differ in their class.
    """
    if cases is None:
        return dataset
    source, normal = dataset.source, None
    if cases.normal is not None:
        if cases.normal not in dataset.class_names:
            problem = unknown_choice_line("class", cases.normal, dataset.class_names)
            raise DataError(f"cases.normal: {problem}", file=source)
        normal = dataset.class_names.index(cases.normal)
    rule = CaseRule(cases.by, cases.answer, TASKS[task].label_kind, normal)
    index = CaseIndex(rule, case_numbers(cases.by, dataset.groups, dataset.subgroups, source))
    note = f"cases: {len(index):,} from {plural(len(dataset), 'image')}, {rule.text}"
    differing = differing_cases(dataset.labels, index.index, rule)
    if not differing.any():
        return replace(dataset, cases=index, notes=(*dataset.notes, note))
    problem = (
        f"{differing.sum()} of {len(index)} cases have images of {_differing_classes(dataset, index, differing)}"
    )
    if cases.differing != DROP:
        normal_way = "" if normal is not None else (
            ", `cases: {normal: CLASS}` names a class that yields to any other"
        )  # fmt: skip
        raise DataError(
            f"{problem}: a case has one class; `cases: {{differing: drop}}` leaves such cases out{normal_way}",
            file=source,
        )
    kept = ~differing[index.index]
    return replace(
        dataset,
        cases=index,
        splits={name: positions[kept[positions]] for name, positions in dataset.splits.items()},
        folds=None if dataset.folds is None else tuple(Fold(t[kept[t]], v[kept[v]]) for t, v in dataset.folds),
        notes=(*dataset.notes, note, f"left out, as asked: {problem} ({plural(int((~kept).sum()), 'image')})"),
    )


def _differing_classes(dataset: ImageDataset, index: CaseIndex, differing: Array) -> str:
    """Return the classes of the first case that differs, and which case that is, in words."""
    case = int(np.flatnonzero(differing)[0])
    images = np.flatnonzero(index.index == case)
    names = [dataset.class_names[label] for label in np.unique(dataset.labels[images])]
    column = dataset.groups if index.rule.by == BY_PATIENT else dataset.subgroups[index.rule.by]
    value = "" if column is None else column[images[0]]
    return f"several classes (first: {index.rule.by} {value}: {first_names(names)})"

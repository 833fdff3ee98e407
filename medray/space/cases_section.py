"""The section `cases`: one answer from several images of a patient, an exam or a lesion."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from medray.errors import ConfigError, unknown_choice_line
from medray.stats.case_rule import ANSWERS, MEAN, CaseRule
from medray.tasks import SINGLE, TASKS

DIFFERING = FAIL, DROP = ("fail", "drop")


@dataclass(frozen=True)
class Cases:
    """Images of one case: `by` is patient or the name of a column, `answer` how their answers become one.

    `normal` is the class that says that nothing is there, of `task: single`. Cases whose images have classes that
    make no label of the case (two, or two besides the normal one) are `differing`: fail (an error) or drop.
    """

    by: str
    answer: str = MEAN
    normal: str | None = None
    differing: str = FAIL


def read_cases(section: object, task: str) -> Cases:
    """Return the section of a search space whose task is `task`.

    Raises:
        ConfigError: a key or value is not allowed; the key is named.
    """
    if not isinstance(section, Mapping):
        raise ConfigError(f"{section!r} is not a section of keys and values", key="cases")
    names = [field.name for field in fields(Cases)]
    for key in section:
        if key not in names:
            raise ConfigError(unknown_choice_line("key", str(key), names), key=f"cases.{key}")
    values: dict[str, Any] = dict(section)
    if "by" not in values:
        raise ConfigError("is missing: `patient`, or the name of a column", key="cases.by")
    for key in ("by", "normal"):
        if key == "normal" and type(values.get(key)) is int:
            values[key] = str(values[key])
        if key in values and not (isinstance(values[key], str) and values[key].strip()):
            raise ConfigError(f"{values[key]!r} is no name", key=f"cases.{key}")
    for key, allowed in (("answer", ANSWERS), ("differing", DIFFERING)):
        if key in values and values[key] not in allowed:
            raise ConfigError(unknown_choice_line("value", str(values[key]), allowed), key=f"cases.{key}")
    cases = Cases(**values)
    for key, value in (("normal", cases.normal), ("differing", cases.differing == DROP)):
        if value and task != SINGLE.name:
            raise ConfigError(
                f"is of `task: {SINGLE.name}`: other tasks have a label for every case", key=f"cases.{key}"
            )
    try:
        CaseRule(cases.by, cases.answer, TASKS[task].label_kind, None if cases.normal is None else 0)
    except ConfigError as error:
        raise error.within(key="cases.answer") from None
    return cases

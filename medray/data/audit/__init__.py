"""A first look at images before any training: what they are (survey, profile), and what is wrong (audit).

`survey` reads every image once; `audit` and `profile` only look at what it kept. `find_leaks` does both for a data
set that is in memory.
"""

from medray.data.audit.auditing import audit, find_leaks
from medray.data.audit.families import copy_families, families, measured_families, with_patients
from medray.data.audit.findings import KINDS, Audit, CopyRow, Finding
from medray.data.audit.reading import open_source, pictures, survey, survey_dataset, survey_source
from medray.data.audit.surveyed import Survey

__all__ = [
    "KINDS", "Audit", "CopyRow", "Finding", "Survey", "audit", "copy_families", "families", "find_leaks",
    "measured_families", "open_source", "pictures", "survey", "survey_dataset", "survey_source", "with_patients",
]  # fmt: skip

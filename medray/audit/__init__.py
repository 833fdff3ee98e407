"""A first look at images before any training: what they are (survey, profile), and what is wrong (audit).

`survey` reads every image once; `audit` and `profile` only look at what it kept. `find_leaks` does both for a data
set that is in memory.
"""

from medray.audit.audit import audit, find_leaks
from medray.audit.findings import KINDS, Audit, CopyRow, Finding
from medray.audit.survey import Survey
from medray.audit.survey_images import open_source, pictures, survey, survey_dataset, survey_source
from medray.data.similarity.groups import copy_families, families, measured_families, with_patients

__all__ = [
    "KINDS", "Audit", "CopyRow", "Finding", "Survey", "audit", "copy_families", "families", "find_leaks",
    "measured_families", "open_source", "pictures", "survey", "survey_dataset", "survey_source", "with_patients",
]  # fmt: skip

"""Survey -> Audit: all checks, leaks first."""

from medray._types import Progress, silent
from medray.audit.contents import find_small_classes, find_unusable
from medray.audit.findings import Audit
from medray.audit.overlap import copy_rows, find_leaks_between_parts, find_other_copies
from medray.audit.shifts import find_shifts
from medray.audit.survey import Survey
from medray.audit.survey_images import survey_dataset
from medray.data.dataset import ImageDataset
from medray.data.similarity.duplicates import find_copies


def audit(survey: Survey) -> Audit:
    """Check a survey for everything in KINDS.

    Raises:
        DataError: millions of images look the same.
    """
    copies = find_copies(survey.measures)
    findings = (
        *find_leaks_between_parts(survey, copies),
        *find_other_copies(survey, copies),
        *find_unusable(survey),
        *find_small_classes(survey),
        *find_shifts(survey),
    )
    return Audit(survey.source, len(survey), findings, tuple(copy_rows(survey, copies)))


def find_leaks(dataset: ImageDataset, progress: Progress = silent) -> Audit:
    """Look for leaks only: copies and patients that splits, or the sides of ready-made folds, share.

    Fast enough for the start of every search: a second for 6,000 images of 28 x 28.

    Raises:
        DataError: millions of images look the same.
    """
    survey = survey_dataset(dataset.original or dataset, progress)
    copies = find_copies(survey.measures)
    findings = tuple(find_leaks_between_parts(survey, copies))
    return Audit(survey.source, len(survey), findings, tuple(copy_rows(survey, copies)))

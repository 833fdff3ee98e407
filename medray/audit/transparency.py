"""Transparency: an alpha channel that tells classes apart.

Alpha changes no pixel that a network sees. But where it differs by class, the classes were not prepared alike: one
was cut out, or went through another program, which may have left more behind than its alpha.
"""

from collections.abc import Iterator

import numpy as np

from medray._types import Array
from medray.audit.balance import SMALL_V, Difference, compare_classes
from medray.audit.findings import WARNING, Finding
from medray.audit.shifts import label_columns
from medray.audit.survey import Survey
from medray.text import plural

COMPARISONS = 2  # by whether images are transparent, and by how much


def find_transparency(survey: Survey) -> Iterator[Finding]:
    """Yield a finding if the opacity of images differs by class."""
    opacity, columns = survey.measures.opacity, label_columns(survey)
    differences: dict[str, Difference] = {}
    for label, classes in columns.items():
        known = np.flatnonzero((classes >= 0) & survey.measures.readable)
        patients = {survey.patients[image] for image in known.tolist()}
        independent = 1.0 if None in patients else len(patients) / max(len(known), 1)
        difference = compare_opacity(opacity[known], classes[known], independent, len(columns))
        if difference is not None:
            differences[label] = difference
    if not differences:
        return
    answers = survey.answers()
    names = []
    for index, name in enumerate(survey.class_names):
        of_class = opacity[(answers[:, index] == 1) & survey.measures.readable]
        if len(of_class) and (name in differences or not survey.label_sets):
            transparent = f"{int((of_class < 1).sum())} of {plural(len(of_class), 'image')}"
            names.append(f"{name} {transparent} (mean opacity {of_class.mean():.0%})")
    effect = max(difference.effect for difference in differences.values())
    text = f"transparency tells classes apart (Cramér's V {effect:.2f}): {', '.join(names)}"
    yield Finding("transparency", WARNING, text, len(names), tuple(names))


def compare_opacity(
    opacity: Array, classes: Array, independent: float = 1.0, labels: int = 1
) -> Difference | None:
    """Return how much the opacity (n,), 0 to 1, of images tells of their classes int64 (n,); None if nothing.

    Images are divided into transparent ones and others, then at the median opacity, and each part's classes are
    compared with the rest's (`compare_classes`; Bonferroni, also over so many `labels` that are asked for one by
    one); the larger difference that stands out is returned.
    """
    if not (opacity < 1).any():
        return None
    median = np.median(opacity)
    halves = max((opacity < median, opacity > median), key=lambda part: int(part.sum()))
    differences = [compare_classes(classes, part, independent) for part in (opacity < 1, halves)]
    clear = [d for d in differences if d is not None and d.stands_out(SMALL_V, COMPARISONS * labels)]
    return max(clear, key=lambda difference: difference.effect, default=None)

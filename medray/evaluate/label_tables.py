"""Tables of an evaluation where images may have several labels, a row for each label."""

from collections.abc import Sequence

from medray.console_tables import Columns, interval
from medray.evaluate.scores_document import PointOnTest, Scores, SetsOnTest

CLASSES_TITLE = "The ensemble by label, called from a probability of one half; 95 % intervals"
CONFUSION_TITLES = ("with it, called", "with it, missed", "without, called", "without, not called")
RATE_TITLES = {"sensitivity": "sensitivity", "specificity": "specificity", "ppv": "PPV", "npv": "NPV"}
Rows = tuple[str, list[str], Columns]  # title, labels of the rows, and columns


def labels_without_auc(scores: Scores) -> list[str]:
    """Return the labels that no test image has, or every one, so that no mean over labels has them."""
    return [row.name for row in scores.per_class if row.auc.value is None]


def tables_of_labels(scores: Scores) -> list[Rows]:
    """Return the operating points of each rule, the sets of each coverage, and the confusion by label."""
    points: dict[str, list[PointOnTest]] = {}
    for point in scores.operating_points:
        points.setdefault(point.name, []).append(point)
    sets: dict[float, list[SetsOnTest]] = {}
    for of_label in scores.conformal_sets:
        sets.setdefault(of_label.coverage, []).append(of_label)
    names = list(scores.class_names)
    counts = [list(map(str, column)) for column in zip(*scores.confusion_matrix, strict=True)]
    return [
        *(_points(name, rows) for name, rows in points.items()),
        *(_sets(coverage, rows) for coverage, rows in sets.items()),
        (
            "Images by label, called from a probability of one half",
            names,
            list(zip(CONFUSION_TITLES, counts, strict=True)),
        ),
    ]


def _points(name: str, points: Sequence[PointOnTest]) -> Rows:
    columns: Columns = [
        ("from", [f"{point.threshold:.4f}" for point in points]),
        ("promised", [f"{point.promised:g}" if point.promised else "nothing" for point in points]),
        ("cases", [str(point.test.tp + point.test.fn) for point in points]),
    ]
    columns += [(title, [interval(getattr(p.test, key)) for p in points]) for key, title in RATE_TITLES.items()]
    title = f"Operating points {name} on test, set on {points[0].set_on}"
    return title, [point.positive for point in points], columns


def _sets(coverage: float, sets: Sequence[SetsOnTest]) -> Rows:
    columns: Columns = [
        ("images", [str(row.test.covered.total) for row in sets]),
        ("with it: hold yes", [interval(row.having) if row.having else "–" for row in sets]),
        ("hold the true answer", [interval(row.test.covered) for row in sets]),
        ("not sure", [interval(row.test.not_sure) for row in sets]),
    ]
    promise = (
        "new images with a label have it at that rate, and those without it"
        if all(row.promised for row in sets)
        else "nothing is promised: the images that set them also selected the networks"
    )
    title = f"Sets of the answers yes and no at {coverage:.4g}; {promise}"
    return title, [row.event.name if row.event else "" for row in sets], columns

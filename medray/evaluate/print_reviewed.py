"""Print what reviewers ask for: calibration, agreement, likelihood ratios and net benefit."""

from collections.abc import Sequence

from rich.console import Console

from medray.console import say
from medray.console_tables import interval, number, p_value, print_table
from medray.evaluate.reviewed_scores import DecisionCurve, ReviewedScores
from medray.evaluate.scores_document import PointOnTest, ReadScores
from medray.stats.likelihood_ratios import PredictiveValues, predictive_values
from medray.text import first_names

SHOWN = (0.05, 0.1, 0.2, 0.3, 0.5)  # threshold probabilities of the printed table
MOST_CURVES = 3


def print_reviewed(console: Console, reviewed: ReviewedScores, unit: str = "image") -> None:
    """Print calibration by class, the calibration error beside chance's, agreement, ratios and net benefit.

    `unit` is what an answer is of: image or case.
    """
    rows = reviewed.classes
    columns = [
        (f"{unit}s", [str(row.images) for row in rows]),
        ("intercept (0)", [interval(row.calibration.intercept) for row in rows]),
        ("slope (1)", [interval(row.calibration.slope) for row in rows]),
        ("average precision", [number(row.average_precision) for row in rows]),
    ]
    each, noun = ("each label", "label") if reviewed.label_sets else ("each class against the rest", "class")
    title = f"The ensemble's calibration, {each}; in brackets what is right"
    print_table(console, title, [row.name for row in rows], columns, noun)
    error = reviewed.calibration_error
    say(
        console,
        f"Calibration error {error.value:.3f}; a perfectly calibrated model with these probabilities has "
        f"{error.mean:.3f} by chance, in one of twenty cases {error.high:.3f} or more (p {p_value(error.p)}).",
    )
    if agreement := agreement_line(reviewed):
        say(console, agreement)
    if reviewed.likelihood_ratios:
        columns = [
            ("LR+", [interval(row.ratios.positive) for row in reviewed.likelihood_ratios]),
            ("LR-", [interval(row.ratios.negative) for row in reviewed.likelihood_ratios]),
        ]
        labels = [f"{row.point} ({row.positive})" for row in reviewed.likelihood_ratios]
        print_table(console, "Likelihood ratios of the operating points", labels, columns, "point")
        for label, row in zip(labels, reviewed.likelihood_ratios, strict=True):
            if row.ratios.reason:
                say(console, f"No interval of the likelihood ratios of {label}: {row.ratios.reason}.")
    printed = reviewed.main_curves(MOST_CURVES)
    for curve in printed:
        _print_curve(console, curve)
    if rest := [curve.event.name for curve in reviewed.decision_curves if curve not in printed]:
        say(console, f"Net benefit of {first_names(rest)} is in scores.json, and in the page of medray report.")


def agreement_line(reviewed: ReviewedScores) -> str:
    """Return the measures of agreement in a sentence, empty for several labels an image."""
    if reviewed.mcc is None:
        return ""
    weighted = ""
    if reviewed.weighted_kappa is not None:
        names = [row.name for row in reviewed.classes]
        weighted = f"; if {names[0]} to {names[-1]} are grades, kappa with quadratic weights is "
        weighted += number(reviewed.weighted_kappa)
    return f"Matthews' correlation {number(reviewed.mcc)}, Cohen's kappa {number(reviewed.kappa)}{weighted}."


def at_prevalence(scores: ReadScores, prevalence: float) -> list[tuple[PointOnTest, PredictiveValues]]:
    """Return each operating point with its PPV and NPV where a share `prevalence` of the images are cases.

    Raises:
        ConfigError: the prevalence does not lie between 0 and 1.
    """
    rows = zip(scores.operating_points, scores.reviewed.likelihood_ratios, strict=True)
    return [(point, predictive_values(point.test, row.ratios, prevalence)) for point, row in rows]


def print_prevalences(console: Console, scores: ReadScores, prevalences: Sequence[float]) -> None:
    """Print PPV and NPV of the operating points at each of the `prevalences`."""
    for prevalence in prevalences if scores.operating_points else ():
        values = [value for _, value in at_prevalence(scores, prevalence)]
        columns = [
            ("PPV", [interval(value.ppv) for value in values]),
            ("NPV", [interval(value.npv) for value in values]),
        ]
        labels = [f"{point.name} ({point.positive})" for point in scores.operating_points]
        title = f"Where a share of {prevalence:g} are cases, at the sensitivity and specificity on test"
        print_table(console, title, labels, columns, "point")


def _print_curve(console: Console, curve: DecisionCurve) -> None:
    points = [point for point in curve.points if round(point.threshold, 6) in SHOWN]
    columns = [
        ("the ensemble", [interval(point.model) for point in points]),
        ("calling all", [number(point.all) for point in points]),
        ("gain over all", [interval(point.over_all, sign=True) for point in points]),
    ]
    title = f"Net benefit of calling '{curve.event.name}' from a probability on (calling none: 0)"
    print_table(console, title, [f"{point.threshold:g}" for point in points], columns, "from")

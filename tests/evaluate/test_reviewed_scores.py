"""What reviewers ask for of the ensemble: by class and point, through JSON, and in words."""

import io
import json

import numpy as np
import pytest
from rich.console import Console

from medray.decisions.thresholds import Rule, set_point
from medray.evaluate.print_reviewed import agreement_line, print_reviewed
from medray.evaluate.reviewed_scores import ReviewedScores, review
from medray.stats.scores import Predictions

NAMES = ("normal", "case")


def calibrated(images: int, sharpness: float = 1.0) -> Predictions:
    """Answers whose log-odds are `sharpness` times those by which the labels are drawn."""
    rng = np.random.default_rng(3)
    odds = 2 * rng.normal(size=images)
    labels = (rng.random(images) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    positive = 1 / (1 + np.exp(-sharpness * odds))
    return Predictions(np.stack([1 - positive, positive], axis=1), labels, 2)


def test_an_overconfident_model_shows_in_its_slope_and_beside_chance() -> None:
    right, sure = (review(calibrated(600, sharpness), NAMES, [], None, 0) for sharpness in (1.0, 2.5))
    assert right.classes[1].calibration.slope.low is not None
    assert right.classes[1].calibration.slope.low < 1 < (right.classes[1].calibration.slope.high or 0)
    assert (sure.classes[1].calibration.slope.high or 1) < 0.6
    assert right.calibration_error.p > 0.05 > sure.calibration_error.p
    assert right.calibration_error.value < right.calibration_error.high
    assert [curve.event.name for curve in right.decision_curves] == ["case"]
    assert [curve.event.name for curve in right.calibration_curves] == ["case"]
    assert all(p.low <= p.score <= p.high for p in right.calibration_curves[0].smooth)
    assert sure.calibration_curves[0].smooth[-5].high < sure.calibration_curves[0].smooth[-5].score


def test_every_class_of_several_has_a_calibration_curve_unless_a_point_names_one() -> None:
    rng, names = np.random.default_rng(0), ("a", "b", "c")
    answers = Predictions(rng.dirichlet(np.ones(3), size=90), np.arange(90) % 3, 3)
    assert [curve.event.name for curve in review(answers, names, [], None, 0).calibration_curves] == list(names)
    point = set_point(Rule("youden"), answers.probabilities, answers.labels, names, "c", "val")
    reviewed = review(answers, names, [(point, point.rates)], None, 0)
    assert [curve.event.name for curve in reviewed.calibration_curves] == ["c"]


def test_points_have_ratios_and_a_curve_of_their_class_and_survive_json() -> None:
    answers = calibrated(300)
    points = [set_point(Rule("youden"), answers.probabilities, answers.labels, NAMES, "normal", "val")]
    rated = [(point, point.rates) for point in points]
    reviewed = review(answers, NAMES, rated, np.arange(300) // 3, 0)
    assert [curve.event.name for curve in reviewed.decision_curves] == ["normal"]
    rates = points[0].rates
    expected = (rates.sensitivity.value or 0) / (1 - (rates.specificity.value or 0))
    assert reviewed.likelihood_ratios[0].ratios.positive.value == pytest.approx(expected)
    assert ReviewedScores.from_dict(json.loads(json.dumps(reviewed.to_dict(), allow_nan=False))) == reviewed


def test_it_is_printed_with_what_chance_alone_gives() -> None:
    answers = calibrated(300)
    stream = io.StringIO()
    print_reviewed(Console(file=stream, width=100), review(answers, NAMES, [], None, 0))
    text = stream.getvalue()
    assert "each class against the rest" in text
    assert "by chance, in one of twenty cases" in text
    assert "Net benefit of calling 'case'" in text


@pytest.mark.parametrize(
    ("names", "graded"),
    [
        (("0", "1", "2"), True), (("KL1", "KL2", "KL10"), True), (("none", "mild", "severe"), True), (("0", "1"), False), (("2", "1", "0"), False),
        (("mild", "none", "severe"), False), (("0", "1", "nan"), False), (("0", "1", "01"), False),
        (("benign", "malignant", "normal"), False),
    ],
)  # fmt: skip
def test_kappa_has_quadratic_weights_only_where_classes_look_like_grades(
    names: tuple[str, ...], graded: bool
) -> None:
    rng, classes = np.random.default_rng(0), len(names)
    labels = np.arange(90) % classes
    near = np.clip(labels + rng.integers(-1, 2, 90), 0, classes - 1)
    reviewed = review(Predictions(np.eye(classes)[near], labels, classes), names, [], None, 0)
    assert (reviewed.weighted_kappa is not None) == graded
    assert ("kappa with quadratic weights" in agreement_line(reviewed)) == graded
    if graded:  # 1 - observed over expected squared distance (Cohen 1968)
        expected = np.square(np.subtract.outer(labels, near)).mean()
        assert reviewed.weighted_kappa == pytest.approx(1 - np.square(labels - near).mean() / expected)
        assert reviewed.weighted_kappa > (reviewed.kappa or 0)


def test_one_class_alone_has_no_weighted_kappa() -> None:
    answers = Predictions(np.eye(3)[np.zeros(9, dtype=np.int64)], np.zeros(9, dtype=np.int64), 3)
    assert review(answers, ("0", "1", "2"), [], None, 0).weighted_kappa is None


def test_a_class_without_images_has_gaps() -> None:
    answers = Predictions(np.full((20, 2), 0.5), np.zeros(20, dtype=np.int64), 2)
    reviewed = review(answers, NAMES, [], None, 0)
    assert reviewed.classes[1].average_precision is None
    assert reviewed.classes[1].calibration.slope.value is None
    json.dumps(reviewed.to_dict(), allow_nan=False)


def test_the_calibration_curve_is_by_patient() -> None:
    answers = calibrated(300)
    (by_image,), (by_patient,) = (
        review(answers, NAMES, [], groups, 0).calibration_curves for groups in (None, np.arange(300) % 60)
    )
    assert (len(by_image.bins), len(by_patient.bins)) == (10, 3)
    assert by_image.smooth != by_patient.smooth


def test_ratios_by_patient_are_wider_and_say_why_there_are_none() -> None:
    answers = calibrated(300)
    point = set_point(Rule("youden"), answers.probabilities, answers.labels, NAMES, "case", "val")
    by_image, by_patient, by_few = (
        review(answers, NAMES, [(point, point.rates)], groups, 0).likelihood_ratios[0].ratios
        for groups in (None, np.argsort(np.argsort(answers.probabilities[:, 1])) // 6, np.arange(300) % 8)
    )
    assert by_image.positive.low is not None
    assert by_patient.positive.low is not None
    assert by_patient.positive.low < by_image.positive.low
    assert (by_few.positive.low, by_few.reason) == (None, "8 patients: too few")
    stream = io.StringIO()
    print_reviewed(
        Console(file=stream, width=100), review(answers, NAMES, [(point, point.rates)], np.arange(300) % 8, 0)
    )
    assert "No interval of the likelihood ratios of youden (case): 8 patients: too few." in stream.getvalue()

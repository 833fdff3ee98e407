"""Of several labels an image: what is unknown is left out, few curves are drawn, and mistakes are wrong answers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.decisions.thresholds import Rule, set_point
from medray.evaluate.reviewed_scores import ReviewedScores, review
from medray.report.figures_calibration import calibration_chart
from medray.report.figures_decision import decisions_table
from medray.report.figures_label_risks import label_risks_chart
from medray.report.figures_models import reliability_chart
from medray.report.figures_roc import roc_chart
from medray.report.image_album import MAX_PICTURES, label_issue_captions, worst_mistakes
from medray.report.model_predictions import ModelPredictions
from medray.stats.events import Event
from medray.stats.label_set_predictions import LabelSetPredictions
from medray.stats.label_sets import label_set_metrics
from tests.label_set_samples import LabelSetWorld
from tests.report.conftest import ISSUES

NAMES = tuple(f"finding {i}" for i in range(14))
EVENTS = [Event(name, i) for i, name in enumerate(NAMES)]
WORLD = LabelSetWorld(patients=150, mates=2, rates=tuple(np.linspace(0.4, 0.08, 14)), unknown=0.1)


@pytest.fixture(scope="module")
def predicted() -> ModelPredictions:
    """Fourteen labels, of which no image has the last and each has the one before."""
    sets, _ = WORLD.draw(np.random.default_rng(0))
    labels = sets.labels.copy()
    labels[:, 13], labels[:, 12] = np.where(labels[:, 13] == 1, 0, labels[:, 13]), 1
    return ModelPredictions("the ensemble", "test", sets.probabilities, labels)


def reviewed_with_points(predicted: ModelPredictions) -> ReviewedScores:
    points = [
        set_point(Rule("sensitivity", 0.8), predicted.probabilities, predicted.labels, NAMES, name, "val")
        for name in NAMES[:6]
    ]
    sets = LabelSetPredictions(predicted.probabilities, predicted.labels, len(NAMES))
    return review(sets, NAMES, [(point, point.rates) for point in points], None, 0)


def test_roc_curves_leave_out_what_is_unknown_and_name_labels_without_a_curve(predicted: ModelPredictions) -> None:
    from sklearn.metrics import roc_auc_score

    chart = roc_chart(predicted, EVENTS, ())
    assert chart is not None
    assert chart.data["class"] == list(NAMES[:12])
    for i, area in enumerate(chart.data["auc"]):
        known = predicted.labels[:, i] >= 0
        expected = roc_auc_score(predicted.labels[known, i], predicted.probabilities[known, i])
        assert area == pytest.approx(expected, abs=1e-9)
    assert "No curve of finding 12, finding 13" in chart.summary
    assert "more" not in chart.summary


def test_of_two_labels_both_have_a_curve(predicted: ModelPredictions) -> None:
    pair = ModelPredictions("the ensemble", "test", predicted.probabilities[:, :2], predicted.labels[:, :2])
    chart = roc_chart(pair, EVENTS[:2], ())
    assert chart is not None
    assert chart.data["class"] == list(NAMES[:2])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.floats(1e-6, 1.0))
def test_probability_bars_count_every_known_answer_once(seed: int, highest: float) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(-1, 2, size=(30, 3))
    labels[0] = 0
    probabilities = (rng.random((30, 3)) * highest).astype(np.float32)
    chart = label_risks_chart(ModelPredictions("the ensemble", "test", probabilities, labels), EVENTS[:3], ())
    for column in range(3):
        assert sum(chart.data["with"][column]) == (labels[:, column] == 1).sum()
        assert sum(chart.data["without"][column]) == (labels[:, column] == 0).sum()


def test_at_most_twelve_labels_are_drawn_those_with_most_images(predicted: ModelPredictions) -> None:
    point = set_point(Rule("sensitivity", 0.8), predicted.probabilities, predicted.labels, NAMES, NAMES[2], "val")
    chart = label_risks_chart(predicted, EVENTS, [point])
    assert len(chart.data["label"]) == 12
    assert "finding 13" not in chart.data["label"]
    assert chart.data["thresholds"][2] == [point.threshold]
    assert "12 labels of most images, without 2 more" in chart.summary


def test_calibration_curves_and_bars_are_of_known_answers(predicted: ModelPredictions) -> None:
    curves = reviewed_with_points(predicted).calibration_curves
    chart = calibration_chart(curves, predicted, "image")
    assert chart.table is not None
    assert chart.table.head[:3] == ["label", "mean probability", "share that has it"]
    for i, name in enumerate(chart.data["class"]):
        known = int((predicted.labels[:, NAMES.index(name)] >= 0).sum())
        assert sum(chart.data["bars"][i]) == sum(chart.data["images"][i]) == known < len(predicted.labels)
    assert "have the label" in chart.summary


def test_decision_curves_of_the_labels_with_most_images_are_shown_and_the_rest_are_a_table(
    predicted: ModelPredictions,
) -> None:
    reviewed = reviewed_with_points(predicted)
    shown = reviewed.main_curves(4)
    images = [int((predicted.labels[:, i] == 1).sum()) for i in range(6)]
    most = sorted(sorted(range(6), key=lambda i: -images[i])[:4])
    assert [curve.event.class_index for curve in shown] == most
    rest = [curve for curve in reviewed.decision_curves if curve not in shown]
    table = decisions_table(rest)
    assert table.folded
    assert {row[0] for row in table.rows} == {curve.event.name for curve in rest}
    assert len(table.rows) == 6 * len(rest)


def test_reliability_pools_all_known_answers(predicted: ModelPredictions) -> None:
    chart = reliability_chart([predicted])
    (counts,), (error,) = chart.data["count"], chart.data["calibration_error"]
    assert sum(counts) == (predicted.labels >= 0).sum()
    assert error == pytest.approx(
        label_set_metrics(predicted.probabilities, predicted.labels)["calibration_error"]
    )
    assert chart.spec["layout"]["xaxis"]["title"]["text"] == "probability of the label"
    assert chart.spec["layout"]["yaxis"]["title"]["text"] == "share that has it"


def test_the_worst_mistakes_are_the_least_credible_answers() -> None:
    labels = np.array([[1, 0, -1], [0, 1, 1], [1, 1, 0]])
    probabilities = np.array([[0.1, 0.7, 0.9], [0.4, 0.02, 0.6], [0.8, 0.5, 0.95]], dtype=np.float32)
    predictions = ModelPredictions("the ensemble", "val", probabilities, labels, np.array([7, 8, 9]))
    assert predictions.mistakes == 4
    assert worst_mistakes(predictions, ["a", "b", "c"]) == [
        (8, ["with b", "probability of it 0.02", "image 8"]),
        (9, ["without c", "probability of it 0.95", "image 9"]),
        (7, ["with a", "probability of it 0.10", "image 7"]),
        (7, ["without b", "probability of it 0.70", "image 7"]),
    ]


def test_there_are_at_most_so_many_pictures(predicted: ModelPredictions) -> None:
    positions = np.arange(len(predicted.labels))
    placed = ModelPredictions("the ensemble", "val", predicted.probabilities, predicted.labels, positions)
    assert placed.mistakes > MAX_PICTURES == len(worst_mistakes(placed, NAMES))


def test_a_doubted_answer_is_read_as_one() -> None:
    table = f"{ISSUES}1,145,train,with Edema,without Edema,0.16,0.84,0.9\n".encode()
    ((position, lines),) = label_issue_captions(table, "label_issues.csv", label_sets=True)
    assert position == 145
    assert lines == ["labelled with Edema (0.16)", "rather without Edema (0.84)", "image 145 (train)"]

"""What is printed of many labels: tables of a few of them, and where the others are."""

import io

import numpy as np
import pytest
from rich.console import Console

from medray._types import Array
from medray.decisions.thresholds import OperatingPoint, Rule, set_point
from medray.evaluate.print_reviewed import MOST_CURVES, print_reviewed
from medray.evaluate.print_subgroups import MOST_EVENTS, main_rates
from medray.evaluate.reviewed_scores import review
from medray.evaluate.subgroup_rates import subgroup_rates
from medray.stats.label_set_predictions import LabelSetPredictions
from tests.label_set_samples import LabelSetWorld

NAMES = tuple(f"finding {i}" for i in range(6))
RATES = (0.1, 0.2, 0.3, 0.4, 0.15, 0.25)


@pytest.fixture(scope="module")
def model() -> LabelSetPredictions:
    return LabelSetWorld(patients=400, mates=1, rates=RATES, shared=0.0).draw(np.random.default_rng(0))[0]


def points(table: Array, labels: Array) -> list[OperatingPoint]:
    return [set_point(Rule("sensitivity", 0.8), table, labels, NAMES, name, "val") for name in NAMES]


def test_net_benefit_is_printed_of_the_labels_with_most_images(model: LabelSetPredictions) -> None:
    rated = [(point, point.rates) for point in points(model.probabilities, model.labels)]
    stream = io.StringIO()
    print_reviewed(Console(file=stream, width=80), review(model, NAMES, rated, None, 0))
    text = stream.getvalue()
    titles = [line for line in text.splitlines() if line.startswith("Net benefit of calling")]
    assert [title.split("'")[1] for title in titles] == ["finding 2", "finding 3", "finding 5"]
    assert len(titles) == MOST_CURVES
    said = " ".join(text.split())
    assert (
        "Net benefit of finding 0, finding 1, finding 4 is in scores.json, and in the page of medray report."
        in said
    )
    assert "calibration, each label; in brackets" in said
    assert "against the rest" not in said
    assert max(len(line) for line in text.splitlines() if line.startswith(" ")) <= 80


def test_rates_by_subgroup_are_of_the_labels_with_the_clearest_gaps(model: LabelSetPredictions) -> None:
    site = np.array(["a", "b"])[np.arange(len(model)) % 2]
    worse = model.probabilities.copy()
    worse[site == "b", 5] *= 0.3  # a label that is missed at one of the sites
    predictions = LabelSetPredictions(worse, model.labels, len(NAMES))
    tables = subgroup_rates(points(model.probabilities, model.labels), predictions, {"site": site})
    assert len(tables) == len(NAMES)
    kept = main_rates(tables, MOST_EVENTS)
    assert [table.positive for table in kept] == [table.positive for table in tables if table in kept]
    assert len(kept) == MOST_EVENTS
    assert "finding 5" in {table.positive for table in kept}
    assert main_rates(tables[:2], MOST_EVENTS) == list(tables[:2])

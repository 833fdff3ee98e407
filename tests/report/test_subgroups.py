"""The report by subgroup: the rates and gaps that were stored, a chart of them, and what is said without a point."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medray.console_tables import interval, p_value
from medray.decisions.thresholds import Rule, set_point
from medray.evaluate.scores_document import PointOnTest, ReadScores
from medray.evaluate.subgroup_rates import subgroup_rates
from medray.report.figures_subgroups import MOST_GROUPS
from medray.stats.scores import Predictions
from medray.stats.subgroups import subgroup_scores
from tests.report.conftest import draw, read

IMAGES = 500
SCORES = "evaluation/read_0001/scores.json"


def with_subgroups(run: Path, *, point: bool = True, **columns: Any) -> ReadScores:
    """Store scores in which the test images, made up anew, have these columns of subgroups."""
    rng = np.random.default_rng(0)
    stored = read(run / SCORES)
    names = tuple(stored["class_names"])
    labels = rng.integers(0, len(names), IMAGES)
    chances = rng.random((IMAGES, len(names))) + 0.5 * np.eye(len(names))[labels]
    model = Predictions(chances / chances.sum(axis=1, keepdims=True), labels, len(names))
    points = [set_point(Rule("sensitivity", 0.9), model.probabilities, labels, names, names[1], "val")]
    rates = subgroup_rates(points if point else [], model, columns)
    changed = {
        "subgroups": {
            name: [row.to_dict() for row in rows] for name, rows in subgroup_scores(model, columns).items()
        },
        "subgroup_rates": [table.to_dict() for table in rates],
        "operating_points": [PointOnTest.of(set_before, model).to_dict() for set_before in points if point],
        "reviewed": {
            **stored["reviewed"], "likelihood_ratios": stored["reviewed"]["likelihood_ratios"] if point else []
        },
    }  # fmt: skip
    (run / SCORES).write_text(json.dumps({**stored, **changed}))
    return ReadScores.from_dict({**stored, **changed})


def test_rates_and_gaps_are_those_that_were_stored(run: Path) -> None:
    sites = np.repeat(["a <b>", "b", "c", "d"], [200, 150, 144, 6])
    scores = with_subgroups(run, sex=np.arange(IMAGES) % 2, site=sites)
    page, _ = draw(run)
    assert [table.column for table in scores.subgroup_rates] == ["sex", "site"]
    for index, table in enumerate(scores.subgroup_rates):
        shown = page.data[f"gaps-{index}"]
        assert shown["group"] == [group.value for group in table.groups]
        for name, counted in (("sensitivity", "cases"), ("specificity", "others")):
            head, *rows = page.table(f"{name.capitalize()} by {table.column} at sensitivity 0.9 ('1')")
            assert head == [table.column, counted, name, "gap to all others", "p adjusted", ""]
            for row, group in zip(rows, table.groups, strict=True):
                rate = group.rates[name]
                gap = interval(rate.gap, sign=True) + (" *" if rate.gap.shown else "")
                assert row[:4] == [group.value, str(rate.rate.total), interval(rate.rate), gap]
                assert row[4:] == [p_value(rate.gap.adjusted_p), rate.gap.reason or ""]
            for end in ("value", "low", "high"):
                assert shown[f"{name}_{end}"] == [getattr(g.rates[name].gap, end) for g in table.groups]
    assert "8 gaps looked at, with p adjusted for all of them (Holm)." in page.text
    traces = [trace for spec in page.specs for trace in spec["data"] if trace.get("name") == "sensitivity"]
    assert traces[1]["x"][3] is None, "a gap of few images has a mark"


def test_many_groups_are_a_table_alone(run: Path) -> None:
    with_subgroups(run, site=np.arange(IMAGES) % (MOST_GROUPS + 1))
    page, _ = draw(run)
    assert len(page.table("Sensitivity by site at sensitivity 0.9")) == MOST_GROUPS + 2
    assert "gaps-0" not in page.data


@pytest.mark.parametrize("point", [True, False])
def test_without_an_operating_point_it_says_how_one_is_set(run: Path, point: bool) -> None:
    with_subgroups(run, point=point, sex=np.arange(IMAGES) % 2)
    page, _ = draw(run)
    assert len(page.table("The ensemble by sex, on the test split")) == 3
    assert ("gaps-0" in page.data) == point
    assert ("No operating point was set, so there is no sensitivity by subgroup" in page.text) != point


def test_a_run_without_subgroups_has_no_such_part(run: Path) -> None:
    page, _ = draw(run)
    assert "By subgroup" not in page.text

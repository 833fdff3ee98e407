"""Ranking of trials, the gain over the baselines, and the CSV."""

import csv
import io
from itertools import permutations

import pandas as pd
import pytest

from medray.config import TrainConfig
from medray.runs.leaderboard import gain, rank, to_csv, usable
from medray.runs.trial_record import FAILED, FINISHED, STOPPED, TrialRecord
from medray.stats.score_names import METRICS

RECORDS = [
    TrialRecord(0, FINISHED, baseline="plain", objective=0.7),
    TrialRecord(1, FAILED, reason="diverged"),
    TrialRecord(2, STOPPED, objective=0.9),
    TrialRecord(3, FINISHED, objective=0.2),
    TrialRecord(4, FAILED, objective=0.99, reason="its worker process died"),
    TrialRecord(5, FINISHED, objective=0.9),
    TrialRecord(6, FINISHED, baseline="big", objective=0.8),
    TrialRecord(7, FINISHED, objective=0.0),
]


@pytest.mark.parametrize(
    ("mode", "order"), [("max", [2, 5, 6, 0, 3, 7, 1, 4]), ("min", [7, 3, 0, 6, 2, 5, 1, 4])]
)  # fmt: skip
def test_rank_is_by_objective_then_number_and_failed_ones_come_last(mode: str, order: list[int]) -> None:
    assert [r.number for r in rank(RECORDS, mode)] == order
    assert [r.number for r in rank(reversed(RECORDS), mode)] == order


@pytest.mark.parametrize("mode", ["max", "min"])
def test_rank_does_not_depend_on_the_order_of_the_records(mode: str) -> None:
    expected = rank(RECORDS[:5], mode)
    assert all(rank(order, mode) == expected for order in permutations(RECORDS[:5]))


@pytest.mark.parametrize("mode", ["max", "min"])
def test_negative_objectives_are_ranked_too(mode: str) -> None:
    records = [TrialRecord(i, FINISHED, objective=value) for i, value in enumerate((-1.0, 0.0, 1.0))]
    assert [r.number for r in rank(records, mode)] == ([2, 1, 0] if mode == "max" else [0, 1, 2])


def test_failed_trials_are_not_usable_even_with_an_objective() -> None:
    assert {r.number for r in usable(RECORDS)} == {0, 2, 3, 5, 6, 7}


def test_gain_is_positive_where_the_search_is_better() -> None:
    higher = gain(RECORDS, "max")
    assert higher is not None
    assert (higher.best.number, higher.baseline.number) == (2, 6)
    assert higher.difference == pytest.approx(0.1)
    lower = gain(RECORDS, "min")
    assert lower is not None
    assert (lower.best.number, lower.baseline.number) == (7, 0)
    assert lower.difference == pytest.approx(0.7)


@pytest.mark.parametrize("mode", ["max", "min"])
def test_gain_is_negative_where_the_baseline_is_better(mode: str) -> None:
    baseline, searched = (0.9, 0.8) if mode == "max" else (0.8, 0.9)
    difference_to_baseline = gain(
        [TrialRecord(0, FINISHED, baseline="a", objective=baseline), TrialRecord(1, STOPPED, objective=searched)],
        mode,
    )
    assert difference_to_baseline is not None
    assert difference_to_baseline.difference == pytest.approx(-0.1)


def test_there_is_no_gain_without_one_of_each() -> None:
    assert gain([], "max") is None
    assert gain([r for r in RECORDS if r.baseline is None], "max") is None
    assert gain([r for r in RECORDS if r.baseline is not None], "max") is None
    assert gain([RECORDS[0], RECORDS[4]], "max") is None  # a failed trial is not compared


# -- the CSV


def record(number: int, state: str = FINISHED, **facts: object) -> TrialRecord:
    """A record with the settings that a search keeps, as `medray.search.ledger` makes it."""
    settings = TrainConfig(backbone="resnet18", schedule="none", epochs=40, seed=number).to_dict()
    del settings["pipeline"]
    values = {"objective": 0.5 + number / 100, "metrics": {n: i / 100 for i, n in enumerate(METRICS)}, **facts}
    return TrialRecord(number, state, settings=settings, epochs=9, best_epoch=4, parameters=123, **values)


def table(records: list[TrialRecord], metric: str = "auc") -> pd.DataFrame:
    return pd.read_csv(io.StringIO(to_csv(records, metric)))


@pytest.mark.parametrize("metric", ["auc", "log_loss"])
def test_csv_holds_all_metrics_and_settings(metric: str) -> None:
    records = [record(0), record(1, STOPPED, baseline="plain")]
    frame = table(records, metric)
    assert list(frame["trial"]) == [0, 1]
    assert list(frame["rank"]) == [1, 2]
    assert list(frame["state"]) == [FINISHED, STOPPED]
    assert list(frame[f"val_{metric}"]) == [0.5, 0.51]
    for i, name in enumerate(METRICS):
        if name != metric:
            assert list(frame[f"val_{name}"]) == [i / 100] * 2
    assert {c.removeprefix("val_") for c in frame.columns if c.startswith("val_")} == set(METRICS)
    assert set(records[0].settings) <= set(frame.columns)
    assert list(frame["backbone"]) == ["resnet18"] * 2
    assert list(frame["schedule"]) == ["none"] * 2
    assert list(frame["learning_rate"]) == [0.001] * 2
    assert list(frame["seed"]) == [0, 1]


def test_no_two_columns_have_the_same_name() -> None:
    header = next(csv.reader(io.StringIO(to_csv([record(0)], "auc"))))
    assert sorted({name for name in header if header.count(name) > 1}) == []


def test_a_failed_trial_has_no_rank_and_keeps_its_reason() -> None:
    reason = 'CUDA error: "out of memory", tried 2\nagain'
    frame = table([record(0), record(1, FAILED, objective=None, metrics={}, reason=reason)])
    assert frame["rank"].isna().tolist() == [False, True]
    assert frame["val_auc"].isna().tolist() == [False, True]
    assert frame["reason"][1] == reason


def test_settings_that_only_some_trials_have_are_blank_for_the_others() -> None:
    frame = table(
        [TrialRecord(0, FINISHED, objective=1.0, settings={"a": 1}), TrialRecord(1, FINISHED, settings={"b": 2})]
    )
    assert frame["a"].tolist()[0] == 1
    assert frame["b"].isna().tolist() == [True, False]


def test_numbers_are_written_in_full() -> None:
    assert f",{0.1 + 0.2!r}," in to_csv([record(0, objective=0.1 + 0.2)], "auc")


def test_an_empty_ranking_is_a_header() -> None:
    assert len(table([])) == 0

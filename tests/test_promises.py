"""A small, seeded part of benchmarks/promises: what medray promises is true of simulated studies."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.promises import comparisons, decisions, early_stopping, grades, intervals, nested, studies
from benchmarks.promises.answers import AnsweredPatients
from benchmarks.promises.intervals import ABOVE, BELOW, EMPTY, HOLDS, NONE, Intervals
from benchmarks.promises.judging import twice_error
from benchmarks.promises.population import Condition, Population
from benchmarks.promises.table import Section, write_section


@pytest.fixture(scope="module")
def population() -> Population:
    return Population(None, 0)


@pytest.fixture
def small_studies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studies, "NEW", 4000)
    monkeypatch.setattr(studies, "TRIALS_PER_STUDY", 6)
    monkeypatch.setattr(studies, "FOLDED", 2)


@pytest.mark.usefixtures("small_studies")
@pytest.mark.parametrize(("images", "cases", "per_patient"), [(600, 0.3, 1), (1500, 0.3, 3)])
def test_promises_hold_for_every_kind_of_ensemble(
    population: Population, images: int, cases: float, per_patient: int
) -> None:
    condition = Condition(0.9, images, cases, per_patient)
    results = []
    for number in range(20):
        results += decisions.measure_study(population, condition, np.random.default_rng([7, number]))
    by_ensemble = decisions.grouped(results)
    assert len(by_ensemble) == 5
    for alike in by_ensemble.values():
        assert all(result.set_on == "calibration" for result in alike)
        for target in (0.9, 0.95):
            true = np.array([result.sensitivity[target] for result in alike])
            error = 2.5 * true.std() / len(true) ** 0.5
            assert np.mean([result.promised[target] for result in alike]) > 0.8
            assert target - error <= true.mean() <= target + 0.03 + error
            covered = np.array([result.covered[target] for result in alike])
            error = 2.5 * covered.std() / len(covered) ** 0.5
            assert target - 0.01 - error <= covered.mean() <= decisions.highest_coverage(alike, target) + error


@pytest.mark.parametrize(
    ("auc", "images", "cases", "per_patient"), [(0.97, 100, 0.3, 1), (0.79, 300, 0.3, 5), (0.92, 300, 0.5, 5)]
)
def test_printed_intervals_hold_the_truth_in_93_of_100_test_splits(
    population: Population, auc: float, images: int, cases: float, per_patient: int
) -> None:
    """One image a patient and five; 400 test splits, so that a coverage of 0.93 is told from one of 0.90."""
    condition = Condition(auc, images, cases, per_patient)
    measured = intervals.measure_condition(population, condition, 400, np.random.default_rng(3))
    assert set(measured) == {"sensitivity", "specificity", "ppv", "npv", "accuracy", "auc"}
    for name, figure in measured.items():
        assert len(figure.printed) >= 200, name
        assert figure.holds.mean() >= 0.93 - 0.01, name
        assert intervals.judge(figure) == [], name


@pytest.mark.parametrize(
    ("grades_of_scale", "images", "noise", "per_patient"), [(5, 200, 1.0, 1), (3, 100, 0.4, 1), (5, 400, 0.7, 4)]
)
def test_promises_of_grades_hold(grades_of_scale: int, images: int, noise: float, per_patient: int) -> None:
    """Cuts, sets and intervals of 120 studies: the mean within what twice its standard error allows."""
    condition = grades.GradedCondition(grades_of_scale, images, noise, per_patient)
    kind = grades.measure_condition(condition, 120, np.random.default_rng(8))
    assert grades.broken_promises(kind) == []
    assert {name: len(found.printed) >= 40 for name, found in kind.intervals.items()} == dict.fromkeys(
        ("quadratic_kappa", "within_one", "grade_error", "AUC of the cut"), True
    )
    for target in (0.9, 0.95):
        assert np.mean([result.promised[target] for result in kind.results]) > 0.8
        assert target <= grades.sensitivities(kind, target).mean() + 0.01 <= target + 0.06
    assert len(grades.row_of(kind)) == len(grades.COLUMNS)


def test_a_sensitivity_below_its_target_breaks_the_promise() -> None:
    kind = grades.measure_condition(grades.GradedCondition(3, 100, 0.7, 1), 20, np.random.default_rng(0))
    for result in kind.results:
        result.sensitivity[0.9] -= 0.05
        result.covered[0.95] -= 0.05
    assert [line.split(" is ")[0] for line in grades.broken_promises(kind)] == ["sensitivity 0.9", "coverage 0.95"]


def of_sides(sides: dict[int, int], value: float = 0.9) -> Intervals:
    listed = np.repeat(list(sides), list(sides.values()))
    return Intervals(listed, np.full(len(listed), value))


@pytest.mark.parametrize(
    ("sides", "lines"),
    [
        ({HOLDS: 950, ABOVE: 25, BELOW: 25}, []),
        ({HOLDS: 900, ABOVE: 50, BELOW: 50}, ["coverage is 0.900 ± 0.019"]),
        ({HOLDS: 950, BELOW: 50}, ["all misses, 5.0% of intervals, lie below the truth"]),
        ({HOLDS: 950, ABOVE: 50}, ["all misses, 5.0% of intervals, lie above the truth"]),
        ({HOLDS: 980, BELOW: 20}, []),
        ({HOLDS: 980, BELOW: 19, EMPTY: 1}, ["1 empty interval"]),
        ({NONE: 995, BELOW: 5}, []),
    ],
)
def test_what_breaks_the_promise_of_an_interval(sides: dict[int, int], lines: list[str]) -> None:
    assert intervals.judge(of_sides(sides)) == lines


def test_no_interval_can_lie_above_the_truth_where_most_splits_are_perfect() -> None:
    assert intervals.judge(of_sides({HOLDS: 950, BELOW: 50}, value=1.0)) == []


@pytest.mark.parametrize("per_patient", [1, 5])
def test_a_family_of_16_comparisons_is_wrong_in_1_of_20_studies_at_most(
    population: Population, per_patient: int
) -> None:
    condition, rng = Condition(0.92, 300, 0.3, per_patient), np.random.default_rng(4)
    patients = AnsweredPatients.of(population, condition, rng)
    results = [comparisons.compare_equals(patients, condition, rng) for _ in range(60)]
    assert all(result.tested == 16 for result in results)
    family, alone = comparisons.wrong(results)
    assert family.mean() <= 0.05
    assert alone.mean() <= 0.1


def test_the_best_epoch_on_held_out_images_is_a_little_optimistic(
    population: Population, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(early_stopping, "EPOCHS", 10)
    monkeypatch.setattr(early_stopping, "NEW", 4000)
    condition = Condition(0.79, 150, 0.3, 1)
    results = [early_stopping.measure_study(population, condition, np.random.default_rng(n)) for n in range(8)]
    optimism = np.array([result.optimism for result in results if result is not None])
    assert len(optimism) == 8
    assert twice_error(optimism) < optimism.mean() < 0.1


def test_a_nested_figure_is_that_of_new_images_and_a_search_flatters_itself(population: Population) -> None:
    condition = Condition(0.92, 150, 0.3, 1)
    drawn = [nested.measure_study(population, condition, np.random.default_rng(n)) for n in range(12)]
    results = [result for result in drawn if result is not None]
    assert len(results) == 12
    bias = np.array([result.held_out - result.new for result in results])
    flattery = np.array([result.on_val - result.new for result in results])
    assert abs(bias.mean()) < 1.5 * twice_error(bias)
    assert flattery.mean() > twice_error(flattery)


def test_a_part_is_written_between_its_marks_only(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a <!-- x --> old <!-- end of x --> b <!-- y -->\n<!-- end of y -->\n")
    write_section(page, "x", Section(["n"], [["1"]], ["this"], ["Note."]))
    table = "| n |\n| --- |\n| 1 |\n\nNote.\n\nBroken:\n\n- this"
    assert page.read_text() == f"a <!-- x -->\n\n{table}\n\n<!-- end of x --> b <!-- y -->\n<!-- end of y -->\n"
    with pytest.raises(ValueError, match="lacks the marks <!-- z --> and <!-- end of z -->"):
        write_section(page, "z", Section(["n"]))

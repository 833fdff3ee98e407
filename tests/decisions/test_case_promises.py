"""What is promised of cases holds on new cases: thresholds and sets that were set on the answers to cases."""

import numpy as np
import pytest

from medray._types import Array
from medray.decisions.conformal import calibrate
from medray.decisions.promises import CALIBRATION
from medray.decisions.temperature import apply_temperature, fit_temperature
from medray.decisions.thresholds import Rule, set_point
from medray.stats.case_rule import CLASSES, MAX, MEAN, NOISY_OR, CaseRule
from medray.stats.cases import CaseIndex

ROUNDS = 300
Drawn = tuple[Array, Array, Array]  # answers (cases, 2), labels (cases,), patients (cases,)


def draw(rng: np.random.Generator, rule: CaseRule, patients: int, exams: int) -> Drawn:
    """Exams of one to five images, which a too sure network sees; exams of a patient are alike, and so are images."""
    cases = patients * exams
    labels = np.repeat(rng.integers(0, 2, size=patients), exams)
    sizes = rng.integers(1, 6, size=cases)
    of_case = np.repeat(rng.normal(0, 0.7, size=patients), exams) + rng.normal(0, 0.4, size=cases)
    numbers = np.repeat(np.arange(cases), sizes)
    logits = 2 * (1.2 * (2 * labels[numbers] - 1) + of_case[numbers] + rng.normal(0, 1.2, size=len(numbers)))
    sick = 1 / (1 + np.exp(-logits))
    answers = CaseIndex(rule, numbers).answers(np.stack([1 - sick, sick], axis=1).astype(np.float32))
    return answers, labels, np.repeat(np.arange(patients), exams)


@pytest.mark.parametrize("exams", [1, 3])
@pytest.mark.parametrize("answer", [MEAN, MAX, NOISY_OR])
def test_sensitivity_and_coverage_hold_on_new_cases(answer: str, exams: int) -> None:
    rng = np.random.default_rng(0)
    rule = CaseRule("exam", answer, CLASSES, 0)
    sensitivities, coverages = [], []
    for _ in range(ROUNDS):
        table, labels, patients = draw(rng, rule, 80, exams)
        temperature = fit_temperature(table, labels)
        table = apply_temperature(table, temperature)
        point = set_point(Rule("sensitivity", 0.9), table, labels, ("no", "yes"), "yes", CALIBRATION, patients)
        sets = calibrate(table, labels, 0.9, "lac", set_on=CALIBRATION, groups=patients)
        assert point.promised == 0.9
        new, new_labels, _ = draw(rng, rule, 200, exams)
        new = apply_temperature(new, temperature)
        sensitivities.append(point.decide(new)[new_labels == 1].mean())
        coverages.append(sets.sets(new)[np.arange(len(new)), new_labels].mean())
    for values in (sensitivities, coverages):
        noise = np.std(values) / np.sqrt(ROUNDS)
        assert np.mean(values) > 0.9 - 2 * noise
        assert np.mean(values) < 0.96  # promised, and not by calling everybody

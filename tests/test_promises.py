"""A small, seeded part of benchmarks/promises.py: what is promised about new images is true of the ensemble."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks/promises.py"


@pytest.fixture(scope="module")
def promises() -> ModuleType:
    spec = importlib.util.spec_from_file_location("promises", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["promises"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    module.NEW, module.TRIALS_PER_STUDY, module.FOLDED = 4000, 6, 2
    return module


@pytest.mark.parametrize(("images", "cases", "per_patient"), [(600, 0.3, 1), (1500, 0.3, 3)])
def test_promises_hold_for_every_kind_of_ensemble(
    promises: ModuleType, images: int, cases: float, per_patient: int
) -> None:
    condition = promises.Condition(0.9, images, cases, per_patient)
    population = promises.Population(None, 0)
    results = []
    for number in range(20):
        results += promises.study(population, condition, np.random.default_rng([7, number]))
    by_ensemble = promises.grouped(results)
    assert len(by_ensemble) == 5
    for own in by_ensemble.values():
        assert all(result.set_on == "calibration" for result in own)
        for target in (0.9, 0.95):
            true = np.array([result.sensitivity[target] for result in own])
            error = 2.5 * true.std() / len(true) ** 0.5
            assert np.mean([result.promised[target] for result in own]) > 0.8
            assert target - error <= true.mean() <= target + 0.03 + error
            covered = np.array([result.covered[target] for result in own])
            error = 2.5 * covered.std() / len(covered) ** 0.5
            assert target - 0.01 - error <= covered.mean() <= promises.highest_coverage(own, target) + error

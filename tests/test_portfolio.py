"""Small parts of benchmarks/portfolio.py: each set's rung is selected by the other sets alone."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "benchmarks"))

from ladder_rungs.measure import Measurement, Result  # noqa: E402
from ladder_rungs.rungs import PROBE, Rung, probes, slow  # noqa: E402
from ladder_rungs.tables import all_tables, by_rung, complete, left_out_table, selected_elsewhere  # noqa: E402
from search_quality.data_sets import SETS  # noqa: E402

STRONG, MIDDLE, WEAK = (Rung(PROBE, 64, "mirrored", decay) for decay in (1e-3, 1e-4, 1e-5))
AUCS = {
    "breastmnist": {STRONG: 0.9, MIDDLE: 0.8, WEAK: 0.7},
    "busi": {STRONG: 0.9, MIDDLE: 0.8, WEAK: 0.7},
    "bloodcells": {STRONG: 0.5, MIDDLE: 0.6, WEAK: 0.9},
}


def result(name: str, rung: Rung, auc: float) -> Result:
    scores = {"auc": (auc - 0.01, auc + 0.01), "accuracy": (0.5, 0.5), "log_loss": (1 - auc, 1 - auc)}
    return Result(name, rung, scores, (1.0, 2.0), 300, 0.5)


RESULTS = [result(name, rung, auc) for name, each in AUCS.items() for rung, auc in each.items()]


def test_a_sets_own_scores_do_not_select_its_rung() -> None:
    scores = by_rung(RESULTS, probes=True)
    sets, rungs = complete(scores, 64)
    assert sets == list(AUCS)
    assert selected_elsewhere(scores, "bloodcells", sets, rungs, "auc") == STRONG
    assert selected_elsewhere(scores, "bloodcells", sets, rungs, "log_loss") == STRONG
    row = left_out_table(scores, sets, rungs, "auc").splitlines()[-1]
    assert "| Blood cells | 0.500 (64, mirrored, 0.001) | 0.900 (64, mirrored, 1e-05) | 0.400 |" in row


def test_sets_without_a_size_are_not_compared_at_it() -> None:
    larger = [result(name, Rung(PROBE, 128, "last", 1e-3), 0.8) for name in ("busi", "bloodcells")]
    scores = by_rung([*RESULTS, *larger], probes=True)
    assert complete(scores, 64)[0] == list(AUCS)
    assert complete(scores, 128)[0] == ["busi", "bloodcells"]
    assert complete(scores, 224) == ([], [])
    text = all_tables([*RESULTS, *larger])
    assert "sizes up to 64" in text
    assert "sizes up to 128" not in text  # two sets are no comparison


@pytest.mark.parametrize("rung", [*probes(64), *probes(64, "images"), *slow(128)])
def test_results_are_read_as_they_are_written(rung: Rung) -> None:
    written = result("busi", rung, 0.8)
    assert Result.from_dict(written.to_dict(), "results.jsonl") == written
    rung.config("tf_efficientnet_lite0", 0, Path("weights.safetensors"))  # its settings go together


def test_names_tell_all_rungs_apart() -> None:
    rungs = [rung for side in (64, 128) for rung in (*probes(side), *probes(side, "images"), *slow(side)[1:])]
    assert len({rung.name for rung in rungs}) == len(rungs)


def test_no_image_of_test_is_measured(tmp_path: Path) -> None:
    from tests.conftest import write_npz

    write_npz(tmp_path / "breastmnist.npz", train=60, other=30)
    measurement = Measurement(SETS["breastmnist"], tmp_path, tmp_path, "resnet10t", tmp_path, 0, 2)
    assert len(measurement.dataset) == 60 + 30
    assert list(measurement.dataset.splits) == ["train"]
    assert sum(len(val) for _, val in measurement.folds) == 90
    measured = measurement.run(Rung("small", 0))
    assert len(measured.scores["auc"]) == len(measured.seconds) == 2

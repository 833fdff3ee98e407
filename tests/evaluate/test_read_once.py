"""`medray evaluate` reads the test split once, counts every reading, and chooses nothing by it."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from medray import Ensemble
from medray.data.dataset import ImageDataset
from medray.evaluate import run_evaluation
from tests.conftest import make_run
from tests.evaluate.conftest import (
    AFTERWARDS,
    WithData,
    answer,
    ask,
    content,
    make_ensemble,
    predicted,
    refused,
    stored_read_names,
)

pytestmark = pytest.mark.component


def test_a_second_call_answers_from_the_store(run: Path, with_data: WithData) -> None:
    data = with_data()
    first = ask(run)
    assert "The test split has been read once." in first.stdout
    assert "From the store" not in first.stdout
    data.write_bytes(b"no longer images")
    kept = content(run)
    second = ask(run)
    assert second.exit_code == 0, second.output
    told, _, rest = second.stdout.partition("\n")
    assert told.startswith("From the store: the test split was read on 20")
    assert "is not read again" in told
    assert first.stdout.endswith(rest.lstrip("\n"))
    assert "The test split has been read once." in second.stdout
    data.unlink()
    document = answer(run)
    assert (document["from_store"], document["times_read"]) == (True, 1)
    assert content(run) == kept
    assert stored_read_names(run) == ["read_0001"]


def test_again_reads_anew_and_is_counted(run: Path) -> None:
    first = answer(run)
    kept = content(run)
    result = ask(run, "--again")
    assert "has been read 2 times, all by this run." in result.stdout
    assert stored_read_names(run) == ["read_0001", "read_0002"]
    after = content(run)
    assert {name: after[name] for name in kept} == kept
    document = answer(run)
    assert (document["from_store"], document["times_read"], document["read"]) == (True, 2, 2)
    assert document["models"] == first["models"]


def test_a_reading_that_broke_off_counts(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_evaluation, "measure_models", interrupted)
        result = ask(run)
    assert result.exit_code == 130
    assert "interrupted; a read that was begun is counted" in result.stderr
    assert [path.name for path in (run / "evaluation/read_0001").iterdir()] == ["begun.json"]
    line = refused(ask(run))
    assert "which was interrupted: --again reads it once more" in line
    document = answer(run, "--again")
    assert (document["times_read"], document["read"]) == (2, 2)
    assert "has been read 2 times" in ask(run).stdout


def test_what_goes_wrong_before_the_labels_are_looked_at_is_not_counted(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_evaluation, "predict_members", interrupted)
        assert ask(run).exit_code == 130
    assert stored_read_names(run) == []
    assert answer(run)["times_read"] == 1


def test_another_ensemble_is_not_given_the_figures_of_the_first(run: Path) -> None:
    first = answer(run)
    before = (run / "ensemble/manifest.json").read_bytes()
    make_ensemble(run, strategy="greedy")
    assert (run / "ensemble/manifest.json").read_bytes() != before
    line = refused(ask(run))
    assert "for another ensemble than the present one; those scores are in " in line
    assert "read_0001; --again reads it once more, and is counted" in line
    second = answer(run, "--again")
    assert (second["times_read"], second["from_store"]) == (2, False)
    assert "top-k of trials" in [model["name"] for model in second["models"]]
    assert answer(run)["models"] == second["models"]
    make_ensemble(run, top_k=3)  # the first one again: its figures are still there
    assert (run / "ensemble/manifest.json").read_bytes() == before
    back = answer(run)
    assert (back["from_store"], back["read"], back["models"]) == (True, 1, first["models"])


def test_another_seed_is_not_answered_from_the_store(run: Path) -> None:
    answer(run, "--seed", 3)
    assert "the stored scores are of --seed 3, not 4" in refused(ask(run, "--seed", 4))
    assert answer(run, "--seed", 3)["from_store"]
    assert answer(run)["seed"] == 3


# -- nothing is chosen on the test split


def test_thresholds_and_sets_are_those_that_were_set_before(run: Path, hard: ImageDataset) -> None:
    before = content(run)
    manifest = json.loads(before["ensemble/manifest.json"])
    document = answer(run)
    assert content(run, AFTERWARDS) == before
    probabilities, labels = predicted(run, hard)
    assert len(document["operating_points"]) == len(manifest["operating_points"]) == 2
    for shown, was_set in zip(document["operating_points"], manifest["operating_points"], strict=True):
        assert {name: shown[name] for name in was_set} == was_set
        called, positive = probabilities[:, 1].astype(np.float64) >= was_set["threshold"], labels == 1
        assert shown["test"]["tp"] == (called & positive).sum()
        assert shown["test"]["fp"] == (called & ~positive).sum()
        assert shown["test"]["sensitivity"]["value"] == pytest.approx(called[positive].mean())
        assert shown["test"]["specificity"]["value"] == pytest.approx((~called)[~positive].mean())
    ensemble = Ensemble.load(run / "ensemble")
    for shown, was_set, own in zip(
        document["conformal_sets"], manifest["conformal_sets"], ensemble.conformal, strict=True
    ):
        assert {name: shown[name] for name in was_set} == was_set
        sets = own.sets(probabilities)
        assert shown["test"]["covered"]["value"] == pytest.approx(sets[np.arange(len(labels)), labels].mean())
        assert shown["test"]["mean_size"] == pytest.approx(sets.sum(axis=1).mean())


def test_the_test_split_reaches_nothing_but_the_evaluation(npz: Path, tmp_path: Path) -> None:
    """Two data sets that differ in their test labels alone, searched and ensembled from scratch."""
    with np.load(npz) as file:
        arrays = dict(file)
    arrays["test_labels"] = np.random.default_rng(0).permutation(arrays["test_labels"])
    np.savez(tmp_path / "permuted.npz", **arrays)
    runs = [
        make_run(tmp_path / "a", npz, trials=2, epochs=1),
        make_run(tmp_path / "b", tmp_path / "permuted.npz", trials=2, epochs=1),
    ]
    files = []
    for run in runs:
        make_ensemble(run)
        own = content(run)
        for name in ("run.json", "data.json"):  # they name the data
            del own[name]
        epochs = [name for name in own if name.endswith(("epochs.jsonl", "trial.json"))]
        for name in epochs:  # they hold seconds
            del own[name]
        manifest = json.loads(own.pop("ensemble/manifest.json"))
        files.append((own, {**manifest, "data": None}))
    assert files[0] == files[1]
    assert any(name.startswith("ensemble/members/") for name in files[0][0])
    first, second = (answer(run) for run in runs)
    assert first["models"] != second["models"]
    stored = [np.load(run / "evaluation/read_0001/test_predictions.npz") for run in runs]
    assert (stored[0]["model_0"] == stored[1]["model_0"]).all()
    assert (stored[0]["labels"] != stored[1]["labels"]).any()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_other_test_labels_change_the_figures_and_nothing_else(
    run: Path, with_data: WithData, hard_npz: Path, seed: int
) -> None:
    with np.load(hard_npz) as file:
        labels = np.random.default_rng(seed).permutation(file["test_labels"])
    with_data(test_labels=labels)
    before = content(run)
    document = answer(run)
    assert content(run, AFTERWARDS) == before
    with np.load(run / "evaluation/read_0001/test_predictions.npz") as stored:
        assert (stored["labels"] == labels[:, 0]).all()
        probabilities = stored["model_0"]
    accuracy = (probabilities.argmax(axis=1) == labels[:, 0]).mean()
    assert document["models"][0]["scores"]["accuracy"]["value"] == pytest.approx(accuracy)
    assert document["models"][0]["scores"]["auc"]["value"] == pytest.approx(
        sklearn_metrics.roc_auc_score(labels[:, 0], probabilities, multi_class="ovr"), abs=1e-6
    )

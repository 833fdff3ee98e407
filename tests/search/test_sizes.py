"""A search over sizes: one cache for all trials, an ensemble of several sizes, and folds from the same images."""

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from medray.crossval.plan import CrossvalOptions
from medray.crossval.run_crossval import run_crossval
from medray.data.cache import array_cache
from medray.ensemble import Ensemble
from medray.runs.finished_search import open_finished_search
from medray.search.run_search import run_search
from medray.search.search_options import SearchOptions

pytestmark = pytest.mark.component

SPACE = """
name: sizes
data: phantom
objective: {metric: auc}
budget: {trials: 3, max_epochs: 2, grace_epochs: 2, reduction_factor: 2, patience: null}
space:
  image_size: {choice: [6, 8, 20]}
  transforms: {choice: [none, flip]}
fixed: {batch_size: 16}
transforms: {flip: [{HorizontalFlip: {p: 0.5}}]}
baselines:
  small: {image_size: 6, transforms: flip}
  middle: {image_size: 8, transforms: none}
  large: {image_size: 20, transforms: flip, compare_only: true}
"""


def test_trials_of_several_sizes_become_one_ensemble_that_takes_the_data_sets_images(
    npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "cache"))
    (tmp_path / "sizes.yaml").write_text(SPACE)
    out, stream = tmp_path / "run", io.StringIO()
    options = SearchOptions(
        str(tmp_path / "sizes.yaml"), data=str(npz), out=str(out), runner="local", baselines_only=True
    )
    run_search(options, Console(file=stream, width=200))
    assert "networks see them at 6, 8, 20 pixels, the longer side; 20 by enlarging them" in stream.getvalue()
    assert "lenet5 6 px adam" in stream.getvalue()
    assert sorted(entry.shape[1:] for entry in array_cache.entries()) == [(6, 6, 1), (8, 8, 1)]
    searched = open_finished_search(str(out))
    dataset, ensemble = searched.load_data(), Ensemble.load(str(out / "ensemble"))
    assert ensemble.image_shape == dataset.shape == (12, 12, 1)
    members = ensemble.manifest.members
    assert {member.train_config.image_size for member in members} == {6, 8, 20}
    assert {member.weights_licence for member in members} == {None}
    val = dataset.split("val")
    outputs = ensemble.member_outputs(val.take(np.arange(len(val)))[0])
    for member, output in zip(members, outputs, strict=True):
        with np.load(out / f"trials/{member.trial:04d}/val_predictions.npz") as kept:
            assert (kept["probabilities"] == output.probabilities).all()
    folds = run_crossval(
        CrossvalOptions(str(out), top=3, folds=2, runner="local"), Console(file=io.StringIO(), width=200)
    )
    assert len(folds.trials) == 3
    assert len(array_cache.entries()) == 2

"""Features of frozen backbones are computed before the first trial, for all that waits, and not for longer than pays."""

import io
import time
from pathlib import Path

import pytest
from rich.console import Console
from safetensors.torch import save_file

from medray.config import TrainConfig
from medray.data.load_data import load_data
from medray.runs.run_facts import ResolvedOptions
from medray.runs.rundir import RunDir
from medray.search import embed_ahead as module
from medray.search.embed_ahead import embed_ahead, linear_heads
from medray.search.enqueue import enqueue_baselines, enqueue_portfolio
from medray.search.optuna_study import StudyFile
from medray.search.time_limit import HOUR_S, TimeLimit, TrialKind
from medray.space.loading import parse
from medray.training.models import build_network

pytestmark = pytest.mark.component

SPACE = """
name: ahead
data: phantom
objective: {metric: auc}
budget: {trials: 20, max_epochs: 2, grace_epochs: 2, reduction_factor: 2, patience: null}
space:
  image_size: {choice: [16, 28]}
  weight_decay: {log: [0.0001, 0.1]}
fixed: {backbone: resnet8_small, weights: WEIGHTS, trainable_blocks: 0, optimizer: lbfgs}
baselines:
  plain: {image_size: 28, weight_decay: 0.01}
  stepwise: {compare_only: true, optimizer: adam, image_size: 16}
portfolio:
  strong: {image_size: 16, weight_decay: 0.01}
  weak: {image_size: 16, weight_decay: 0.001}
"""


def opened(folder: Path, hours: float | None) -> tuple[object, ...]:
    network = build_network(TrainConfig(backbone="resnet8_small"), (28, 28, 1), 11)
    save_file(network.get_submodule("backbone").state_dict(), folder / "resnet8_small.safetensors")
    space = parse(SPACE.replace("WEIGHTS", str(folder)), "ahead.yaml")
    study = StudyFile(RunDir(str(folder / "run"))).open("max") if (folder / "run").mkdir() is None else None
    assert study is not None
    options = ResolvedOptions("phantom", 20, 2, 2, 0, None, False, hours, False)
    enqueue_baselines(study, space, options)
    enqueue_portfolio(study, space, options)
    return space, study, options


def test_each_kind_of_features_is_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "cache"))
    space, study, options = opened(tmp_path, None)
    assert [config.image_size for config in linear_heads(space, study, 2)] == [28, 16]  # type: ignore[arg-type]
    limit, out = TimeLimit(None), io.StringIO()
    dataset = load_data("phantom:organs?images=600")
    embed_ahead(space, study, options, dataset, limit, Console(file=out), gpu=False)  # type: ignore[arg-type]
    assert {kind.image_size for kind in limit.times.embedded} == {28, 16}
    assert out.getvalue().count("Computing what frozen resnet8_small sees") == 2
    assert len(list((tmp_path / "cache" / "features").glob("*.done.npy"))) == 2
    assert set(limit.times.forwards) == {("resnet8_small", 28), ("resnet8_small", 16)}
    assert all(0 < seconds < 100 for seconds in limit.times.forwards.values())
    again = TimeLimit(None)  # what is there already tells nothing of the time that it takes
    embed_ahead(space, study, options, dataset, again, Console(file=out), gpu=False)  # type: ignore[arg-type]
    assert again.times.embedded == limit.times.embedded
    assert not again.times.forwards


def test_what_was_held_back_is_computed_when_a_search_goes_on(tmp_path: Path) -> None:
    space, study, _ = opened(tmp_path, None)
    study.ask()  # type: ignore[attr-defined]
    assert [config.image_size for config in linear_heads(space, study, 2)] == [28, 16]  # type: ignore[arg-type]


def test_features_that_fail_are_told_and_end_no_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "cache"))
    space, study, options = opened(tmp_path, None)
    (tmp_path / "resnet8_small.safetensors").unlink()
    limit, out = TimeLimit(None), io.StringIO()
    dataset = load_data("phantom:organs?images=600")
    embed_ahead(space, study, options, dataset, limit, Console(file=out), gpu=False)  # type: ignore[arg-type]
    broken = None  # an error of no kind that medray knows, as of a GPU without memory
    embed_ahead(space, study, options, broken, limit, Console(file=out), gpu=False)  # type: ignore[arg-type]
    assert out.getvalue().count("  not computed: ") == 4
    assert not limit.times.embedded


def test_what_a_trial_takes_is_reckoned_with_its_own_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space, study, options = opened(tmp_path, None)
    monkeypatch.setattr(module, "usable_cores", lambda: 8)
    monkeypatch.setattr(module, "_embed", lambda *_: 3.0)
    for trial_cores, seconds in ((1, 24.0), (4, 6.0), (None, 3.0)):
        limit = TimeLimit(None)
        embed_ahead(
            space, study, options, None, limit, Console(file=io.StringIO()), gpu=True, trial_cores=trial_cores  # type: ignore[arg-type]
        )  # fmt: skip
        assert set(limit.times.forwards.values()) == {seconds}


def test_what_would_take_too_much_of_the_time_is_left_out_with_its_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "JUDGED_AFTER", 0.0)
    space, study, options = opened(tmp_path, 1e-6)
    limit, out = TimeLimit(1e-6), io.StringIO()
    dataset = load_data("phantom:organs?images=600")
    embed_ahead(space, study, options, dataset, limit, Console(file=out), gpu=False)  # type: ignore[arg-type]
    assert "left out: it would take" in out.getvalue()
    assert {kind.image_size for kind in limit.times.left_out} == {28, 16}
    assert not any(limit.allows(kind, 1) for kind in limit.times.left_out)


@pytest.mark.parametrize("judged_after", [0.0, 1e9])
def test_what_can_not_be_kept_is_not_computed_ahead_but_its_time_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, judged_after: float
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(module, "JUDGED_AFTER", judged_after)
    space, study, options = opened(tmp_path, 1.0)
    limit, out = TimeLimit(1.0), io.StringIO()
    dataset = load_data("phantom:organs?images=600")
    embed_ahead(space, study, options, dataset, limit, Console(file=out, width=300), gpu=False)  # type: ignore[arg-type]
    assert "not computed ahead: they can't be kept, and so each training computes them: " in out.getvalue()
    assert not limit.times.embedded
    kinds = {TrialKind.of(config) for config in linear_heads(space, study, 2)}  # type: ignore[arg-type]
    assert all((limit.times.expected(kind) or 0) > 0 for kind in kinds)


def test_all_features_together_take_a_fifth_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "JUDGED_AFTER", 0.0)
    space, study, _ = opened(tmp_path, 1.0)
    config = next(linear_heads(space, study, 2))  # type: ignore[arg-type]
    dataset, console = load_data("phantom:organs?images=600"), Console(file=io.StringIO())
    limit, now = TimeLimit(1.0), time.monotonic()
    with pytest.raises(module._TooLong):  # those before it have taken it
        module._embed(config, dataset, limit, console, now - 0.2 * HOUR_S, "cpu")
    module._embed(config, dataset, limit, console, now, "cpu")

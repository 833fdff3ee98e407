"""Runs with an ensemble, whose data a test may change, and what it takes to look at an evaluation."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from medray import Ensemble
from medray._types import Array
from medray.data.dataset import ImageDataset
from medray.data.load_data import load_data
from medray.decisions.thresholds import Rule
from medray.ensemble.build_ensemble import EnsembleOptions, run_ensemble
from medray.evaluate import measure_models
from medray.evaluate.evaluate_command import evaluate
from medray.runs.run_facts import DataFacts

RULES = (Rule("sensitivity", 0.9), Rule("youden"))
WithData = Callable[..., Path]
AFTERWARDS = "evaluation"
FEW = 40  # resamples: enough where the intervals are not looked at closely


def quiet() -> Console:
    return Console(file=io.StringIO())


def make_ensemble(run: Path, **options: Any) -> None:
    run_ensemble(EnsembleOptions(str(run), rules=RULES, positive="1", **options), quiet())


def ask(*arguments: object) -> Result:
    return CliRunner().invoke(evaluate, [str(argument) for argument in arguments])


def answer(*arguments: object) -> dict[str, Any]:
    """The JSON document of an evaluation that went well."""
    result = ask(*arguments, "--json")
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(
        result.stdout, parse_constant=lambda word: pytest.fail(f"{word} is no JSON")
    )
    return document


def predicted(run: Path, dataset: ImageDataset) -> tuple[Array, Array]:
    """What the ensemble's own folder says of the test images, and their labels."""
    images, labels = dataset.split("test").take(np.arange(len(dataset.splits["test"])))
    return Ensemble.load(run / "ensemble").predict(images).probabilities, labels


def stored_read_names(run: Path) -> list[str]:
    return sorted(path.name for path in (run / AFTERWARDS).glob("*"))


def refused(result: Result) -> str:
    """The one line of a refusal: no stack trace, nothing else on stderr but what was being done."""
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 2, result.output
    lines = [line for line in result.stderr.splitlines() if not line.endswith(" ...")]
    assert len(lines) == 1, lines
    assert lines[0].startswith("medray: ")
    return lines[0]


def content(run: Path, *without: str) -> dict[str, bytes]:
    """Every file of a run but its lock, by its path; those in the folders `without` are left out."""
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.name != ".lock" and path.relative_to(run).parts[0] not in without
    }


@pytest.fixture(autouse=True)
def no_other_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own: other tests read the same test splits."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("MEDRAY_CACHE", str(folder))
    return folder


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure_models, "RESAMPLES", FEW)


def give_data(run: Path, data: Path) -> None:
    """Let a run be of `data`, as if it had been searched on them; only what is measured may differ."""
    facts = json.loads((run / "run.json").read_text())
    facts["options"]["data"] = str(data)
    (run / "run.json").write_text(json.dumps(facts))
    (run / "data.json").write_text(json.dumps(DataFacts.of(load_data(str(data))).to_dict()))


@pytest.fixture(scope="session")
def hard_npz(npz: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same training and validation images; the test images are noisy, so that models err on them."""
    path = tmp_path_factory.mktemp("hard") / "hard.npz"
    with np.load(npz) as file:
        images = file["test_images"].astype(np.int64) * 7 // 10
        images += np.random.default_rng(0).integers(0, 76, size=images.shape)
        np.savez(path, **{**file, "test_images": images.clip(0, 255).astype(np.uint8)})
    return path


@pytest.fixture(scope="session")
def hard(hard_npz: Path) -> ImageDataset:
    return load_data(str(hard_npz))


@pytest.fixture(scope="session")
def made_ensemble(made_run: Path, hard_npz: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished search with an ensemble of three, its operating points and sets; copy it first."""
    folder = Path(shutil.copytree(made_run, tmp_path_factory.mktemp("made") / "found"))
    give_data(folder, hard_npz)
    make_ensemble(folder, top_k=3)
    return folder


@pytest.fixture
def run(made_ensemble: Path, tmp_path: Path) -> Path:
    """A copy of a run with an ensemble."""
    return Path(shutil.copytree(made_ensemble, tmp_path / "ensembled"))


@pytest.fixture
def with_data(run: Path, hard_npz: Path, tmp_path: Path) -> WithData:
    """Give the run data with other arrays; their npz is returned."""

    def change(**arrays: Any) -> Path:
        path = tmp_path / "changed.npz"
        with np.load(hard_npz) as file:
            np.savez(path, **{**file, **arrays})
        give_data(run, path)
        return path

    return change

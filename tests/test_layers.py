"""The architecture, read from the imports: each block imports only from blocks above it (DESIGN.md)."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import medray
from medray.config import TrainConfig
from medray.ensemble.candidates import TRIALS, Candidate, Member, Pool
from medray.ensemble.manifest import write_ensemble
from medray.ensemble.selection import TOP_K, make_way
from medray.runs.rundir import FINISHED, RunDir, TrialRecord

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "medray"

#: From the top down; the longest name that a module starts with says where it belongs.
BLOCKS: dict[str, tuple[str, ...]] = {
    "errors": ("medray.errors",),
    "vocabulary": (
        "medray.files",
        "medray.runs.lock",
        "medray.signals",
        "medray._types",
        "medray.config",
        "medray.space.preparation",
        "medray.space.published",
        "medray.space.search_space",
        "medray.space.loading",
        "medray.runs.folder",
        "medray.runs.rundir",
        "medray.console",
    ),
    "data": ("medray.data",),
    "training": ("medray.training",),
    "decisions": (
        "medray.runs.leaderboard",
        "medray.runs.finished_search",
        "medray.runs.fold_results",
        "medray.stats.label_issues",
        "medray.decisions",
        "medray.ensemble",
        "medray.pictures.contact_sheet",
    ),
    "edges": (
        "medray.cluster.trial_worker",
        "medray.cluster.connect",
        "medray.search",
        "medray.crossval",
        "medray.serving",
    ),
    # A command line is for people, wherever it lies; nothing of the edges may import it.
    "people": (
        "medray.cli.main",
        "medray.cli.base",
        "medray.analyze",
        "medray.audit.data_command",
        "medray.data.__main__",
        "medray.search.search_command",
        "medray.search.__main__",
        "medray.crossval.crossval_command",
        "medray.crossval.__main__",
        "medray.ensemble.ensemble_command",
        "medray.ensemble.__main__",
        "medray.evaluate",
        "medray.init",
        "medray.predict",
        "medray.report",
        "medray.serve",
        "medray.serving.serve_command",
    ),
}
ORDER = list(BLOCKS)
RAY_IMPORTERS = {
    "medray.analyze.grid",
    "medray.cluster.connect", "medray.search.tune_adapters", "medray.search.run_tune", "medray.crossval.run_crossval",
    "medray.crossval.restarts", "medray.crossval.train_folds", "medray.serving.deploy.deployment", "medray.serving.deploy.run_service",
}  # fmt: skip
HEAVY = {
    "albumentations", "cv2", "medmnist", "numpy", "optuna", "pandas", "plotly", "pyarrow", "ray", "safetensors", "sklearn",
    "timm", "torch", "torchvision",
}  # fmt: skip


@dataclass(frozen=True)
class Import:
    """One imported module, as its full name."""

    importer: str
    name: str
    line: int
    top_level: bool


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def block_of(module: str) -> str | None:
    """The block of a module, None for the package's own __init__ and what is in no block."""
    owners = [(len(p), b) for b, prefixes in BLOCKS.items() for p in prefixes if f"{module}.".startswith(f"{p}.")]
    return max(owners)[1] if owners else None


def is_type_checking(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def statements(nodes: list[ast.stmt], top_level: bool = True) -> Iterator[tuple[ast.stmt, bool]]:
    """Every statement, with whether it runs when the module is imported; TYPE_CHECKING blocks are left out."""
    for node in nodes:
        if is_type_checking(node):
            assert isinstance(node, ast.If)
            yield from statements(node.orelse, top_level)
            continue
        yield node, top_level
        inside = top_level and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for part in ("body", "orelse", "finalbody"):
            yield from statements(getattr(node, part, []), inside)
        for branch in [*getattr(node, "handlers", []), *getattr(node, "cases", [])]:
            yield from statements(branch.body, inside)


def full_names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    assert node.level == 0, f"line {node.lineno}: a relative import"
    module = node.module or ""
    names = []
    for alias in node.names:
        if module == "medray" and alias.name in medray._HOMES:
            names.append(medray._HOMES[alias.name])
        else:
            inside = f"{module}.{alias.name}"
            names.append(inside if inside in MODULES else module)
    return names


def imports_in(text: str, importer: str) -> list[Import]:
    return [
        Import(importer, name, node.lineno, top_level)
        for node, top_level in statements(ast.parse(text).body)
        for name in full_names(node)
    ]


IMPORTS = [i for name, path in MODULES.items() for i in imports_in(path.read_text(encoding="utf-8"), name)]


def shown(imports: list[Import]) -> str:
    return "\n" + "\n".join(f"{i.importer}:{i.line} imports {i.name}" for i in imports)


def upward(imports: list[Import]) -> list[Import]:
    """Those imports that go from a block to one below it."""
    found = []
    for i in imports:
        own, other = block_of(i.importer), block_of(i.name)
        if own and other and ORDER.index(other) > ORDER.index(own):
            found.append(i)
    return found


def root(name: str) -> str:
    return name.partition(".")[0]


def test_reader_sees_what_it_should() -> None:
    text = """
import ray.tune
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import timm
else:
    import yaml
try:
    from medray import Ensemble, errors
except ImportError:
    import cv2
def late():
    with open("x"):
        from medray.search import driver, __doc__
class Now:
    import json
"""
    seen = {(i.name, i.top_level) for i in imports_in(text, "medray.config")}
    assert seen == {
        ("ray.tune", True), ("typing", True), ("yaml", True), ("medray.ensemble", True), ("medray.errors", True),
        ("cv2", True), ("medray.search.run_search", False), ("medray.search", False), ("json", True),
    }  # fmt: skip
    assert {i.name for i in upward(imports_in(text, "medray.config"))} == {
        "medray.ensemble", "medray.search.run_search", "medray.search",
    }  # fmt: skip


def test_every_module_has_a_block() -> None:
    homeless = [name for name in MODULES if name != "medray" and block_of(name) is None]
    assert not homeless, f"say in BLOCKS (and DESIGN.md) where {homeless} belong"


def test_no_block_imports_from_one_below_it() -> None:
    wrong = upward(IMPORTS)
    assert not wrong, shown(wrong)


def test_the_package_itself_imports_none_of_its_modules() -> None:
    wrong = [i for i in IMPORTS if i.importer == "medray" and root(i.name) not in sys.stdlib_module_names]
    assert not wrong, shown(wrong)


def test_only_a_few_modules_import_ray() -> None:
    importers = {i.importer for i in IMPORTS if root(i.name) == "ray"}
    assert importers <= RAY_IMPORTERS, importers - RAY_IMPORTERS


def test_training_imports_neither_ray_nor_optuna() -> None:
    wrong = [i for i in IMPORTS if block_of(i.importer) == "training" and root(i.name) in ("ray", "optuna")]
    assert not wrong, shown(wrong)


def test_training_imports_slow_packages_only_where_they_are_used() -> None:
    slow = ("albumentations", "cv2", "timm", "torchvision")
    wrong = [
        i for i in IMPORTS if block_of(i.importer) == "training" and i.top_level and root(i.name) in slow
    ]  # fmt: skip
    assert not wrong, shown(wrong)


# -- what is really loaded


def loaded(code: str) -> set[str]:
    """The packages in a fresh interpreter after `code`."""
    code += "\nimport sys; print('\\n' + ' '.join({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "module", ["medray", "medray.cli.main", "medray.search.search_command", "medray.config", "medray.analyze"]
)
def test_import_loads_nothing_heavy(module: str) -> None:
    assert not loaded(f"import {module}") & HEAVY


def test_public_names_are_all_there() -> None:
    assert {"Ensemble", "fit", "load_data"} <= set(medray.__all__)
    for name in medray.__all__:
        assert getattr(medray, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Ensembel'"):
        _ = medray.Ensembel  # type: ignore[attr-defined]


@pytest.fixture
def ensemble_folder(tmp_path: Path) -> Path:
    """An ensemble of one untrained network."""
    from medray.training.models import build_network
    from medray.training.weights import write_weights

    config, shape = TrainConfig(), (16, 16, 1)
    run = RunDir(str(tmp_path))
    trial = run.trial(0)
    tensors = build_network(config, shape, 2).state_dict()
    trial.write_by(trial.WEIGHTS, lambda path: write_weights(path, tensors, {}))
    trial.write_json(trial.CONFIG, config.to_dict())
    record = TrialRecord(0, FINISHED, objective=0.5, best_epoch=1)
    probabilities = np.full((4, 2), 0.5, dtype=np.float32)
    data = {
        "class_names": ["a", "b"],
        "shape": shape,
        "aspect": "stretch",
        "source": "test",
        "fingerprint": "0",
        "splits": {},
    }
    candidate = Candidate(0, (Member(record, trial),), probabilities, 0.5)
    way = make_way(TOP_K, Pool(TRIALS, [candidate], np.array([0, 1, 0, 1])), [(candidate, 1.0)])
    write_ensemble(run, way, data=data, metric="accuracy")
    return tmp_path / "ensemble"


def test_an_ensemble_predicts_without_ray(ensemble_folder: Path) -> None:
    code = f"""
import numpy as np
from medray import Ensemble
ensemble = Ensemble.load({str(ensemble_folder)!r})
assert ensemble.predict(np.zeros((3, 16, 16, 1), dtype=np.uint8)).probabilities.shape == (3, 2)
"""
    packages = loaded(code)
    assert "torch" in packages
    assert not packages & {"ray", "optuna", "pandas", "albumentations", "timm", "medmnist", "sklearn"}

"""The architecture, read from the imports: a folder imports only from its own line and the lines above it."""

import ast
import os
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "medray"

#: From the ground up. A folder with no line of its own belongs to its parent's.
LINES = (
    "_types errors json_document text files cores signals console console_tables notebook shown cli",
    "stats pictures",
    "tasks",
    "config weights",
    "space",
    "data",
    "training decisions audit runs",
    "cluster init ensemble track",
    "search crossval evaluate predict serving serve",
    "analyze",
    "report export monitor",
    "study",
)
LINE_OF = {name: i for i, line in enumerate(LINES) for name in line.split()}
SLOW = {"albumentations", "cv2", "timm", "torchvision"}  # seconds each: only inside the functions that use them
HEAVY = SLOW | {
    "IPython",
    "joblib",
    "medmnist",
    "mlflow",
    "numpy",
    "optuna",
    "pandas",
    "plotly",
    "pyarrow",
    "ray",
    "safetensors",
    "sklearn",
    "tensorboard",
    "torch",
    "wandb",
}
RAY = ("medray.cluster", "medray.search", "medray.crossval", "medray.serving.deploy")
RESULT_GRID = {"medray.analyze", "medray.analyze.grid"}  # give a run as Ray Tune's ResultGrid


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py")) if path.name != "__main__.py"}


def imports(path: Path) -> set[tuple[str, bool]]:
    """The modules that a file imports, anywhere in it, and whether each import runs when the file is imported."""

    def visit(node: ast.AST, top: bool) -> None:
        if isinstance(node, ast.Import):
            names.update((alias.name, top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            inside = ((f"{node.module}.{alias.name}", str(node.module)) for alias in node.names)
            names.update((full if full in MODULES else module, top) for full, module in inside)
        for child in ast.iter_child_nodes(node):
            visit(child, top and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))

    names: set[tuple[str, bool]] = set()
    visit(ast.parse(path.read_text(encoding="utf-8")), True)
    return names


IMPORTS = {module: imports(path) for module, path in MODULES.items()}


def line_of(module: str) -> int:
    return LINE_OF[module.split(".")[1]]


def test_every_folder_has_a_line() -> None:
    assert {module.split(".")[1] for module in MODULES if module != "medray"} == set(LINE_OF)


def test_no_folder_imports_from_a_line_below_its_own() -> None:
    below = [
        f"{module} imports {name}"
        for module, names in IMPORTS.items()
        for name, _ in names
        if name in MODULES and "medray" not in (name, module) and line_of(name) > line_of(module)
    ]
    assert not below


def test_no_two_files_import_each_other() -> None:
    graph = {m: {name for name, _ in names if name in MODULES} - {m, "medray"} for m, names in IMPORTS.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_ray_stays_at_the_edges() -> None:
    importers = {module for module, names in IMPORTS.items() for name, _ in names if name.split(".")[0] == "ray"}
    edges = tuple(f"{name}." for name in RAY)
    assert {module for module in importers if not f"{module}.".startswith(edges)} == RESULT_GRID


def test_training_imports_neither_ray_nor_optuna_and_slow_packages_only_where_used() -> None:
    names = {pair for module, pairs in IMPORTS.items() if module.startswith("medray.training") for pair in pairs}
    packages = {(name.split(".")[0], top) for name, top in names}
    assert not {name for name, _ in packages} & {"ray", "optuna"}
    assert not {name for name, top in packages if top} & SLOW


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

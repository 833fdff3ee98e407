"""Results show themselves in notebooks as their commands print them."""

import shutil
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest
from rich.console import Console

import medray
from medray.console import say
from medray.crossval.nested.run_nested import NestedResult
from medray.crossval.run_crossval import CrossvalResult
from medray.ensemble.build_ensemble import EnsembleResult
from medray.evaluate.external.run_external import ExternalEvaluation
from medray.evaluate.run_evaluation import Evaluation
from medray.search.run_search import SearchResult
from medray.shown import Shown
from medray.study.steps.run_study import StudyResult

RESULTS = (
    SearchResult, CrossvalResult, NestedResult, EnsembleResult, Evaluation, ExternalEvaluation, StudyResult,
)  # fmt: skip


@pytest.mark.parametrize("result", RESULTS)
def test_every_result_has_a_printer(result: type[Shown]) -> None:
    module, _, function = result.printer.partition(":")
    assert callable(getattr(import_module(module), function))


@dataclass(frozen=True)
class Named(Shown):
    printer = f"{__name__}:print_named"

    name: str


def print_named(result: Named, console: Console) -> None:
    say(console, result.name)


def test_names_are_text_and_no_markup() -> None:
    html = Named("<script>[red]ill[/red]</script>")._repr_html_()
    assert "&lt;script&gt;[red]ill[/red]" in html
    assert "<script" not in html


@pytest.mark.component
def test_a_result_is_shown_with_its_table(made_run: Path, npz: Path, tmp_path: Path) -> None:
    run = shutil.copytree(made_run, tmp_path / "found")
    study = medray.Study.open(run, data=npz, runner="local", quiet=True)
    html = study.ensemble()._repr_html_()
    assert html.startswith("<pre")
    assert "Selections of members" in html
    assert f"medray evaluate {run}" in html

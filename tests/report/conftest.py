"""A whole study that is small: searched, cross-validated, averaged and evaluated without Ray; and a page's reader."""

import io
import json
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import optuna
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from medray.data.dataset import ImageDataset
from medray.decisions.thresholds import Rule
from medray.ensemble.build_ensemble import EnsembleOptions, run_ensemble
from medray.evaluate import measure_models
from medray.evaluate.run_evaluation import EvaluateOptions, run_evaluate
from medray.report.report_command import report
from tests.analyze.conftest import SPACE, write_journal

FEW = 40  # resamples
ISSUES = "rank,position,split,label,suggested,given_probability,suggested_probability,wrong_probability\n"


class Page(HTMLParser):
    """What is in a page: text by element, tables by caption, JSON by id, and every attribute."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.data: dict[str, Any] = {}
        self.specs: list[dict[str, Any]] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self._open: list[tuple[str, dict[str, str]]] = []
        self._rows: list[list[str]] = []
        self._caption: str | None = None
        self.feed(content.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = {name: value or "" for name, value in attrs}
        self.elements.append((tag, own))
        if tag not in ("meta", "link", "img"):
            self._open.append((tag, own))
        if tag == "table":
            self._rows, self._caption = [], None
        if tag == "caption":
            self._caption = ""
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th"):
            self._rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop()[0] == tag
        if tag == "table":
            assert self._caption is not None, "a table has no caption"
            self.tables[self._caption] = self._rows

    def handle_data(self, data: str) -> None:
        tag, own = self._open[-1] if self._open else ("", {})
        if tag == "script" and own.get("type") == "application/json":
            content = json.loads(data, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
            if "id" in own:
                self.data[own["id"].removeprefix("data-")] = content
            else:
                self.specs.append(content)
            return
        if tag == "script":
            self.scripts.append(data)
            return
        self.text += data
        opened = [name for name, _ in self._open]
        if self._caption is not None and "caption" in opened:
            self._caption += data
        elif "td" in opened or "th" in opened:
            self._rows[-1][-1] += data

    def table(self, beginning: str) -> list[list[str]]:
        """The rows of the table whose caption begins so; the first is its head."""
        (found,) = [rows for caption, rows in self.tables.items() if caption.startswith(beginning)]
        return found

    def attributes(self, name: str) -> list[str]:
        return [own[name] for _, own in self.elements if name in own]


def ask(*arguments: object) -> Result:
    return CliRunner().invoke(report, [str(argument) for argument in arguments])


def draw(run: Path, *options: object) -> tuple[Page, str]:
    """The page of a run, and what was printed."""
    result = ask(run, *options)
    assert result.exit_code == 0, result.output
    return Page((run / "report/index.html").read_bytes()), result.output


def read(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.fixture(autouse=True)
def no_other_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache folder of the test's own: other tests read the same test splits."""
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def quiet_optuna() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture(scope="session")
def studied(folded_run: Path, dataset: ImageDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole study of four trials and two folded settings; copy it before you write to it."""
    run = Path(shutil.copytree(folded_run, tmp_path_factory.mktemp("studied") / "found"))
    splits = {name: positions.tolist() for name, positions in dataset.splits.items()}
    (run / "splits.json").write_text(json.dumps(splits))
    records = [read(run / f"trials/{n:04d}/trial.json") for n in range(4)]
    write_journal(
        run,
        [{"value": r["objective"], "params": {name: r["settings"][name] for name in SPACE}} for r in records],
    )
    quiet = Console(file=io.StringIO())
    run_ensemble(EnsembleOptions(str(run), top_k=2, rules=(Rule("sensitivity", 0.9),), positive="1"), quiet)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure_models, "RESAMPLES", FEW)
        run_evaluate(EvaluateOptions(str(run)), quiet)
    return run


@pytest.fixture(scope="session")
def drawn(studied: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Page, str]:
    """A run with its report: the folder, the page, and what was printed. Nobody may write to it."""
    run = Path(shutil.copytree(studied, tmp_path_factory.mktemp("drawn") / "found"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDRAY_CACHE", str(run.parent / "cache"))
        return run, *draw(run)


@pytest.fixture
def run(studied: Path, tmp_path: Path) -> Path:
    """A copy of a study."""
    return Path(shutil.copytree(studied, tmp_path / "found"))


@pytest.fixture
def edit() -> Callable[..., None]:
    """Change values of a JSON file."""

    def change(path: Path, **changes: Any) -> None:
        path.write_text(json.dumps(read(path) | changes))

    return change

"""The notebook of the docs runs from its first cell to its last, in Jupyter's own kernel, and shows what it says."""

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.docs.examples import ROOT

pytestmark = pytest.mark.component

NOTEBOOK = ROOT / "docs/first_study.ipynb"


@pytest.fixture
def kernel_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder, and what Jupyter and IPython write for themselves, in a folder of the test's own."""
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "cache"))  # with no reads of the same phantom by other tests
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def run_cells(notebook: Any, folder: Path) -> list[Any]:
    """Run a notebook in `folder` and return its cells of code."""
    NotebookClient(
        notebook, timeout=200, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def html(cell: Any) -> list[str]:
    return [output.data["text/html"] for output in cell.outputs if "text/html" in output.get("data", {})]


def text(cell: Any) -> str:
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore")  # of Jupyter's packages
def test_the_notebook_does_what_it_says(kernel_files: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code), "it is kept without outputs"
    cells = {cell.source.splitlines()[-1]: cell for cell in run_cells(notebook, kernel_files)}
    assert not [output for cell in code for output in cell.outputs if output.get("name") == "stderr"]
    (progress,) = html(cells["search = study.search(trials=3, max_epochs=3)"])
    assert "3/3 trials" in progress
    assert "Leaderboard" in html(cells["search"])[0]
    assert "sensitivity 0.9" in html(cells['study.ensemble(sensitivity=0.9, positive="liver")'])[0]
    figure = cells[
        'px.line(epochs, x="epoch", y="log_loss", color="trial", title="Log loss on validation, by epoch")'
    ]
    assert any("application/vnd.plotly.v1+json" in output.data for output in figure.outputs)
    assert "image/png" in cells["Image.fromarray(images[7, ..., 0]).resize((224, 224))"].outputs[-1].data
    assert "test" in html(cells["study.evaluate()"])[-1]
    assert (kernel_files / "runs/first/ensemble/manifest.json").is_file()


LONG = """
import time
from rich.text import Text
from medray import console as c

c.QUIET = 0.0
drawn = []
def draw():
    drawn.append(None)
    return Text(f"[red]picture {len(drawn)}[/red] <b>")

console = c.make_console()
with c.step(console, "Counting") as report:
    for done in range(1, 2001):
        report("Images", done, 2000)
        if done % 1000 == 0:
            time.sleep(1.1)
with c.live_picture(console, draw, lambda: "never") as beat:
    c.say(console, f"a line beside it, {beat}")
    while len(drawn) < 3:
        time.sleep(0.05)
"""


@pytest.mark.filterwarnings("ignore")
def test_progress_is_redrawn_in_place_and_does_not_flood_the_cell(kernel_files: Path) -> None:
    """Without ipywidgets, which rich would ask for: one picture a step, whatever happened how often."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(LONG)])
    (cell,) = run_cells(notebook, kernel_files)
    counting, picture = html(cell)
    assert "Counting: images 2,000 of 2,000 after" in counting
    assert "[red]picture " in picture
    assert "&lt;b&gt;" in picture
    assert int(picture.partition("picture ")[2].partition("[")[0]) >= 4  # the last one, drawn as the block ended
    assert text(cell) == "Counting ...\na line beside it, None\n"
    assert "ipywidgets" not in str(cell.outputs)
    assert not os.listdir(kernel_files)  # noqa: PTH208  nothing is left where the user works

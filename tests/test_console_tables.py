"""Tables at the widths of terminals: every cell is there whole, whatever has to be put below one another."""

import io
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from medray.console_tables import Columns, metric_caveat, print_table
from medray.stats.score_names import METRICS

WIDTHS = [60, 80, 120]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("count", [1, 3, 12])
def test_no_cell_is_cut_at_any_width(width: int, count: int) -> None:
    stream = io.StringIO()
    columns: Columns = [(f"metric {i}", [f"0.{i}{row}11 ± 0.0{i}22" for row in range(3)]) for i in range(count)]
    labels = ["7", "best single (trial 6)", "a [red] name that is longer than a label may be"]
    print_table(Console(file=stream, width=width), "Scores", labels, columns, "model", ["one", "", "two words"])
    text = stream.getvalue()
    assert max(map(cell_len, text.splitlines())) <= width
    assert "…" not in text
    for title, cells in columns:
        assert title in text
        assert all(cell in text for cell in cells)
    assert "two words" in text
    assert text.count("best single (trial 6)") >= 1


def test_a_table_without_columns_holds_its_labels() -> None:
    stream = io.StringIO()
    print_table(Console(file=stream, width=60), "Names", ["a", "b"], [])
    assert "b" in stream.getvalue()


def test_f1_alone_has_a_caveat_which_the_page_on_search_spaces_repeats() -> None:
    caveats = {name: caveat for name in METRICS if (caveat := metric_caveat(name))}
    assert set(caveats) == {"f1_macro", "f1_micro", "f1_weighted"}
    (sentence,) = set(caveats.values())
    assert "ignores true negatives" in sentence
    page = Path(__file__).resolve().parent.parent / "docs/search.md"
    assert sentence in " ".join(page.read_text(encoding="utf-8").split())

"""Forms of text that tables come in: encodings, separators, lines above the columns; and what is no table."""

import csv
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.data.listing.tables.columns import choose_columns
from medray.data.listing.tables.table_text import Table, read_table
from medray.errors import DataError
from tests.data.listing.folders.folder_trees import refusal

plain = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=6)


def read(folder: Path, content: bytes, name: str = "labels.csv") -> Table:
    (folder / name).write_bytes(content)
    return read_table(folder / name)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(plain, plain), min_size=1, max_size=6),
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le-bom", "utf-16-be-bom"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    above=st.lists(st.sampled_from(["", "# made by hand", "  #note, of 2020"]), max_size=3),
    named=st.booleans(),
    trailing=st.integers(0, 2),
)
def test_whatever_the_form_the_cells_are_the_same(
    rows: list[tuple[str, str]],
    delimiter: str,
    encoding: str,
    end: str,
    above: list[str],
    named: bool,
    trailing: int,
) -> None:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerow(["image", "label", *[""] * trailing])
    for row in rows:
        writer.writerow([*row, *[""] * trailing])
    text = (
        "".join(f"{line}{end}" for line in [*([f"sep={delimiter}"] if named else []), *above]) + stream.getvalue()
    )
    marked = encoding.endswith("-bom")
    content = text.encode(encoding.removesuffix("-bom"))
    mark = "\ufeff".encode(encoding.removesuffix("-bom")) if marked else b""
    with tempfile.TemporaryDirectory() as folder:
        table = read(Path(folder), mark + content)
    assert table.columns == ("image", "label")
    assert [tuple(row.cells.values()) for row in table.rows] == rows
    assert [row.line for row in table.rows] == [named + len(above) + 2 + i for i in range(len(rows))]
    assert sum("begin with '#'" in note for note in table.notes) == any(line for line in above)
    assert any("UTF-16" in note for note in table.notes) == encoding.startswith("utf-16")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_known_by_its_zeros(tmp_path: Path, encoding: str) -> None:
    table = read(tmp_path, "image,label\n1.png,bénigne\n".encode(encoding))
    assert table.rows[0].cells == {"image": "1.png", "label": "bénigne"}
    assert table.notes == ("the table is in UTF-16",)


def test_the_number_column_of_a_head_is_no_comment(tmp_path: Path) -> None:
    assert read(tmp_path, b"#,image,label\n1,a.png,x\n").columns == ("#", "image", "label")


def test_a_nameless_column_with_cells_is_kept(tmp_path: Path) -> None:
    table = read(tmp_path, b"image,label,,\n1.png,a,,left\n2.png,b\n")
    assert table.columns == ("image", "label", "column 4")
    assert [row.cells["column 4"] for row in table.rows] == ["left", ""]


@pytest.mark.parametrize(
    ("content", "fragments"),
    [
        (b"PK\3\4rest", ["a spreadsheet by its first bytes", "save it as CSV in UTF-8"]),
        (b"\xd0\xcf\x11\xe0rest", ["a spreadsheet by its first bytes"]),
        (b"PAR1rest", ["a Parquet file by its first bytes", "save it as CSV"]),
        (b"\x1f\x8brest", ["a compressed file by its first bytes", "unpack it first"]),
        (b"<!DOCTYPE html><table></table>", ["a page of HTML or XML"]),
        (b"Study of films\nimage,label\n1.png,a\n", ["line 2 has 2 cells", "is 'Study of films' a title?"]),
        (b"image,label\n1,1.png,a\n", ["line 2 has 3 cells for 2 columns; a cell that holds the separator needs quotes"]),
    ],
)  # fmt: skip
def test_what_is_no_table_says_what_it_looks_like(tmp_path: Path, content: bytes, fragments: list[str]) -> None:
    refusal(lambda: read(tmp_path, content), "labels.csv", *fragments)


@pytest.mark.parametrize("name", ["t.parquet", "t.feather", "t.json", "t.XLSX"])
def test_files_of_other_kinds_are_refused_by_their_suffix(tmp_path: Path, name: str) -> None:
    refusal(lambda: read(tmp_path, b"image,label\n", name), "is not read; save", "as CSV in UTF-8")


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("1.png,a\n2.png,b\n", "if its first line is a row already, write the names of the columns above it"),
        ("7,a\n8,b\n", "if its first line is a row already"),
        ("image label\n1.png a\n", "is it divided by another separator than comma, semicolon, tab or bar?"),
    ],
)
def test_a_table_without_a_head_or_a_separator_is_refused(tmp_path: Path, text: str, fragment: str) -> None:
    with pytest.raises(DataError) as caught:
        choose_columns(read(tmp_path, text.encode()), {})
    assert fragment in str(caught.value)

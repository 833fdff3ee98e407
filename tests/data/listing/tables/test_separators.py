"""Cells that name several labels: which separators divide them, named or guessed, and what is refused as doubtful."""

import tempfile
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from medray.data.labels import choose_labels
from medray.data.source import Source, escaped, parse_source
from medray.errors import DataError
from medray.init.naming import complete_source
from medray.space.preparation import Labels
from tests.data.listing.folders.folder_trees import refusal
from tests.data.listing.tables.label_tables import labels_of, read_cells, read_rows

NOS = ["Melanoma, NOS", "Nevus, NOS, Compound", "Basal cell carcinoma"]


@pytest.mark.parametrize("option", ["none", "None", "", "|"])
def test_names_with_commas_are_read_whole_where_no_separator_is_named(tmp_path: Path, option: str) -> None:
    listing = read_cells(tmp_path, NOS * 2, f"?separator={option}")
    assert labels_of(listing) == [(name,) for name in NOS * 2]
    assert choose_labels(listing, Labels()).class_names == tuple(sorted(NOS))
    absent = "column 'label': no cell holds the separator '|'"
    assert (absent in listing.notes) == (option == "|")


@pytest.mark.parametrize(
    ("cells", "shown"),
    [
        (NOS, "line 2: 'Melanoma, NOS' may be one label or several, 'Melanoma' and 'NOS' ('NOS' is in no cell by itself)"),
        (["Carcinoma, ductal", "Carcinoma, lobular"], "'Carcinoma' and 'ductal'"),
        (["pneumonia, bacterial", "pneumonia", "normal"], "'pneumonia' and 'bacterial'"),
        (["BI-RADS 4a, 4b", "BI-RADS 4a", "BI-RADS 2"], "'BI-RADS 4a' and '4b'"),
        (["1,2", "3,4", "5"], "'1' and '2'"),
        (["A, B", "C"], "'A' and 'B'"),
    ],
)  # fmt: skip
def test_a_comma_that_may_be_of_a_name_is_refused_with_both_readings(
    tmp_path: Path, cells: list[str], shown: str
) -> None:
    ways = "`?separator=none` behind the source reads it as one, `?separator=,` as several"
    refusal(lambda: read_cells(tmp_path, cells), "t.csv: column 'label': line 2: ", shown, ways)
    assert ("A", "B") in labels_of(read_cells(tmp_path, [*cells, "A,B"], "?separator=,"))


@pytest.mark.parametrize(
    ("cells", "separator"),
    [
        (["Atelectasis|Effusion", "Effusion", "No Finding", "Mass|Nodule"], "|"),
        (["A;B", "A", "D"], ";"), (["1,2", "1", "2"], ","), (["MONOCYTE, LYMPHOCYTE", "LYMPHOCYTE"], ","),
        (["a\nb", "a", "c"], "\n"), (["a、b", "b"], "、"), (["A;", "B;", "A;B;"], ";"), (["A,A", "B"], ","),
        (["Effusion, Mass", "Mass, Effusion"], ","),
    ],
)  # fmt: skip
def test_cells_whose_parts_are_labels_are_divided_with_a_note(
    tmp_path: Path, cells: list[str], separator: str
) -> None:
    listing = read_cells(tmp_path, cells)
    parts = [tuple(part.strip() for part in cell.split(separator) if part.strip()) for cell in cells]
    assert labels_of(listing) == parts
    (note,) = [note for note in listing.notes if "divided" in note]
    shown = "\\n" if separator == "\n" else separator
    assert note.startswith(f"column 'label': divided at '{shown}': rows: {sum(separator in c for c in cells)}")
    assert "`?separator=none` behind the source reads such a cell as one label" in note


@pytest.mark.parametrize("cells", [["animal|cat", "animal|dog", "plant|tree"], ["A;B", "C", "D"]])
def test_paths_of_names_are_not_divided_in_silence(tmp_path: Path, cells: list[str]) -> None:
    refusal(lambda: read_cells(tmp_path, cells), "may be one label or several", "`?separator=none`")


def test_several_separators_are_refused_unless_all_parts_are_labels(tmp_path: Path) -> None:
    cells = ["Melanoma, NOS|Nevus", "Nevus", "Melanoma, NOS"]
    refusal(lambda: read_cells(tmp_path, cells),
            "column 'label': cells hold '|' and ',', such as 'Melanoma, NOS|Nevus' (line 2): `?separator=|`, "
            "`?separator=,` behind the source divides them at one of these, `?separator=none` reads each")  # fmt: skip
    assert labels_of(read_cells(tmp_path, cells, "?separator=|"))[0] == ("Melanoma, NOS", "Nevus")
    assert labels_of(read_cells(tmp_path, ["a|b", "a, c", "a", "b", "c"]))[:2] == [("a", "b"), ("a", "c")]


@pytest.mark.parametrize("separator", [" ", "/", "+", "&", " and "])
def test_other_separators_are_offered_where_both_parts_are_cells(tmp_path: Path, separator: str) -> None:
    cells = [f"scab{separator}rust", "scab", "rust"]
    listing = read_cells(tmp_path, cells)
    assert labels_of(listing)[0] == (cells[0],)
    (note,) = [note for note in listing.notes if "is read as one label" in note]
    option = note.partition("`")[2].partition("`")[0]
    assert labels_of(read_cells(tmp_path, cells, option))[0] == ("scab", "rust")
    assert not [note for note in read_cells(tmp_path, ["scab rust", "scab"]).notes if "one label" in note]


def test_a_separator_is_for_a_column_of_labels(tmp_path: Path) -> None:
    line = "option 'separator' is for a column of labels, not for a column for each class"
    refusal(lambda: read_rows(tmp_path, ["a", "b"], [(1, 0), (0, 1)], "?separator=|"), line)


def test_the_file_of_init_names_the_separator(tmp_path: Path) -> None:
    listing = read_cells(tmp_path, ["a|b", "a", "b"])
    source, _ = complete_source(parse_source(f"csv:{tmp_path}/t.csv"))
    assert source.options["separator"] == "|"
    assert complete_source(source)[0] == source
    assert labels_of(listing) == labels_of(
        read_cells(tmp_path, ["a|b", "a", "b"], f"?{str(source).partition('?')[2]}")
    )


@example(" ")
@example("a ")
@given(st.text(st.characters(codec="utf-8"), max_size=4))
def test_any_separator_can_be_named(separator: str) -> None:
    source = Source("csv", "t.csv", {"separator": separator})
    assert parse_source(str(source)) == source
    assert escaped(separator) == escaped(separator).strip(" ")


names = st.text(
    st.characters(codec="utf-8", categories=["L", "Nd"], include_characters=" ,;|/()-"), min_size=1, max_size=12
)


def has_letter(name: str) -> bool:
    """Numbers are written in one way, which is another rule."""
    return any(map(str.isalpha, name))


def folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


@settings(max_examples=150, deadline=None)
@given(
    names=st.lists(names.map(str.strip).filter(has_letter), min_size=2, max_size=5, unique_by=folded),
    picks=st.lists(st.lists(st.integers(0, 4), max_size=3, unique=True), max_size=8),
    separator=st.sampled_from(["|", ";", ",", ", ", " | ", "::"]), named=st.booleans(),
)  # fmt: skip
def test_labels_come_back_or_the_doubt_is_said(
    names: list[str], picks: list[list[int]], separator: str, named: bool
) -> None:
    """Whatever names hold: with the separator named all labels are right, without it they are or it is noted."""
    sign = separator.strip()
    if named:
        names = list(dict.fromkeys(name.replace(sign, "") for name in names))
        names = [name.strip() for name in names if name.strip()]
    rows = [[0], [1], *picks]
    truth = [tuple(dict.fromkeys(names[pick % len(names)] for pick in row)) if names else () for row in rows]
    message = ""
    with tempfile.TemporaryDirectory() as folder:
        option = f"?separator={escaped(sign)}&blank=" if named else "?blank="
        try:
            listing = read_cells(Path(folder), [separator.join(row) for row in truth], option)
        except DataError as error:
            message = str(error)
    if message:
        assert "\n" not in message
        assert not named or "at least two" in message
        return
    spelt = [tuple(map(folded, labels)) for labels in labels_of(listing)]
    right = spelt == [tuple(map(folded, labels)) for labels in truth]
    assert right or ((not named and any("divided at" in note or "lists of labels" in note for note in listing.notes))
                     or (sign == "::" and not named))  # fmt: skip

"""The line that names a source of files: its kind, its path and its options."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.errors import DataError
from tests.data.listing.folders.folder_trees import check, grow, list_text, refusal

ROWS = "image,label\n1.png,a\n2.png,b\n"


@pytest.mark.parametrize(
    ("source", "fragments"),
    [
        ("", ["unknown data source ''", "folder:PATH, csv:PATH, dicom:PATH"]),
        ("folder:", ["unknown data source 'folder:'"]),
        ("CSV:x", ["did you mean 'csv'?"]),
        ("csv:none.csv?label=x&label=y", ["option 'label' is given twice"]),
        ("csv:none.csv?label", ["option 'label' needs a value"]),
        ("folder:none?patients=foldr", ["unknown kind of patients 'foldr' (did you mean 'folder'?)"]),
        ("folder:none?patients=0", ["unknown kind of patients '0'"]),
        (
            "folder:none?patients=(p",
            ["pattern of patients '(p' can't be read: missing ), unterminated subpattern"],
        ),
        ("folder:none?patients=(p)(q)", ["pattern of patients '(p)(q)' has 2 groups; valid: one or none"]),
        ("dicom:none?patients=foldr", ["unknown kind of patients 'foldr' (did you mean 'folder'?)"]),
        ("dicom:none?label=x", ["unknown option 'label'; valid: patients, subgroups, exclude"]),
    ],
)
def test_sources_that_are_refused(source: str, fragments: list[str]) -> None:
    refusal(lambda: list_text(source), *fragments)


@given(st.text(max_size=30), st.sampled_from(["", "folder:", "csv:", "dicom:", "csv:x?", "folder:x?"]))
def test_any_line_is_refused_in_one_line(text: str, kind: str) -> None:
    if text.strip("./~ ") == "" or text.startswith(("/", "~", ".")):
        text = "none"  # what is on this machine is no matter of tests
    with pytest.raises(DataError) as caught:
        list_text(f"{kind}no-such-{text}")
    assert "\n" not in str(caught.value)


def test_the_home_folder_is_meant_by_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    grow(tmp_path, {"set/a/1.png": "1", "set/b/1.png": "2", "t/labels.csv": ROWS, "t/1.png": "", "t/2.png": ""})
    assert check(list_text("folder:~/set")).root == tmp_path / "set"
    assert len(list_text("csv:~/t/labels.csv")) == 2


def test_a_path_may_hold_a_question_mark_and_an_option_any_sign(tmp_path: Path) -> None:
    grow(tmp_path, {"what?/x.csv": "image,A&B +%\n1.png,a\n2.png,b\n", "what?/1.png": "", "what?/2.png": ""})
    grow(tmp_path / "what?" / "set", ["a/1.png", "b/1.png"])
    assert len(list_text(f"folder:{tmp_path}/what?/set")) == 2
    listing = list_text(f"csv:{tmp_path}/what?/x.csv?label=A%26B +%")
    assert [image.labels for image in listing.images] == [("a",), ("b",)]

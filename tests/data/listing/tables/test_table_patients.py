"""Patients of a table's images by a pattern in their paths, and the note where file names share one."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.listing.folders.folder_trees import check, grow, list_text, refusal


def made(root: Path, names: list[str], columns: str = "image,label") -> Path:
    """A table of images of two classes by turns, with the numbers of its lines in further columns."""
    grow(root, names)
    more = [",x"] * (columns.count(",") - 1)
    rows = [f"{name},{'ab'[position // 2 % 2]}{''.join(more)}" for position, name in enumerate(names)]
    (root / "t.csv").write_text("\n".join([columns, *rows]))
    return root / "t.csv"


def patients(table: Path, options: str = "") -> list[str | None]:
    return [image.patient for image in check(list_text(f"csv:{table}{options}")).images]


EYES = [f"train/{number}_{side}.jpeg" for number in range(10, 20) for side in ("left", "right")]


def test_a_pattern_is_searched_in_the_path_from_the_tables_folder(tmp_path: Path) -> None:
    table = made(tmp_path, EYES)
    assert patients(table, r"?patients=(\d+)_") == [str(number) for number in range(10, 20) for _ in "lr"]
    assert patients(table, r"?patients=^train/\d+") == [
        f"train/{number}" for number in range(10, 20) for _ in "lr"
    ]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=4, unique=True))
def test_images_have_one_patient_just_where_the_pattern_matches_the_same(
    tmp_path_factory: pytest.TempPathFactory, views: list[tuple[int, int]]
) -> None:
    names = [f"p{patient}/v{view}.png" for patient, view in views]
    table = made(tmp_path_factory.mktemp("t"), names)
    if len({patient for patient, _ in views}) == 1:
        refusal(lambda: patients(table, r"?patients=p\d"), "all images would be of one patient, 'p")
    else:
        assert patients(table, r"?patients=p\d") == [f"p{patient}" for patient, _ in views]


def test_names_that_share_a_patient_are_noted_with_the_pattern_that_takes_it(tmp_path: Path) -> None:
    table = made(tmp_path, EYES)
    (note,) = (note for note in list_text(f"csv:{table}").notes if note.startswith("images may be of one patient"))
    assert "names of 20 files share 10 beginnings or numbers" in note
    offered = note.split("`")[1]
    assert len(set(patients(table, offered))) == 10
    for declined in ("?patient=", r"?patients=(\d+)_"):
        assert not [note for note in list_text(f"csv:{table}{declined}").notes if "may be of one patient" in note]


def test_running_numbers_are_no_patients(tmp_path: Path) -> None:
    table = made(tmp_path, [f"IMG_{number:04d}.png" for number in range(30)])
    assert not [note for note in list_text(f"csv:{table}").notes if "patient" in note]


@pytest.mark.parametrize(
    ("columns", "option", "fragments"),
    [
        ("image,label", "dx", ["'dx' is no pattern", "`?patient=dx` names a column"]),
        ("image,label", "folder", ["'folder' is no pattern"]),
        ("image,label", "3", ["'3' is no pattern"]),
        ("image,label", "", ["'' is no pattern", "`?patient=COLUMN`"]),
        ("image,label", "(", ["'(' can't be read"]),
        ("image,label", r"(\d+)_(.*)", ["has 2 groups"]),
        ("image,label", r"case(\d+)", ["line 2: 'train/10_left.jpeg'", "does not match `patients=case"]),
        ("image,label", "(train)", ["all images would be of one patient, 'train'"]),
        ("image,label,patient", r"(\d+)_", ["column 'patient' names them", "`?patient=` says that it does not"]),
    ],
)
def test_what_takes_no_patients_is_refused(
    tmp_path: Path, columns: str, option: str, fragments: list[str]
) -> None:
    table = made(tmp_path, EYES, columns)
    refusal(lambda: patients(table, f"?patients={option}"), "t.csv", *fragments)


def test_a_column_may_be_declined_for_a_pattern(tmp_path: Path) -> None:
    table = made(tmp_path, EYES, "image,label,patient")
    assert len(set(patients(table, r"?patient=&patients=(\d+)_"))) == 10

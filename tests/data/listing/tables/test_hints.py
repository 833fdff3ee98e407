"""Columns that nobody uses: ids of several images, splits and folds are offered by name, others are not."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.console import make_console
from medray.data.folds import make_folds
from medray.data.listing.listing import CALIBRATION, TEST, TRAIN, VAL, Listing
from medray.data.listing.tables.hints import UNUSED
from medray.data.listing.tables.table_splits import table_split
from medray.data.load_data import load_data
from medray.init.init_command import begin
from tests.data.listing.folders.folder_trees import grow, list_text, refusal
from tests.data.listing.tables.label_tables import read_rows

COUNT = 24


def read(root: Path, column: str, cells: list[str], options: str = "", **more: list[str]) -> Listing:
    head = ["image", "label", *more, column]
    columns = [[f"p{i}.png" for i in range(COUNT)], ["ab"[i % 2] for i in range(COUNT)], *more.values(), cells]
    text = "\n".join(",".join(row) for row in [head, *zip(*columns, strict=True)])
    grow(root, {**{f"p{i}.png": f"image {i}" for i in range(COUNT)}, "t.csv": text})
    return list_text(f"csv:{root}/t.csv{options}")


def unused(listing: Listing) -> list[str]:
    return [note for note in listing.notes if note.startswith(UNUSED)]


PAIRS = [f"{i // 2}" for i in range(COUNT)]


@pytest.mark.parametrize(
    "name",
    ["lesion_id", "MRN", "pid", "Accession Number", "StudyInstanceUID", "exam", "slide_no", "donor", "patientNumber",
     "Patients", "visit", "eyeID", "image_series"],
)  # fmt: skip
def test_an_id_by_its_name_is_offered_and_the_offer_holds(tmp_path: Path, name: str) -> None:
    (note,) = unused(read(tmp_path, name, PAIRS))
    assert note.startswith(f"unused column '{name}' looks like an id of several images (12 values in 24 rows)")
    assert f"`?patient={name}` behind the source keeps them together" in note
    listing = read(tmp_path, name, PAIRS, f"?patient={name}")
    assert [image.patient for image in listing.images] == PAIRS
    assert not unused(listing)
    assert not unused(read(tmp_path, name, PAIRS, "?patient="))


@pytest.mark.parametrize(
    "cells", [[f"H{i // 2:03d}" for i in range(COUNT)], [f"{4000 + i // 2}" for i in range(COUNT)]]
)
def test_an_id_by_its_values(tmp_path: Path, cells: list[str]) -> None:
    assert len(unused(read(tmp_path, "code", cells))) == 1


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("age", [f"{20 + i // 2}" for i in range(COUNT)]),
        ("dose", [f"{i // 2}.5" for i in range(COUNT)]),
        ("date", [f"2020-01-{1 + i // 2:02d}" for i in range(COUNT)]),
        ("remark", [f"seen by D{i // 2}" for i in range(COUNT)]),
        ("eye", ["left", "right"] * 12),
        ("scanner", [f"GE{i % 3}" for i in range(COUNT)]),
        ("case", ["case", "control"] * 12),
        ("lesion_id", [f"{i}" for i in range(COUNT)]),
    ],
)
def test_measures_categories_and_ids_of_one_image_are_not_offered(
    tmp_path: Path, name: str, cells: list[str]
) -> None:
    assert not unused(read(tmp_path, name, cells, "?patient=" if name == "case" else ""))


def test_beside_a_patient_only_what_joins_patients_is_offered(tmp_path: Path) -> None:
    assert not unused(read(tmp_path, "lesion_id", [f"{i}" for i in range(COUNT)], patient=PAIRS))
    assert not unused(read(tmp_path, "lesion_id", PAIRS, patient=PAIRS))
    (note,) = unused(read(tmp_path, "mrn", [f"{i // 4}" for i in range(COUNT)], patient=PAIRS))
    assert note.endswith("`?patient=mrn` behind the source keeps them together in place of 'patient'")


def test_splits_and_folds_by_other_names_are_offered(tmp_path: Path) -> None:
    cells = ["Training", "holdout", "dev", "calib"] * 6
    (note,) = unused(read(tmp_path, "phase", cells))
    assert "'phase' names splits (Training, calib, dev, holdout): `?split=phase`" in note
    listing = read(tmp_path, "phase", cells, "?split=phase")
    assert [image.split for image in listing.images] == [TRAIN, TEST, VAL, CALIBRATION] * 6
    (note,) = unused(read(tmp_path, "cv_fold_no", ["0", "1", "2"] * 8))
    assert "'cv_fold_no' looks like folds: `?fold=cv_fold_no`" in note


@given(
    st.sampled_from([("train", TRAIN), ("Training", TRAIN), ("val", VAL), ("valid", VAL), ("validation", VAL), ("dev", VAL),
                     ("test", TEST), ("testing", TEST), ("holdout", TEST), ("hold-out", TEST), ("Held out", TEST),
                     ("calibration", CALIBRATION), ("calib", CALIBRATION), ("calibrate", CALIBRATION)]),
    st.sampled_from(["", "_set", " Set", "-data", " split"]),
    st.sampled_from([str.lower, str.upper, str.title]),
)  # fmt: skip
def test_usual_words_of_splits(pair: tuple[str, str], ending: str, case: type[str]) -> None:
    assert table_split(f" {case(pair[0] + ending)}") == pair[1]


@pytest.mark.parametrize(
    ("cells", "fragment"),
    [
        (
            ["0", "1", "2"],
            "its numbers (0, 1, 2) may be folds: `?split=&fold=split` behind the source reads them so",
        ),
        (
            ["True", "False", "True"],
            "it looks like yes and no: write a word such as train or test in place of each",
        ),
        (["left", "right", "left"], "`?split=` behind the source leaves the column out"),
    ],
)
def test_other_words_in_a_split_column_say_what_they_look_like(
    tmp_path: Path, cells: list[str], fragment: str
) -> None:
    refusal(lambda: read(tmp_path, "split", cells * 8), "line 2: column 'split': unknown split", fragment)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A table with four splits, two classes, folds, and patients under a name that is not known."""
    import numpy as np
    from PIL import Image

    lines = ["image,label,lesion_id,part,round"]
    for i in range(48):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (16, 16), dtype=np.uint8)).save(
            tmp_path / f"p{i}.png"
        )
        part = ("train", "val", "test", "calib")[i // 2 % 4]
        lines.append(f"p{i}.png,{'ab'[i % 2]},L{i // 2},{part},{'' if part in ('test', 'calib') else i // 8 % 2}")
    (tmp_path / "t.csv").write_text("\n".join(lines))
    return tmp_path


def test_a_calibration_split_is_kept_and_no_fold_trains_on_it(study: Path) -> None:
    dataset = load_data(f"csv:{study}/t.csv?split=part&patient=lesion_id&fold=round")
    assert {name: len(positions) for name, positions in dataset.splits.items()} == {
        "train": 12, "val": 12, "test": 12, "calibration": 12
    }  # fmt: skip
    folds = make_folds(dataset, None, 0)
    aside = {*dataset.splits["test"].tolist(), *dataset.splits["calibration"].tolist()}
    for fold in folds.folds:
        assert not aside & {*fold.train.tolist(), *fold.val.tolist()}


def test_init_offers_the_column_in_the_file_and_on_the_screen(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import io

    monkeypatch.chdir(study)
    console = make_console(width=300)
    console.file = io.StringIO()
    path = begin("lesions", f"csv:{study}/t.csv?split=part", None, console)
    for text in (console.file.getvalue(), path.read_text().replace("\n# ", " ")):
        assert "`?patient=lesion_id` behind the source keeps them together" in text
        assert "12 calibration" in text


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        ("Patientennummer", [n // 2 for n in range(24)]),
        ("Paciente", [n // 2 for n in range(24)]),
        ("Hospital No.", [n // 2 for n in range(24)]),
        ("Nr", [n // 2 for n in range(24)]),
        ("Name", [f"Anna {chr(65 + n // 2)}" for n in range(24)]),
    ],
)
def test_numbers_and_names_of_persons_are_offered(tmp_path: Path, column: str, cells: list[object]) -> None:
    listing = read_rows(tmp_path, ["label", column], [("ab"[n % 2], cell) for n, cell in enumerate(cells)])
    assert [note for note in listing.notes if f"`?patient={column}` behind" in note]


@pytest.mark.parametrize("column", ["class_id", "slice_number", "Follow-up No", "device_id", "age", "image_size"])
def test_numbers_of_something_else_are_not(tmp_path: Path, column: str) -> None:
    listing = read_rows(tmp_path, ["label", column], [("ab"[n % 2], n // 2) for n in range(24)])
    assert not [note for note in listing.notes if note.startswith("unused")]


@pytest.mark.parametrize(
    ("column", "words"),
    [("is_train", ("True", "False")), ("test", ("0", "1")), ("Usage", ("Training", "PublicTest", "PrivateTest"))],
)
def test_a_column_that_means_splits_in_other_words_is_noted(
    tmp_path: Path, column: str, words: tuple[str, ...]
) -> None:
    rows = [("ab"[n % 2], words[n % len(words)]) for n in range(12)]
    listing = read_rows(tmp_path, ["label", column], rows)
    (note,) = [note for note in listing.notes if note.startswith("unused")]
    assert f"'{column}' looks like splits" in note
    assert not [note for note in read_rows(tmp_path, ["label", column], rows, "?split=").notes if "splits" in note]

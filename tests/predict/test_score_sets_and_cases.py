"""`medray predict --labels` of ensembles of several labels, and of ensembles that answer by case."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import medray
from medray._types import Array
from medray.predict import predict_cases
from medray.predict.predict_command import predict
from tests.case_samples import case_arrays
from tests.evaluate.conftest import content
from tests.label_set_images import LABELS, label_set_arrays
from tests.studied_runs import case_study, label_set_study

pytestmark = pytest.mark.component


@pytest.fixture(scope="module")
def marks(tmp_path_factory: pytest.TempPathFactory) -> medray.Study:
    return label_set_study(tmp_path_factory.mktemp("several"))


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> medray.Study:
    return case_study(tmp_path_factory.mktemp("cases"))


def write_films(folder: Path, images: Array, **columns: list[str]) -> tuple[Path, Path]:
    """Write images, and a table of their columns beside the folder; return both."""
    (folder / "films").mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image[:, :, 0]).save(folder / "films" / f"{number:03d}.png")
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = zip(*columns.values(), strict=True)
        csv.writer(file).writerows([("image", *columns), *((f"{i:03d}", *row) for i, row in enumerate(rows))])
    return folder / "films", folder / "labels.csv"


def ask(study: medray.Study, folder: Path, labels: object, *arguments: object) -> Result:
    command = [study.location, folder, "--labels", labels, *arguments]
    return CliRunner().invoke(predict, [str(argument) for argument in command])


def scored(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_several_labels_are_scored_label_by_label(marks: medray.Study, tmp_path: Path) -> None:
    images, labels = label_set_arrays(120, seed=41)
    cells = ["|".join(np.array(LABELS)[row == 1]) or "clear" for row in labels]
    cells = [cell.replace("stripe", "band") for cell in cells]
    folder, table = write_films(tmp_path, images, label=cells)
    before = content(Path(marks.location))
    document = scored(ask(marks, folder, table, "--map", "band=stripe", "--map", "clear=none", "--json"))
    table_of_answers = marks.load_ensemble().predict(images).probabilities
    right = ((table_of_answers >= 0.5) == (labels == 1)).all(axis=1).mean()
    assert document["scores"]["exact_match"]["value"] == pytest.approx(right)
    assert [sum(row[:2]) for row in document["confusion_matrix"]] == labels.sum(axis=0).tolist()
    assert [point["event"]["name"] for point in document["operating_points"]] == list(LABELS)
    assert content(Path(marks.location)) == before
    shown = ask(marks, folder, table, "--map", "band=", "--map", "clear=none")
    assert "labels that are missing there, so unknown of every image and in no figure: stripe" in shown.stderr
    assert "AUC of each label" in shown.stderr
    assert "the run's label" in shown.stderr


def test_a_label_that_nothing_names_is_one_line(marks: medray.Study, tmp_path: Path) -> None:
    images, _ = label_set_arrays(4, seed=42)
    folder, table = write_films(tmp_path, images, label=["corner|middle", "dots", "middle", "corner"])
    result = ask(marks, folder, table)
    assert result.exit_code == 2
    assert "labels that the run does not have: dots (1)" in result.stderr.splitlines()[-1]


def test_files_of_a_case_are_scored_together(
    films: medray.Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels, patients = case_arrays(30, 3, seed=43)
    folder, table = write_films(
        tmp_path, images, label=list(map(str, labels)), patient=[f"p{patient}" for patient in patients]
    )
    result = ask(films, folder, table, "--json")
    document = scored(result)
    assert (document["images"], document["cases"], document["patients"]) == (90, 30, 30)
    _, first = np.unique(patients, return_index=True)
    prediction = films.load_ensemble().predict(images, patients)
    expected = (prediction.labels == labels[np.sort(first)]).mean()
    assert document["scores"]["accuracy"]["value"] == pytest.approx(expected)
    assert "cases: 30 of 90 files, each the mean of all images of one patient" in result.stderr
    monkeypatch.setattr(predict_cases, "BATCH_SIZE", 4)
    assert scored(ask(films, folder, table, "--json"))["scores"] == document["scores"]


def test_all_files_of_a_case_answer_whatever_their_label(films: medray.Study, tmp_path: Path) -> None:
    images, labels, patients = case_arrays(30, 3, seed=45)
    rng = np.random.default_rng(4)
    hidden = (rng.random(len(labels)) < 0.5) | (patients < 2)
    kept = np.isin(patients, patients[~hidden])
    words = np.where(hidden, np.where(rng.random(len(labels)) < 0.5, "", "blurred"), labels.astype(str)).tolist()
    folder, table = write_films(tmp_path, images, label=words, patient=[f"p{patient}" for patient in patients])
    (folder / "unnamed.png").write_bytes((folder / "000.png").read_bytes())
    broken = int(np.flatnonzero(kept & hidden)[0])
    (folder / f"{broken:03d}.png").write_bytes(b"no image")
    kept[broken] = False
    result = ask(films, folder, table, "--map", "blurred=", "--json")
    assert result.exit_code == 1  # a file can't be read
    document = json.loads(result.stdout)
    _, first = np.unique(patients[kept], return_index=True)
    prediction = films.load_ensemble().predict(images[kept], patients[kept])
    expected = (prediction.labels == labels[kept][np.sort(first)]).mean()
    assert (document["images"], document["cases"]) == (kept.sum(), len(first))
    assert document["scores"]["accuracy"]["value"] == pytest.approx(expected)
    notes = document["notes"]
    assert any(note.startswith("left out of their case's label alone, not of its answer:") for note in notes)
    assert any("none of whose images has a usable label" in note for note in notes)
    assert "1 case answered without 1 image that can't be read or used" in notes
    assert "no row names 1 file, so whether a case answered without it is not known" in notes
    without = 90 - kept.sum()
    assert any(note.startswith(f"no score of {without} files without one label") for note in notes)


def test_without_patients_nothing_of_cases_is_printed_by_image(films: medray.Study, tmp_path: Path) -> None:
    images, labels, _ = case_arrays(30, 2, seed=44)
    folder, table = write_films(tmp_path, images, label=list(map(str, labels)))
    result = ask(films, folder, table, "--json")
    document = scored(result)
    assert (document["images"], document["cases"]) == (60, None)
    assert (document["operating_points"], document["conformal_sets"]) == ([], [])
    assert "figures are by image, and the ensemble answers by patient" in result.stderr
    assert "promised" not in ask(films, folder, table).stderr

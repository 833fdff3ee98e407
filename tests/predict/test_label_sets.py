"""`medray predict` of an ensemble that says several labels an image."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import medray
from medray._types import Array
from medray.data.listing.tables.list_table import list_table
from medray.data.source import parse_source
from medray.ensemble import Ensemble, LabelSetPrediction
from medray.predict.predict_command import predict
from tests.serving.label_run import LABELS, shaded, write_label_run

pytestmark = pytest.mark.component


@pytest.fixture(scope="module")
def run(npz: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_label_run(tmp_path_factory.mktemp("labels") / "films", npz)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for number, image in enumerate(shaded(12, seed=3)):
        Image.fromarray(image[:, :, 0]).save(folder / f"film {number:02}.png")
    return folder


@pytest.fixture(scope="module")
def expected(run: Path) -> LabelSetPrediction:
    prediction = Ensemble.load(run / "ensemble").predict(shaded(12, seed=3))
    assert isinstance(prediction, LabelSetPrediction)
    return prediction


def ask(*arguments: object) -> Result:
    return CliRunner().invoke(predict, [str(argument) for argument in arguments])


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_table_names_the_labels_that_are_called(run: Path, films: Path, expected: LabelSetPrediction) -> None:
    result = ask(run, films)
    assert result.exit_code == 0, result.output
    table = rows(result.stdout)
    assert list(table[0]) == ["file", "label", *LABELS, "set", "flags"]
    assert [row["label"] for row in table] == ["|".join(names) for names in expected.called_names]
    assert [row["set"] for row in table] == expected.answers()
    shown = [[float(row[name]) for name in LABELS] for row in table]
    assert np.allclose(shown, expected.probabilities, atol=1e-5)


def test_the_table_can_be_read_as_labels(run: Path, films: Path, expected: LabelSetPrediction) -> None:
    """Also where the name of a label holds a comma."""
    assert ask(run, films, "--form", "predicted", "--csv", films / "called.csv").exit_code == 0
    listing = list_table(parse_source(f"csv:{films / 'called.csv'}?separator=|"))
    assert [list(image.labels) for image in listing.images] == expected.called_names


def test_each_decision_has_a_column(run: Path, films: Path, expected: LabelSetPrediction) -> None:
    result = ask(run, films, *(f"--column={n}={{decision[{label}]}}" for n, label in enumerate(LABELS)))
    decided: Array = np.array([list(row.values()) for row in rows(result.stdout)], dtype=int)
    assert decided.astype(bool).tolist() == expected.called.tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--form", "indices"),
            "--form indices needs one class an image, and this ensemble says several labels; ",
        ),
        (("--column", "a={index}"), "a column has the field index: several labels have no number; valid: "),
        (
            ("--column", "a={decision}"),
            "--column a: '{decision}': each class has its own; name it behind the field",
        ),
    ],
)
def test_what_needs_one_class_is_refused(run: Path, films: Path, arguments: tuple[str, str], message: str) -> None:
    table = films / "labels.csv"
    table.write_text(
        "image,label\n" + "".join(f"film {n:02}.png,{LABELS[0]}|{LABELS[n % 2 * 3]}\n" for n in range(12))
    )
    option, value = arguments
    result = ask(run, *sorted(films.glob("*.png")), option, str(table) if value == "LABELS" else value)
    assert result.exit_code == 2, result.output
    line = result.stderr.splitlines()[-1]
    assert line.startswith(f"medray: {message}")
    assert not result.stdout


def test_a_study_gives_the_same(run: Path, films: Path, expected: LabelSetPrediction, tmp_path: Path) -> None:
    frame = medray.Study("bloodcells", out=run, quiet=True).predict_files(
        films / "film 00.png", films / "film 01.png"
    )
    assert frame["label"].tolist() == ["|".join(names) for names in expected.called_names[:2]]
    assert np.allclose(frame[list(LABELS)], expected.probabilities[:2], atol=1e-5)

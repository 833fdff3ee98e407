"""`medray predict --by`: one row for each case, of all its files or none."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import medray
from medray._types import Array
from medray.ensemble import Ensemble
from medray.ensemble.case_answers import CaseAnswers, answer_with_weights
from medray.errors import ConfigError
from medray.predict.file_cases import file_cases
from medray.predict.find_images import FoundImages, ImageFile
from medray.predict.predict_command import predict
from tests.serving.case_run import RULES, write_case_run
from tests.serving.conftest import served_run  # noqa: F401  (a fixture)
from tests.serving.label_run import shaded

pytestmark = pytest.mark.component
CASES = np.repeat(np.arange(30), 3)


@pytest.fixture(scope="module", params=RULES, ids=lambda rule: rule.answer)
def run(request: pytest.FixtureRequest, npz: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_case_run(tmp_path_factory.mktemp("cases") / "films", npz, request.param)


def pixels() -> Array:
    images = shaded(90, seed=3)
    return images[np.random.default_rng(0).permutation(90)]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 folders of three images each, more than one batch, and a table of them."""
    root = tmp_path_factory.mktemp("images")
    lines = ["image,Patient"]
    for number, image in enumerate(pixels()):
        path = root / f"p{CASES[number]:02}" / f"{number:02}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image[:, :, 0]).save(path)
        lines.append(f"{path.relative_to(root)},{CASES[number] + 100}")
    (root / "table.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="module")
def expected(run: Path) -> CaseAnswers:
    return answer_with_weights(Ensemble.load(run / "ensemble"), pixels(), CASES)


def ask(*arguments: object) -> Result:
    return CliRunner().invoke(predict, [str(argument) for argument in arguments])


def rows(result: Result) -> list[dict[str, str]]:
    assert result.exit_code in (0, 1), result.output
    return list(csv.DictReader(io.StringIO(result.stdout)))


def check_rows(table: list[dict[str, str]], expected: CaseAnswers) -> None:
    names = expected.cases.class_names
    shown = [[float(row[name]) for name in names] for row in table]
    assert np.allclose(shown, expected.cases.probabilities, atol=1e-5)
    assert [row["set"] for row in table] == expected.cases.answers()
    assert {row["images"] for row in table} == {"3"}
    for row, most in zip(table, expected.weighed_most, strict=True):
        assert Path(row["weighed_most"]).name == f"{most:02}.png"
        assert float(row["weight"]) == pytest.approx(expected.weights[most], abs=1e-3)


def test_by_column_folder_and_pattern_each_case_has_a_row(run: Path, films: Path, expected: CaseAnswers) -> None:
    by_column = rows(ask(run, films / "table.csv", "--by", "patient"))
    assert [row["case"] for row in by_column] == [str(number + 100) for number in range(30)]
    check_rows(by_column, expected)
    by_folder = rows(ask(run, films, "--by", "folder"))
    assert [row["case"] for row in by_folder] == [str(films / f"p{number:02}") for number in range(30)]
    check_rows(by_folder, expected)
    by_pattern = rows(ask(run, films, "--by", r"p(\d+)/"))
    assert [row["case"] for row in by_pattern] == [f"{number:02}" for number in range(30)]
    check_rows(by_pattern, expected)
    frame = medray.Study("bloodcells", out=run, quiet=True).predict_files(films, by="folder")
    assert frame["images"].tolist() == [3] * 30
    assert np.allclose(frame[list(expected.cases.class_names)], expected.cases.probabilities, atol=1e-5)


def test_what_is_done_is_noted(run: Path, films: Path, tmp_path: Path) -> None:
    done = ask(run, films, "--by", "folder", "--csv", tmp_path / "cases.csv")
    assert "cases: 30 cases of 90 files by folder; the ensemble's are by " in done.stderr
    assert f"Predictions of 30 cases: {tmp_path / 'cases.csv'}" in done.stderr


def test_a_case_of_which_a_file_is_missing_or_cant_be_read_has_no_row(
    run: Path, films: Path, tmp_path: Path, expected: CaseAnswers
) -> None:
    for number in range(9):
        folder = tmp_path / f"p{CASES[number]:02}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number:02}.png").write_bytes((films / folder.name / f"{number:02}.png").read_bytes())
    (tmp_path / "p01/04.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 50)
    result = ask(run, tmp_path, "--by", "folder")
    assert result.exit_code == 1
    assert [Path(row["case"]).name for row in rows(result)] == ["p00", "p02"]
    lines = [line for line in result.stderr.splitlines() if line.startswith("can't be read")]
    assert len(lines) == 1
    assert "04.png" in lines[0]
    assert lines[0].endswith(f"so case {tmp_path / 'p01'} has no row")
    cells = "".join(f"p{CASES[n]:02}/{n:02}.png,{CASES[n]}\n" for n in (0, 1, 2, 6, 7, 8))
    (tmp_path / "table.csv").write_text(f"image,exam\n{cells}p02/99.png,2\n")
    result = ask(run, tmp_path / "table.csv", "--by", "exam")
    assert result.exit_code == 1
    (row,) = rows(result)
    assert row["case"] == "0"
    assert float(row[expected.cases.class_names[0]]) == pytest.approx(expected.cases.probabilities[0, 0], abs=1e-5)
    assert "case 2 has no row: it lacks 'p02/99.png'" in " ".join(result.stderr.split())


def test_a_file_given_twice_counts_once_and_one_without_a_value_is_a_case_of_its_own(
    run: Path, films: Path, tmp_path: Path
) -> None:
    once = rows(ask(run, films / "p00", "--by", "folder"))
    twice = ask(run, films / "p00", films / "p00/00.png", "--by", "folder")
    assert rows(twice) == once
    assert "1 file given twice, which count once in their cases" in " ".join(twice.stderr.split())
    path = films / "some.csv"
    path.write_text("image,exam\np00/00.png,\np00/01.png,NA\np00/02.png,7\n".replace("NA", "nan"))
    some = ask(run, path, "--by", "exam")
    assert [(Path(row["case"]).name, row["images"]) for row in rows(some)] == [
        ("00.png", "1"), ("01.png", "1"), ("7", "1"),
    ]  # fmt: skip
    assert "2 files without a value of 'exam', each a case of its own" in " ".join(some.stderr.split())
    path.unlink()


def test_forms_and_columns_are_of_cases(run: Path, films: Path) -> None:
    (row,) = rows(ask(run, films / "p03", "--by", "folder", "--form", "predicted"))
    assert list(row) == ["case", "label"]
    (row,) = rows(
        ask(run, films / "p03", "--by", "folder", "--column", "n={images}", "--column", "w={weight:.2f} {case}")
    )
    assert row["n"] == "3"
    assert row["w"].endswith(f" {films / 'p03'}")
    refused = ask(run, films / "p03", "--by", "folder", "--column", "a={stem}")
    assert refused.exit_code == 2
    assert "--column a: unknown field 'stem'" in refused.stderr
    assert "weighed_most" in refused.stderr


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("exam", "--by exam: 'p00/00.png' has no such column: no table names it; `--by folder` makes each folder"),
        (r"p(\d+)/(\d+)", r"--by: the pattern 'p(\d+)/(\d+)' has 2 groups; valid: one or none"),
        ("p(", "--by: the pattern 'p(' can't be read: "),
        ("q(.)", "--by 'q(.)': 'p00/00.png' does not match"),
    ],
)
def test_what_makes_no_cases_is_refused(run: Path, films: Path, by: str, message: str) -> None:
    result = ask(run, films, "--by", by)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith(f"medray: {message}")


def test_an_ensemble_of_images_and_labels_are_refused(served_run: Path, films: Path) -> None:  # noqa: F811
    result = ask(served_run, films, "--by", "folder")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1] == (
        "medray: --by folder: the ensemble answers each image: its search space has no `cases`; without --by each "
        "file has a row"
    )
    both = ask(served_run, films, "--by", "folder", "--labels", films / "table.csv")
    assert "--by makes rows of cases: give one" in both.stderr


def test_a_misspelt_column_is_answered_with_the_nearest() -> None:
    file = ImageFile(Path("films/a.png"), "a.png", "films/a.png", {"file": "a.png", "patient": "7"})
    with pytest.raises(
        ConfigError, match=r"no such column \(did you mean 'patient'\?\): its table has the columns"
    ):
        file_cases(FoundImages([file]), "pateint")

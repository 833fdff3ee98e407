"""`medray predict`: a table of what the ensemble says of image files, in any form."""

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from medray.ensemble.ensemble import Ensemble
from medray.errors import ConfigError
from medray.predict.output_columns import form, parse_column
from medray.predict.predict_command import predict
from tests.serving.conftest import NAMES, pictures, served_run  # noqa: F401  (a fixture)

pytestmark = pytest.mark.component


@pytest.fixture
def films(tmp_path: Path) -> Path:
    for number, image in enumerate(pictures(70)):
        path = tmp_path / "films" / f"ward {number % 2}" / f"film {number:02}.PNG"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[:, :, 0]).save(path)
    return tmp_path / "films"


def ask(*arguments: object) -> Result:
    return CliRunner().invoke(predict, [str(argument) for argument in arguments])


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_every_image_of_a_folder_gets_what_the_ensemble_says(served_run: Path, films: Path) -> None:  # noqa: F811
    result = ask(served_run, films)
    assert result.exit_code == 0, result.output
    table = rows(result.stdout)
    paths = [Path(row["file"]) for row in table]
    assert paths == sorted(films.rglob("*.PNG"))
    pixels = np.stack([np.asarray(Image.open(path))[:, :, None] for path in paths])
    expected = Ensemble.load(served_run / "ensemble").predict(pixels)
    assert [row["label"] for row in table] == expected.names
    assert np.allclose([[float(row[name]) for name in NAMES] for row in table], expected.probabilities, atol=1e-5)
    assert [row["decision"] for row in table] == [str(int(yes)) for yes in expected.decide()]
    assert [row["set"] for row in table] == expected.answers()


def test_forms_and_columns(served_run: Path, films: Path, tmp_path: Path) -> None:  # noqa: F811
    (film,) = films.rglob("film 03.PNG")
    (row,) = rows(ask(served_run, film, "--form", "predicted").stdout)
    assert list(row) == ["image", "label"]
    assert row["image"] == "film 03.PNG"
    (row,) = rows(ask(served_run, film, "--form", "probabilities").stdout)
    assert list(row) == ["image", *NAMES]
    (row,) = rows(ask(served_run, film, "--form", "indices").stdout)
    assert NAMES[int(row["label"])] == rows(ask(served_run, film).stdout)[0]["label"]
    out = tmp_path / "own.csv"
    done = ask(served_run, film, "--column", "id={stem}", "--column", "right={p[right]:.2f}", "--csv", out)
    assert done.exit_code == 0
    assert done.stdout == ""
    assert f"Predictions of 1 image: {out}" in done.stderr
    (row,) = rows(out.read_text())
    assert row["id"] == "film 03"
    assert len(row["right"]) == 4


def test_the_files_of_a_table_are_named_as_it_names_them(
    served_run: Path,  # noqa: F811
    films: Path,
) -> None:
    (films / "test.csv").write_text("id,age\n07,41\n03,2\n99,3\n")
    result = ask(served_run, f"csv:{films / 'test.csv'}?image=id&pattern=film {{}}.PNG", "--form", "indices")
    assert result.exit_code == 1  # one row has no file
    assert [row["image"] for row in rows(result.stdout)] == ["07", "03"]
    assert "class numbers: 0 " in result.stderr
    assert f"{films / 'test.csv'}: columns that are not read: age" in result.stderr
    assert f"can't be read: {films / 'test.csv'}: line 4: no file '99'" in result.stderr
    labels = {row["file"]: row["label"] for row in rows(ask(served_run, films).stdout)}
    numbers = {row["image"]: NAMES[int(row["label"])] for row in rows(result.stdout)}
    assert numbers == {id_: labels[str(next(films.rglob(f"film {id_}.PNG")))] for id_ in numbers}


@pytest.mark.parametrize(
    ("form_name", "names", "row"),
    [
        ("predicted", ("ward 0/1.png", "ward 1/1.png"), "1.png"),
        ("probabilities", ("ward 0/1.png", "ward 1/1.png"), "1"),
        ("indices", ("1.jpg", "1.png"), "1"),
    ],
)
def test_rows_that_could_not_be_told_apart_are_refused(
    form_name: str,
    names: tuple[str, str],
    row: str,
    served_run: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    for name, image in zip(names, pictures(2), strict=True):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(image[:, :, 0]).save(tmp_path / name)
    result = ask(served_run, tmp_path, "--form", form_name)
    assert result.exit_code == 2, result.output
    both = f"'{tmp_path / names[0]}' and '{tmp_path / names[1]}' would both be '{row}'"
    assert result.stderr == (
        f"medray: --form {form_name}: {both}; --form full names them by their paths, "
        "as does --column 'image={path}'\n"
    )
    assert len({row["image"] for row in rows(ask(served_run, tmp_path, "--column", "image={path}").stdout)}) == 2
    assert len({row["file"] for row in rows(ask(served_run, tmp_path, "--form", "full").stdout)}) == 2


def test_a_file_that_is_given_twice_is_no_other_file(served_run: Path, films: Path) -> None:  # noqa: F811
    (film,) = films.rglob("film 03.PNG")
    assert len(rows(ask(served_run, film, film.parent / "." / film.name, "--form", "predicted").stdout)) == 2


def test_an_unreadable_file_is_named_and_the_others_are_answered(served_run: Path, films: Path) -> None:  # noqa: F811
    broken = films / "ward 0" / "broken.png"
    broken.write_bytes(b"half")
    result = ask(served_run, films)
    assert result.exit_code == 1
    assert len(rows(result.stdout)) == 70
    assert f"can't be read: {broken}: the content is not an image of a known format" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["{run}", "nowhere.png"], "no such file or folder: nowhere.png"),
        (["{films}", "{films}"], "is neither a run with an ensemble nor an ensemble"),
        (["{run}", "{films}", "--form", "kagle"], "--form: unknown form 'kagle'"),
        (["{run}", "{films}", "--column", "a"], "--column 'a' is not NAME=TEMPLATE"),
        (["{run}", "{films}", "--column", "a={labl}"], "--column a: unknown field 'labl' (did you mean 'label'?)"),
        (
            ["{run}", "{films}", "--column", "a={p[rigt]}"],
            "--column a: unknown class 'rigt' (did you mean 'right'?)",
        ),
        (["{run}", "{films}", "--column", "a={label:.3f}"], "--column a: '{label:.3f}': Unknown format code"),
        (["{run}", "{films}", "--column", "a={label"], "--column a: '{label': "),
        (["{run}", "{films}", "--column", "a={label}", "--form", "full"], "either --form or --column"),
        (["{run}", "{films}", "--csv", "/dev/null/x.csv"], "/dev/null/x.csv can't be written"),
    ],
)
def test_slips_are_one_line(arguments: list[str], line: str, served_run: Path, films: Path) -> None:  # noqa: F811
    paths = {"{run}": str(served_run), "{films}": str(films)}
    result = ask(*[paths.get(argument, argument) for argument in arguments])
    assert result.exit_code == 2
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("medray: ")
    assert line in last
    assert "Traceback" not in result.output


def test_a_name_that_is_no_utf_8_is_written_as_it_is(served_run: Path, films: Path, tmp_path: Path) -> None:  # noqa: F811
    (film,) = films.rglob("film 07.PNG")
    odd = film.rename(film.with_name(os.fsdecode(b"film \xe9.PNG")))
    assert ask(served_run, odd, "--form", "predicted").stdout_bytes.startswith(b"image,label\nfilm \xe9.PNG,")
    done = ask(served_run, odd, "--form", "predicted", "--csv", tmp_path / "own.csv")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "own.csv").read_bytes().startswith(b"image,label\nfilm \xe9.PNG,")


def test_as_a_process_of_its_own(served_run: Path, films: Path) -> None:  # noqa: F811
    (film,) = films.rglob("film 07.PNG")
    command = [
        sys.executable,
        "-m",
        "medray.predict",
        str(served_run / "ensemble"),
        str(film),
        "--form",
        "predicted",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.startswith("image,label\nfilm 07.PNG,")


def test_an_image_of_another_kind_is_flagged_and_told_of(
    served_run: Path,  # noqa: F811
    npz: Path,
    tmp_path: Path,
) -> None:
    images = [*np.load(npz)["val_images"], *pictures(3)[:, :, :, 0]]
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{number:02}.png")
    detector = Ensemble.load(served_run / "ensemble").ood
    assert detector is not None
    expected = detector.flags(np.stack(images)[:, :, :, None])
    assert expected[-3:].all()
    assert not expected.all()
    result = ask(served_run, tmp_path)
    assert ["out_of_distribution" in row["flags"] for row in rows(result.stdout)] == expected.tolist()
    message = f"{expected.sum()} of {len(images)} images are unlike those that the networks were trained on"
    assert message in " ".join(result.stderr.split())


def test_the_nearest_file_is_named(served_run: Path, films: Path) -> None:  # noqa: F811
    (film,) = films.rglob("film 03.PNG")
    result = ask(served_run, film.with_name("film 03.PGN"))
    assert "(did you mean 'film 03.PNG'?)" in result.stderr


@pytest.mark.parametrize("name", ["0", "007", "a b", "a[b]", "{x}", "!r", "é"])
def test_a_class_of_any_name_has_its_column(name: str) -> None:
    values = {"p": {name: 0.25, "other": 0.75}}
    assert [column.cell(values) for column in form("probabilities", [name, "other"], label_sets=False)[1:]] == [
        "0.250000",
        "0.750000",
    ]


@pytest.mark.parametrize("name", ["0", "007", "a b", "é"])
def test_a_template_names_a_class(name: str) -> None:
    assert parse_column(f"x={{p[{name}]:.2f}}").cell({"p": {name: 0.25, "other": 0.75}}) == "0.25"
    with pytest.raises(ConfigError, match="unknown class '1'"):
        parse_column("x={p[1]}").cell({"p": {name: 0.25}})

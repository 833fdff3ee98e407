"""`medray predict --labels`: figures of labelled files, and nothing else: the run is as it was, and no read is counted."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from sklearn import metrics as sklearn_metrics

from medray import Ensemble
from medray.data.dataset import ImageDataset
from medray.ensemble.build_ensemble import EnsembleOptions, run_ensemble
from medray.evaluate.read_count import count_reads
from medray.predict.predict_command import predict
from medray.runs.rundir import RunDir
from tests.evaluate.conftest import content, quiet

pytestmark = pytest.mark.component
CLASSES = ("0", "1", "2")


@pytest.fixture(scope="module")
def run(made_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(shutil.copytree(made_run, tmp_path_factory.mktemp("made") / "run"))
    run_ensemble(EnsembleOptions(str(folder), top_k=2), quiet())
    return folder


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """A folder of 60 films, and a table of their labels elsewhere."""
    rng = np.random.default_rng(7)
    (tmp_path / "films").mkdir()
    rows = []
    for number in range(60):
        pixels = rng.integers(0, 170, size=(12, 12)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "films" / f"f{number:02d}.png")
        rows.append((f"f{number:02d}", ("no", "some", "2")[number % 3]))
    write_labels(tmp_path / "labels.csv", rows)
    return tmp_path / "films"


def write_labels(path: Path, rows: list[tuple[str, str]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("image", "label"), *rows])


def ask(*arguments: object) -> Result:
    return CliRunner().invoke(predict, [str(argument) for argument in arguments])


MAP = ("--map", "no=0", "--map", "some=1")


def test_figures_are_those_of_the_ensembles_answers_and_the_run_is_as_it_was(run: Path, films: Path) -> None:
    before = content(run)
    table = films.parent / "table.csv"
    result = ask(run, films, "--labels", films.parent / "labels.csv", *MAP, "--json", "--csv", table)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    pixels = np.stack([np.asarray(Image.open(path)) for path in sorted(films.iterdir())])[..., None]
    probabilities = Ensemble.load(run / "ensemble").predict(pixels).probabilities
    labels = np.arange(60) % 3
    scores = document["scores"]
    assert scores["accuracy"]["value"] == pytest.approx((probabilities.argmax(axis=1) == labels).mean())
    assert scores["auc"]["value"] == pytest.approx(
        sklearn_metrics.roc_auc_score(labels, probabilities, multi_class="ovr"), abs=1e-6
    )
    assert scores["auc"]["low"] < scores["auc"]["value"] < scores["auc"]["high"]
    assert len(table.read_text().splitlines()) == 61
    assert content(run) == before
    assert count_reads(RunDir(str(run))).total == 0


def test_the_table_stays_on_stdout_and_figures_are_on_stderr(run: Path, films: Path) -> None:
    result = ask(run, films, "--labels", films.parent / "labels.csv", *MAP)
    assert result.exit_code == 0
    assert result.stdout == ask(run, films).stdout
    assert "Scores; 95 % intervals by image" in result.stderr
    assert "this is no read of its test split" in result.stderr


def test_files_without_a_label_are_named_and_rows_without_a_file_do_no_harm(run: Path, films: Path) -> None:
    rows = [(f"elsewhere/f{n:02d}.png" if n == 99 else f"films/f{n:02d}.png", CLASSES[n % 3]) for n in range(40)]
    write_labels(films.parent / "part.csv", [*rows, ("f99.png", "1")])
    result = ask(run, films, "--labels", films.parent / "part.csv", "--json")
    assert json.loads(result.stdout)["images"] == 40
    assert "no score of 20 files without one label" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((), "classes that the run does not have: no (20), some (20)"),
        (("--map", "no=7"), "--map no=7: unknown class '7'"),
        (("--map", "no"), "--map 'no' is not THEIRS=OURS"),
    ],
)
def test_a_wrong_map_is_one_line(run: Path, films: Path, arguments: tuple[str, ...], line: str) -> None:
    result = ask(run, films, "--labels", films.parent / "labels.csv", *arguments)
    assert result.exit_code == 2
    assert line in result.stderr.splitlines()[-1]
    assert result.stdout == ""


def test_what_belongs_to_labels_is_refused_without(run: Path, films: Path) -> None:
    assert "give that too" in ask(run, films, *MAP).stderr
    assert "give that too" in ask(run, films, "--json").stderr
    assert "no such table" in ask(run, films, "--labels", "gone.csv").stderr


def test_images_of_the_test_split_are_refused(run: Path, films: Path, dataset: ImageDataset) -> None:
    image = dataset.images[dataset.splits["test"][3]][:, :, 0]
    Image.fromarray(image).save(films / "f00.png")
    result = ask(run, films, "--labels", films.parent / "labels.csv", *MAP)
    assert result.exit_code == 2
    assert "1 file (first: " in result.stderr
    assert "of the run's test split: scoring them is a read of it; `medray evaluate" in result.stderr
    assert result.stdout == ""
    assert ask(run, films).exit_code == 0, "without labels they are predicted"


def test_an_ensembles_own_folder_is_enough_and_says_what_it_can_not_tell(
    run: Path, films: Path, tmp_path: Path
) -> None:
    ensemble = shutil.copytree(run / "ensemble", tmp_path / "sent")
    result = ask(ensemble, films, "--labels", films.parent / "labels.csv", *MAP)
    assert result.exit_code == 0
    assert "whether they are of the run's test split can't be told" in result.stderr

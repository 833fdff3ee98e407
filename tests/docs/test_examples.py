"""Every command that the pages and the help show is understood, and runs to a good end."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from pydicom import dcmread

from medray.cli.main import medray
from tests.conftest import FOUND, fold_run, make_run, write_npz
from tests.docs.examples import CLASS_NAMES, PAGES, ROOT, Example, command_of, furnish, in_help, on_pages
from tests.serving.dicom.dicom_samples import film
from tests.serving.running import started

pytestmark = pytest.mark.component

EXAMPLES = [*on_pages(), *in_help()]
DISTINCT: dict[tuple[str, ...], Example] = {}
for shown in EXAMPLES:
    DISTINCT.setdefault(shown.words, shown)  # where it is shown first
TRIALS = 13  # an example names trial 12


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_it_is_understood(example: Example) -> None:
    command, arguments = command_of(example.words)
    command.make_context(example.name, arguments)


def test_examples_are_found() -> None:
    """Or nothing below would be asked for."""
    assert min(len(EXAMPLES), len(PYTHON), len(CURLS)) > 1
    assert {where.name for where in PAGES} >= {"README.md", "search.md", "cluster.md"}


# -- and runs


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images, and runs of them under the names that the examples use; copy it first."""
    home = tmp_path_factory.mktemp("examples") / "home"
    home.mkdir()
    npz, breast = write_npz(home / "drawn.npz", train=60, other=30), home / "breast.npz"
    with np.load(npz) as arrays:
        np.savez(npz, **arrays, class_names=np.array(CLASS_NAMES))
        two = {name: array[arrays[f"{name[:-7]}_labels"][:, 0] < 2] for name, array in arrays.items()}
    np.savez(breast, **two, class_names=np.array(["benign", "malignant"]))
    furnish(home, npz)
    run = make_run(home / "runs/organs", npz, trials=TRIALS, epochs=1)
    fold_run(run)
    ask("ensemble", str(run), "--sensitivity", "0.95", "--positive", "malignant")
    ask("evaluate", str(run))
    make_run(home / "runs/breast", breast, trials=2, epochs=1)
    for place in (
        "runs/organs-2",
        "runs/covid",
        "runs/skin",
        "elsewhere/more",
        "elsewhere/runs/organs",
    ):
        shutil.copytree(run, home / place)
    (home / "my-study.yaml").write_text(
        FOUND.replace("name: found", "name: my-study").replace("phantom", "images.npz")
    )
    return home


@pytest.fixture
def home(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, to stand in."""
    folder = Path(shutil.copytree(study, tmp_path / "home"))
    monkeypatch.chdir(folder)
    return folder


def ask(*words: str) -> str:
    result = CliRunner().invoke(medray, list(words))
    assert result.exit_code == 0, f"medray {' '.join(words)}\n{result.output}"
    return result.output


def placed(word: str, home: Path) -> str:
    """The word with a place of this machine for a bucket or for another disk."""
    word = re.sub(r"^s3://[\w-]+", (home / "elsewhere").as_uri(), word)
    return re.sub(r"^/(mnt|tmp)(?=/)", str(home), word)


def run(example: Example, home: Path) -> None:
    """Bring about what the example starts from, then run it with a small budget."""
    words = [placed(word, home) for word in example.words]
    if example.name == "search":
        search(words, home)
        return
    if example.name == "crossval" and "--resume" not in words:
        shutil.rmtree(home / words[1].removeprefix(home.as_uri() + "/") / "crossval", ignore_errors=True)
        words += ["--folds", "2"]
    if example.name == "study":
        if "--data" in words:
            (home / f"{words[1]}.yaml").unlink(missing_ok=True)
            shutil.rmtree(home / "runs" / words[1], ignore_errors=True)
        words += ["--trials", "1", "--max-epochs", "1", "--top", "1", "--folds", "2"]
    if example.name == "monitor":
        for folder in (home / "runs/organs/service/audit", home / "medray/audit"):
            folder.mkdir(parents=True, exist_ok=True)
        (home / "outcomes.csv").write_text("request_id,label\nr1,malignant\n")
    if example.name == "init":
        (home / f"{words[1]}.yaml").unlink(missing_ok=True)
    ask(*words)


def search(words: list[str], home: Path) -> None:
    """Search as the example says, where no run is yet, or one that has trials left."""
    if "--min-gpus" in words:
        at = words.index("--min-gpus")
        del words[at : at + 2]
    for base in (home, home / "elsewhere"):
        shutil.rmtree(base / "runs" / Path(words[1]).stem, ignore_errors=True)
    if "--out" in words:
        shutil.rmtree(home / words[words.index("--out") + 1], ignore_errors=True)
    small = ["--max-epochs", "2"]
    if "--resume" in words:
        place = words[words.index("--storage") :][:2] if "--storage" in words else []
        ask("search", words[1], "--data", "organsmnist.npz", "--trials", "1", *small, *place)
    elif words[1] == "organs" and (not {"--data"} & set(words) or "medmnist" in words[words.index("--data") + 1]):
        # MedMNIST's own file is asked for, and known by its checksum: one of its form stands in.
        small += ["--data", f"organsmnist{'_64' if words[-1].endswith(':64') else ''}.npz"]
    if words[1] in ("covid", "bloodcells"):  # tests/studies has them as they are
        words[1] = shrunk(words[1], home)
    trials = [] if "--baselines-only" in words else ["--trials", "2" if "--resume" in words else "1"]
    ask(*words, *small, *trials)


def shrunk(name: str, home: Path) -> str:
    """The space of that name for images of a few pixels."""
    path, text = home / f"{name}.yaml", (ROOT / f"search_spaces/{name}.yaml").read_text()
    path.write_text(re.sub(r"image_size: [^#}\n]+", "image_size: 48 ", text, count=1))
    return path.name


def serves(example: Example) -> bool:
    return example.name == "serve" and example.words[1] != "config"


@pytest.mark.nightly
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("ray_address")
@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")  # of ray.serve's own schema
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")  # of what mlflow imports
@pytest.mark.parametrize("where", dict.fromkeys(example.where for example in DISTINCT.values()))
def test_the_commands_do_it(where: str, home: Path) -> None:
    for example in DISTINCT.values():
        if example.where == where and not serves(example):
            run(example, home)


PYTHON = [
    (page.name, block)
    for page in PAGES
    if page.name != "architecture.md"  # whose lines need its recipes: test_architecture.py
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
]


@pytest.mark.nightly
@pytest.mark.usefixtures("ray_address")
@pytest.mark.parametrize(("where", "block"), PYTHON)
def test_the_lines_of_python_run(where: str, block: str, home: Path) -> None:
    if "import h5py" in block:
        pytest.importorskip("h5py")
    with np.load(home / "images.npz") as arrays:
        images = arrays["test_images"][..., None]
    if "study(" in block:  # of which only a search of its own has one
        shutil.rmtree(home / "runs/organs")
        ask("search", "organs", "--data", "images.npz", "--trials", "1", "--max-epochs", "1")
    exec(compile(block, where, "exec"), {"images": images})


CURLS = [line for page in PAGES for line in re.findall(r"(?m)^ *(curl .*)$", page.read_text())]


@pytest.mark.nightly
@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_a_service_answers_the_lines_of_curl(home: Path, tmp_path: Path) -> None:
    (home / "b.dcm").write_bytes(film())
    with started(home / "runs/organs", tmp_path / "service", "--no-audit") as service:
        for line in dict.fromkeys(CURLS):
            words = line.replace("http://127.0.0.1:8000", service.url)
            done = subprocess.run(["sh", "-c", words], cwd=home, capture_output=True, text=True, check=False)
            if "-o report.dcm" in line:
                assert dcmread(home / "report.dcm").Modality == "SR", (line, done.stderr)
                continue
            assert json.loads(done.stdout).get("predictions"), (line, done.stdout)

"""What a person types, and the one line that answers a mistake."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from medray.data.load_data import load_data
from medray.errors import DataError
from medray.search.search_command import search
from medray.search.search_options import SearchOptions, resolve_options
from medray.space.loading import parse
from tests.conftest import Command, write_npz
from tests.search.conftest import SPACE


def run(*arguments: object) -> Result:
    return CliRunner().invoke(search, [str(argument) for argument in arguments])


def refused(result: Result) -> str:
    """The one line of a refusal: no stack trace, nothing else on stderr."""
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("medray: ")
    return lines[0]


def edited(tmp_path: Path, old: str, new: str) -> Path:
    assert old in SPACE
    path = tmp_path / "edited.yaml"
    path.write_text(SPACE.replace(old, new))
    return path


def test_unknown_space_names_the_nearest() -> None:
    assert "unknown search space 'organ' (did you mean 'organs'?)" in refused(run("organ"))


def test_unknown_option_names_the_nearest() -> None:
    line = refused(run("organs", "--trails", 3))
    assert "unknown option '--trails' (did you mean '--trials'?)" in line
    assert "--max-epochs" in line


@pytest.mark.parametrize("value", ["0", "-3", "many", "2.5"])
def test_numbers_that_are_none_are_refused(value: str) -> None:
    assert "--trials" in refused(run("organs", "--trials", value))


@pytest.mark.parametrize("source", ["folder:~nobody-x/a", "csv:~nobody-x/a.csv", "~nobody-x/a.npz"])
def test_a_home_of_nobody_is_a_place_that_is_not_there(source: str) -> None:
    resolved = resolve_options(SearchOptions("small", data=source), parse(SPACE, "small.yaml"))
    with pytest.raises(DataError, match=r"^no such f.*~nobody-x/a"):
        load_data(resolved.data)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "no such file: nowhere.yaml" in refused(run("nowhere.yaml", "--out", tmp_path / "run"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "[0.0005, 10.0]",
            "[1e-4, 10.0]",
            "space.learning_rate.log[0]: '1e-4' is not a number: YAML reads 1e-4 as text",
        ),
        ("[0.0005, 10.0]", "[3.0, 0.1]", "space.learning_rate.log: low 3.0 is above high 0.1"),
        (
            "{optimizer: sgd}",
            "{optimiser: sgd}",
            "unknown searched choice 'optimiser' (did you mean 'optimizer'?)",
        ),
        ("learning_rate: 0.005,", "learning_rate: 50.0,", "baselines.plain.learning_rate: 50.0 is not"),
        ("batch_size: 16", "batchsize: 16", "unknown setting 'batchsize' (did you mean 'batch_size'?)"),
    ],
)
def test_a_mistake_in_the_space_names_file_and_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = edited(tmp_path, old, new)
    line = refused(run(path, "--out", tmp_path / "run"))
    assert str(path) in line
    assert message in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("lenet5, resnet8_small", "lenet5, resnet8_smal", "space.backbone.choice: unknown backbone 'resnet8_smal' (did you mean 'resnet8_small'?)"),
        ("HorizontalFlip: {p: 0.5}", "HorizontalFlipp: {p: 0.5}", "transforms.flip[0]: unknown transform 'HorizontalFlipp' (did you mean 'HorizontalFlip'?)"),
        ("HorizontalFlip: {p: 0.5}", "HorizontalFlip: {q: 0.5}", "transforms.flip[0].HorizontalFlip: unknown argument 'q'"),
        ("{cpu: 1}", "{cpu: 64}", "resources.cpu: a trial wants 64, the largest node of this cluster has 2"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("ray_address")
def test_what_only_libraries_know_is_checked_before_training(
    tmp_path: Path, npz: Path, old: str, new: str, message: str
) -> None:
    path = edited(tmp_path, old, new)
    line = refused(run(path, "--data", npz, "--out", tmp_path / "run"))
    assert f"{path}: {message}" in line
    assert not (tmp_path / "run/run.json").exists()


@pytest.mark.usefixtures("ray_address")
@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere.npz", "no such file: "),
        ("phantm", "unknown data source 'phantm' (did you mean 'phantom'?)"),
        ("medmnist:organzmnist", "unknown 2-D MedMNIST set 'organzmnist' (did you mean 'organ"),
        ("phantom:liver", "unknown phantom 'liver'"),
    ],
)
def test_data_that_is_not_there_is_named(tmp_path: Path, space: Path, source: str, message: str) -> None:
    line = refused(run(space, "--data", source, "--out", tmp_path / "run"))
    assert message in line
    assert source.rpartition(":")[2] in line


@pytest.mark.usefixtures("ray_address")
def test_a_class_that_validation_lacks_is_named(tmp_path: Path, space: Path) -> None:
    path = write_npz(tmp_path / "lacking.npz")
    with np.load(path) as file:
        arrays = dict(file)
    arrays["val_labels"][arrays["val_labels"] == 2] = 1
    np.savez(path, **arrays)
    line = refused(run(space, "--data", path, "--out", tmp_path / "run"))
    assert f"{path}: split 'val' has no image of 2, so no model can be measured on it" in line


def test_a_run_is_never_written_over(tmp_path: Path, space: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "run.json").write_text("{}")
    line = refused(run(space, "--out", out))
    assert "already holds a run" in line
    assert "--resume" in line
    assert "--out" in line


def test_a_folder_with_something_else_in_it_is_refused(tmp_path: Path, space: Path) -> None:
    (tmp_path / "thesis.docx").touch()
    assert "is not empty (" in refused(run(space, "--out", tmp_path))


def test_nothing_to_resume_is_said(tmp_path: Path, space: Path) -> None:
    assert "holds no run to resume" in refused(run(space, "--resume", "--out", tmp_path / "run"))


@pytest.mark.component
def test_an_address_without_a_cluster_is_one_line(tmp_path: Path, space: Path, npz: Path) -> None:
    command = Command(str(space), "--data", str(npz), "--out", str(tmp_path / "run"), "--address", "127.0.0.1:9")
    code, _, complaints = command.finish()
    assert code == 2
    assert "--address 127.0.0.1:9: no Ray cluster can be joined there" in complaints.strip().splitlines()[-1]
    assert "Traceback" not in complaints


@pytest.mark.usefixtures("ray_address")
def test_resuming_refuses_what_cannot_change_and_other_data(tmp_path: Path, space: Path, npz: Path) -> None:
    out = tmp_path / "run"
    done = run(space, "--data", npz, "--trials", 2, "--concurrency", 1, "--max-epochs", 1, "--out", out, "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert next(trial["baseline"] for trial in result["trials"]) == "plain"
    assert 0 in result["ensemble"]["members"]
    assert "--seed 7" in refused(run(space, "--resume", "--seed", 7, "--out", out))
    assert "--max-epochs 3" in refused(run(space, "--resume", "--max-epochs", 3, "--out", out))
    content = npz.read_bytes()
    try:
        write_npz(npz, seed=5)
        line = refused(run(space, "--resume", "--trials", 3, "--out", out))
    finally:
        npz.write_bytes(content)
    assert "is not the data that" in line


@pytest.mark.usefixtures("ray_address")
def test_two_searches_never_share_a_folder(tmp_path: Path, space: Path, npz: Path) -> None:
    import fcntl

    out = tmp_path / "run"
    out.mkdir()
    with (out / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another command is working in" in refused(run(space, "--data", npz, "--out", out))


@pytest.mark.usefixtures("ray_address")
def test_when_every_trial_fails_it_says_why(tmp_path: Path, npz: Path) -> None:
    path = edited(tmp_path, "batch_size: 16", "batch_size: 1")
    text = path.read_text().partition("baselines:")[0].replace("[lenet5, resnet8_small]", "[lenet5_wide_bn]")
    path.write_text(text)  # BatchNorm can't train on batches of one
    line = refused(run(path, "--data", npz, "--trials", 1, "--out", tmp_path / "run"))
    assert "all 1 trials failed; the first: " in line
    assert (tmp_path / "run/leaderboard.csv").exists()


def test_errors_as_json_too(tmp_path: Path) -> None:
    result = run("organ", "--json")
    assert "unknown search space" in json.loads(result.stdout)["error"]


@pytest.mark.parametrize(
    "words", [["medray", "--help"], ["medray", "search", "--help"], ["medray.search", "--help"]]
)
def test_help_has_examples_and_imports_nothing_heavy(words: list[str]) -> None:
    module, *arguments = words
    code = (
        "import sys, runpy\n"
        f"sys.argv = [{module!r}, *{arguments!r}]\n"
        f"name = {'medray.cli.main' if module == 'medray' else module!r}\n"
        "try: runpy.run_module(name, run_name='__main__')\n"
        "except SystemExit as end: assert not end.code\n"
        "print([m for m in ('torch', 'ray', 'optuna', 'numpy', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
    assert "medray search organs" in done.stdout


def test_an_old_python_is_told_in_one_line() -> None:
    code = "import sys; sys.version_info = (3, 9, 1); import medray"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("medray needs Python 3.11, 3.12 or 3.13; this is 3.9.")
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.nightly
def test_torch_and_torchvision_of_different_builds_are_told_in_one_line(
    tmp_path: Path, npz: Path, command: Callable[..., Command]
) -> None:
    """A torchvision that fails as the registry's does beside a local CPU build of torch."""
    broken = tmp_path / "site/torchvision"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    path = edited(tmp_path, "lenet5, resnet8_small", "lenet5, resnet18")
    started = command(path, "--data", npz, "--out", tmp_path / "run", PYTHONPATH=str(tmp_path / "site"))
    code, _, complaints = started.finish()
    assert code == 2
    assert "do not work together (operator torchvision::nms does not exist): install both" in complaints
    assert len(complaints.strip().splitlines()) == 1

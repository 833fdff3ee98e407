"""A run by its URI: `--storage`, and the later commands, which take RUN as a path or as a URI."""

import json
import shutil
from pathlib import Path

import click
import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result
from PIL import Image

from medray.crossval.crossval_command import crossval
from medray.ensemble.ensemble import Ensemble
from medray.ensemble.ensemble_command import ensemble
from medray.errors import ConfigError, RunError
from medray.evaluate.evaluate_command import evaluate
from medray.predict.predict_command import predict
from medray.runs.folder import Folder, locate
from medray.search.open_run import resume_command, run_dir
from medray.search.search_command import search
from medray.search.search_options import SearchOptions
from medray.serving.deploy.serve_options import home_folder
from medray.serving.serve_command import serve


def ask(command: click.Command, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def answer(command: click.Command, *arguments: object) -> Result:
    result = ask(command, *arguments)
    assert result.exit_code == 0, result.output
    return result


# -- where a run lies


@pytest.mark.parametrize("given", ["s3://bucket/runs", "gs://bucket/runs?anonymous=true", "file:///mnt/runs"])
def test_a_uri_stays_as_it_is(given: str) -> None:
    assert locate(given) == given


@pytest.mark.parametrize("given", ["runs", "~/runs", "a:b/runs", "x y/é"])
def test_a_path_becomes_whole(given: str) -> None:
    assert locate(given) == str(Path(given).expanduser().absolute())


def test_the_tilde_of_nobody_stays_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate("~nobody-x/runs") == str(tmp_path / "~nobody-x" / "runs")
    result = ask(evaluate, "~nobody-x/runs/covid")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.output
    assert "~nobody-x/runs/covid" in result.stderr


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("s4://bucket/runs", "unknown file system 's4'; valid: abfs, abfss, file, gs, hdfs, s3"),
        ("http://host/runs", "unknown file system 'http'"),
        ("s3:/bucket/runs", "a URI has two slashes: s3://bucket/runs"),
        ("s3:bucket/runs", "a URI has two slashes: s3://bucket/runs"),
    ],
)
def test_what_is_almost_a_uri_is_never_taken_for_a_path(given: str, message: str) -> None:
    with pytest.raises(RunError) as refusal:
        locate(given)
    assert message in str(refusal.value)
    result = ask(search, "organs", "--data", "phantom", "--storage", given)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "given",
    ["s3://AKIA:w0rd@bucket/runs?region=eu", "s3://bucket/runs?secret_key=w0rd", "abfs://:w0rd@account/runs"],
)
def test_credentials_in_a_uri_are_refused_and_not_shown(given: str) -> None:
    result = ask(search, "organs", "--data", "phantom", "--storage", given)
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1), result.output
    assert "was given with credentials" in result.stderr
    assert "w0rd" not in result.output
    assert "w0rd" not in ask(evaluate, given).output


@pytest.mark.parametrize(
    "given", ["abfs://container@account.dfs.core.windows.net/runs", "s3://bucket/a:b@c?region=eu"]
)
def test_what_is_no_credential_stays(given: str) -> None:
    assert locate(given) == given


def test_a_uri_that_its_file_system_refuses_is_one_line() -> None:
    result = ask(search, "organs", "--data", "phantom", "--storage", "s3://bucket/runs?regoin=x")
    assert result.exit_code == 2
    assert "s3://bucket/runs/organs?regoin=x can't be reached: " in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("storage", "location"),
    [
        ("s3://bucket/runs", "s3://bucket/runs/organs"),
        ("s3://bucket/runs/", "s3://bucket/runs/organs"),
        ("s3://bucket?region=eu-west-1", "s3://bucket/organs?region=eu-west-1"),
        ("/mnt/runs", "/mnt/runs/organs"),
        (None, str(Path("runs/organs").absolute())),
    ],
)
def test_a_run_lies_in_its_storage_by_its_name(storage: str | None, location: str) -> None:
    options = SearchOptions("organs", storage=storage)
    assert run_dir(options, "organs").location == location
    command = resume_command(options)
    assert (f"--storage {storage}" in command.replace("'", "")) == (storage is not None)


def test_two_places_for_a_run_are_refused() -> None:
    with pytest.raises(ConfigError, match="--out and --storage"):
        run_dir(SearchOptions("organs", out="a", storage="b"), "organs")


# -- the later commands


@pytest.fixture(scope="module")
def uri(folded_run: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A searched and cross-validated run with an ensemble, as a URI."""
    folder = Path(shutil.copytree(folded_run, tmp_path_factory.mktemp("storage") / "found"))
    answer(ensemble, folder.as_uri(), "--sensitivity", 0.9, "--positive", 1)
    return folder.as_uri()


def folder_of(uri: str) -> Path:
    return Path(uri.removeprefix("file://"))


def test_crossval_goes_on_in_it(uri: str) -> None:
    result = json.loads(answer(crossval, uri, "--resume", "--json").stdout)
    assert result["run"] == uri


def test_ensemble_is_written_to_it(uri: str) -> None:
    assert (folder_of(uri) / "ensemble/manifest.json").is_file()


def test_evaluate_keeps_its_reading_in_it(uri: str) -> None:
    result = json.loads(answer(evaluate, uri, "--json").stdout)
    assert result["run"] == uri
    assert list((folder_of(uri) / "evaluation").iterdir())


@pytest.mark.parametrize("part", ["", "/ensemble"])
def test_predict_asks_its_ensemble(uri: str, part: str, tmp_path: Path) -> None:
    image = np.arange(12 * 12, dtype=np.uint8).reshape(12, 12)
    Image.fromarray(image).save(tmp_path / "one.png")
    row = answer(predict, uri + part, tmp_path / "one.png").stdout.splitlines()[1]
    expected = Ensemble.load(folder_of(uri) / "ensemble").predict(image[None, :, :, None])
    assert expected.names[0] in row


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")  # of ray.serve's own schema
def test_serve_finds_its_ensemble_and_keeps_its_audit_beside_it(uri: str, tmp_path: Path) -> None:
    answer(serve, "config", uri, "--out", tmp_path / "serve.yaml")
    args = yaml.safe_load((tmp_path / "serve.yaml").read_text())["applications"][0]["args"]
    assert args["location"] == str(folder_of(uri) / "ensemble")
    assert home_folder(uri, None) == folder_of(uri) / "service"


@pytest.mark.parametrize("command", [crossval, ensemble, evaluate, predict, serve])
def test_a_uri_without_a_run_is_one_line(command: click.Command, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "one.png")
    images = [tmp_path / "one.png"] if command is predict else []
    result = ask(command, f"{tmp_path.as_uri()}/nothing", *images)
    assert result.exit_code == 2, result.output
    [line] = [line for line in result.stderr.splitlines() if line.startswith("medray: ")]
    assert "nothing" in line


@pytest.mark.parametrize(
    ("location", "parent"),
    [
        ("/mnt/runs/a", "/mnt/runs"),
        ("/mnt/runs/a/", "/mnt/runs"),
        ("/a?b/c", "/a?b"),
        ("/mnt", None),
        ("file:///mnt/runs/a", "file:///mnt/runs"),
        ("file:///mnt", None),
        ("s3://bucket/runs/a?region=x/y", "s3://bucket/runs?region=x/y"),
        ("s3://key:word@bucket/a", "s3://key:word@bucket"),
        ("s3://bucket", None),
    ],
)
def test_the_folder_that_a_folder_lies_in(location: str, parent: str | None) -> None:
    assert Folder(location).parent == (None if parent is None else Folder(parent))


@pytest.mark.parametrize(
    ("location", "public"),
    [
        ("/mnt/a@b?c=d/", "/mnt/a@b?c=d"),
        ("s3://key:word@bucket/runs/a@b?secret_key=word", "s3://bucket/runs/a@b"),
        ("s3://bucket/runs/a/", "s3://bucket/runs/a"),
        ("file:///mnt/a", "file:///mnt/a"),
    ],
)
def test_a_public_location_has_no_secrets(location: str, public: str) -> None:
    assert Folder(location).public_location == public

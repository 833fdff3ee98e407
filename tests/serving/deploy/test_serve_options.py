"""What `medray serve` refuses before anything is started, in one line."""

import socket
import stat
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from medray.errors import ConfigError, RunError
from medray.serving.deploy.serve_options import ServeOptions, is_loopback
from medray.serving.engine.service_settings import ServiceSettings
from medray.serving.serve_command import serve

pytestmark = pytest.mark.component


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(serve, list(arguments))
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("medray: ")
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("medray: ")]
    return line


def test_others_may_not_ask_unless_that_is_said(served_run: Path) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.org"):
        assert f"--host {host} lets others ask: give a --token-file" in refused(str(served_run), "--host", host)
    ServeOptions(str(served_run), host="0.0.0.0", no_auth=True).check()
    ServeOptions(str(served_run), host="::1").check()


@pytest.mark.parametrize(
    ("host", "is_own"), [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True),
                         ("0.0.0.0", False), ("10.0.0.1", False), ("localhost.evil.org", False)],
)  # fmt: skip
def test_loopback(host: str, is_own: bool) -> None:
    assert is_loopback(host) == is_own


def test_what_is_no_run_is_named(tmp_path: Path) -> None:
    assert "is neither a run with an ensemble nor an ensemble" in refused(str(tmp_path))


def test_a_misspelt_command_is_named_with_its_nearest() -> None:
    line = refused("repalce", "runs/organs", "--threads", "2")
    assert "unknown command 'repalce' (did you mean 'replace'?); valid: config, replace, start" in line


def test_a_port_that_is_taken_is_named(served_run: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"--port {port} can't be listened on: Address already in use" in refused(
            str(served_run), "--port", port
        )


@pytest.mark.parametrize("text", ["0", "x", "3:2", "1:", ":", "-1"])
def test_replicas_are_a_number_or_a_range(text: str) -> None:
    with pytest.raises(ConfigError, match="--replicas is"):
        ServeOptions("x", replicas=text).check()


def test_a_token_file_that_others_can_read_is_refused(served_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text("a 0123456789abcdef\n")
    path.chmod(0o644)
    assert "chmod" in refused(str(served_run), "--token-file", str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_replace_needs_a_service_that_runs(served_run: Path, tmp_path: Path) -> None:
    assert "no service runs with --home" in refused("replace", str(served_run), "--home", str(tmp_path))


def test_a_damaged_ensemble_is_refused_before_anything_starts(served_run: Path, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(served_run, tmp_path / "copy"))
    member = next((copy / "ensemble" / "members").iterdir())
    member.write_bytes(member.read_bytes()[:-1])
    assert "its SHA-256 differs" in refused(str(copy), "--home", str(tmp_path / "home"))


def test_settings_survive_json_and_are_checked() -> None:
    settings = ServiceSettings(max_body=5, max_memory=9)
    assert ServiceSettings.from_dict(settings.to_dict()) == settings
    with pytest.raises(RunError, match="did you mean 'max_body'"):
        ServiceSettings.from_dict(settings.to_dict() | {"max_bdy": 3})
    with pytest.raises(RunError, match="timeout: damaged: '3'"):
        ServiceSettings.from_dict(settings.to_dict() | {"timeout": "3"})
    with pytest.raises(ConfigError, match="must be above 0"):
        ServiceSettings(max_batch=0)


@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")  # of ray.serve's own schema
def test_the_yaml_is_ray_serves_own(served_run: Path, tmp_path: Path) -> None:
    from ray.serve.schema import ServeDeploySchema

    file = tmp_path / "serve.yaml"
    arguments = [
        "--out",
        str(file),
        "--replicas",
        "1:8",
        "--gpus",
        "0.25",
        "--home",
        str(tmp_path / "home"),
    ]
    result = CliRunner().invoke(serve, ["config", str(served_run), *arguments])
    assert result.exit_code == 0, result.output
    schema = ServeDeploySchema.model_validate(yaml.safe_load(file.read_text()))
    (application,) = schema.applications
    assert application.import_path == "medray.serving.deploy.deployment:build"
    (deployment,) = application.deployments
    assert deployment.ray_actor_options.num_gpus == 0.25
    assert deployment.autoscaling_config["max_replicas"] == 8
    assert application.args["version"]

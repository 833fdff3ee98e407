"""Ray starts on machines as people have them, or one line says what to do; Ray itself is started elsewhere."""

import os
import socket
import stat
from pathlib import Path
from urllib.request import proxy_bypass_environment

import pytest
from click.testing import CliRunner

from medray.cluster import this_machine
from medray.cluster.connect import check_gpus
from medray.cluster.runners import check_runner
from medray.cluster.this_machine import (
    FOLDER_BYTES,
    bypass_proxies,
    choose_ray_folder,
    count_gpus,
    folder_problem,
    provide_token,
    shared_memory_note,
)
from medray.crossval.crossval_command import crossval
from medray.errors import ConfigError, MedrayError
from medray.files import cache_folder
from medray.search.search_command import search

LONG = "scratch_of_this_job/" * 5


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No cluster is named, and this process has no Ray."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("medray.cluster.connect._is_initialized", lambda: False)


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("command", ["search", "crossval", "nested"])
def test_gpus_that_can_not_come_are_refused_at_once(command: str, tmp_path: Path) -> None:
    count = count_gpus() + 1
    arguments = {
        "search": (search, ["organs", "--data", str(tmp_path / "none.npz"), "--out", str(tmp_path / "run")]),
        "crossval": (crossval, [str(tmp_path)]),
        "nested": (crossval, [str(tmp_path), "--nested"]),
    }
    name, options = arguments[command]
    result = CliRunner().invoke(name, [*options, "--min-gpus", str(count)])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"medray: --min-gpus {count}: this machine has ")
    assert "--address joins a cluster" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.usefixtures("alone")
def test_gpus_of_a_cluster_may_come(monkeypatch: pytest.MonkeyPatch) -> None:
    count = count_gpus() + 1
    check_runner("ray", "head:6379", count, None)
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    check_runner("ray", None, count, None)
    monkeypatch.setenv("RAY_ADDRESS", "local")
    with pytest.raises(ConfigError, match="--min-gpus"):
        check_runner("ray", None, count, None)


@pytest.mark.usefixtures("alone")
def test_gpus_that_are_hidden_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(ConfigError, match="--min-gpus 1: this machine has no GPU, and no other"):
        check_gpus(1, None)


def sockets_fit(folder: Path) -> None:
    """Bind a socket of the longest name that Ray gives one below the folder."""
    path = Path(f"{folder}{this_machine._SOCKET}")
    path.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as probe:
        probe.bind(str(path))


def test_a_folder_of_any_length_ends_in_one_whose_sockets_fit(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp") as base:
        for length in range(len(base) + 2, 100):
            folder = Path(base) / ("t" * (length - len(base) - 1))
            monkeypatch.setenv("TMPDIR", str(folder))
            monkeypatch.delenv("RAY_TMPDIR", raising=False)
            chosen = choose_ray_folder(others=[Path(base) / "short"])
            usual = f"{folder}/ray"
            assert (chosen.path == usual) == (len(usual) <= FOLDER_BYTES)
            assert (chosen.note is None) == (chosen.path == usual)
            if chosen.path == usual:
                sockets_fit(folder / "ray")
        assert "longer than" in (chosen.note or "")
        assert str(folder) in (chosen.note or "")


@pytest.mark.parametrize("value", [LONG, "{folder}/file", "/proc/nowhere"])
@pytest.mark.parametrize("variable", ["TMPDIR", "RAY_TMPDIR"])
def test_no_folder_that_will_do_is_one_line_with_the_way_out(
    value: str, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(variable, value.format(folder=tmp_path))
    with pytest.raises(MedrayError, match="set RAY_TMPDIR to a folder of at most") as caught:
        choose_ray_folder(others=[])
    assert "\n" not in str(caught.value)


def test_an_empty_or_relative_tmpdir(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", "")
    assert choose_ray_folder().path == "/tmp/ray"
    monkeypatch.chdir("/tmp")
    monkeypatch.setenv("TMPDIR", ".")
    assert Path(choose_ray_folder().path).is_absolute()


def test_a_full_disk_and_small_shared_memory(tmp_path: Path) -> None:
    assert "MiB free" in str(folder_problem(Path("/tmp"), least_free=2**60))
    with pytest.raises(MedrayError, match=r"MiB free; set RAY_TMPDIR to a folder .* with room"):
        choose_ray_folder(others=[Path("/tmp")], least_free=2**60)
    assert "--shm-size" in str(shared_memory_note(2.0**60, tmp_path))
    assert shared_memory_note(1.0, tmp_path) is None
    assert shared_memory_note(2.0**60, tmp_path / "none") is None  # macOS has none


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy", "grpc_proxy"])
@pytest.mark.parametrize("named", [None, "example.org, 10.0.0.1", "*"])
def test_no_proxy_stands_between_this_machine_and_itself(
    variable: str, named: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [*this_machine.PROXIES, "no_proxy"]:
        for spelling in (name, name.upper()):
            monkeypatch.setenv(spelling, "")  # so that it is restored
            monkeypatch.delenv(spelling)
    bypass_proxies()
    assert "no_proxy" not in os.environ
    monkeypatch.setenv(variable, "http://proxy:3128")
    if named:
        monkeypatch.setenv("NO_PROXY", named)
    bypass_proxies()
    bypass_proxies()
    assert proxy_bypass_environment("127.0.0.1:8000")
    assert proxy_bypass_environment("localhost")
    assert bool(proxy_bypass_environment("example.org")) == (named is not None)
    assert bool(proxy_bypass_environment("example.com")) == (named == "*")
    assert os.environ["no_proxy"] == os.environ["NO_PROXY"]


@pytest.mark.parametrize("home", ["/proc/nowhere", "/dev/null"])
def test_a_home_that_can_not_be_written(home: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("HOME", str(tmp_path))
    provide_token()
    assert not os.environ["RAY_AUTH_TOKEN"]  # Ray keeps its own there
    monkeypatch.setenv("HOME", home)
    provide_token()
    token = os.environ["RAY_AUTH_TOKEN"]
    assert len(token) >= 32
    provide_token()
    assert os.environ["RAY_AUTH_TOKEN"] == token
    assert stat.S_ISDIR(tmp_path.stat().st_mode)


def test_the_cache_without_a_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MEDRAY_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "~")  # what expanduser leaves where a user has none
    with pytest.raises(ConfigError, match=r"no home folder for the cache: set \$MEDRAY_CACHE"):
        cache_folder("images")
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path))
    assert cache_folder("images") == tmp_path / "images"

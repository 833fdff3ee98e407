"""cluster.yaml and cluster.local.yaml: Ray's own validation, what it lets through, and what they name exists."""

import copy
import json
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import pytest
import ray
import yaml
from jsonschema import ValidationError
from packaging.specifiers import SpecifierSet
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts import scripts

Config = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
AWS, LOCAL = "cluster.yaml", "cluster.local.yaml"
TOKEN = "~/.ray/auth_token"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

#: Ray's schema knows these of a provider too, but says so nowhere.
MORE_OF_A_PROVIDER = {"external_head_ip"}
#: The parameters of EC2's RunInstances that we use: Ray hands them on, and a misspelt one fails only at a launch.
RUN_INSTANCES = {
    "BlockDeviceMappings", "IamInstanceProfile", "ImageId", "InstanceMarketOptions", "InstanceType", "MetadataOptions",
}  # fmt: skip


def load(name: str) -> Config:
    config: Config = yaml.safe_load((ROOT / name).read_text())
    return config


def check(config: Config) -> Config:
    """Validate as `ray up` does before it asks the cloud, and look for keys that it would take silently."""
    prepared: Config = prepare_config(copy.deepcopy(config))
    validate_config(prepared)
    schema = json.loads((Path(ray.__file__).parent / "autoscaler/ray-schema.json").read_text())
    known = set(schema["properties"]["provider"]["properties"]) | MORE_OF_A_PROVIDER
    _all_known("provider", config["provider"], known)
    for name, kind in config.get("available_node_types", {}).items():
        _all_known(name, kind["node_config"], RUN_INSTANCES)
    return prepared


def _all_known(where: str, given: Config, known: set[str]) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        raise ValueError(f"{where}: unknown {unknown}")


@pytest.fixture(params=[AWS, LOCAL])
def config(request: pytest.FixtureRequest) -> Config:
    return load(request.param)


def commands(config: Config) -> Iterator[str]:
    for key, value in config.items():
        if key.endswith("_commands"):
            yield from value


# -- Ray's own validation


def test_ray_takes_the_file(config: Config) -> None:
    check(config)


def drop(*path: str) -> Callable[[Config], None]:
    def change(config: Config) -> None:
        for key in path[:-1]:
            config = config[key]
        del config[path[-1]]

    return change


def put(value: Any, *path: str) -> Callable[[Config], None]:
    def change(config: Config) -> None:
        for key in path[:-1]:
            config = config[key]
        config[path[-1]] = value

    return change


#: Ray fills in its defaults before it validates, and stumbles over some mistakes there.
REFUSALS = (ValidationError, ValueError, KeyError, TypeError, AttributeError, click.ClickException)
WORKER = ("available_node_types", "worker")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        pytest.param(AWS, put([], "setup_comands"), id="misspelt key"),
        pytest.param(AWS, put(1, *WORKER, "min_worker"), id="misspelt key of a node type"),
        pytest.param(AWS, put("us-west-2", "provider", "regoin"), id="misspelt key of the provider"),
        pytest.param(AWS, put({}, *WORKER, "node_config", "InstanceMarketOption"), id="misspelt key of EC2"),
        pytest.param(AWS, put("x", "provider", "security_group", "GroupNames"), id="misspelt key of the group"),
        pytest.param(AWS, put("x", "auth", "ssh_usr"), id="misspelt key of auth"),
        pytest.param(AWS, drop("provider"), id="no provider"),
        pytest.param(AWS, drop("provider", "type"), id="no type of provider"),
        pytest.param(AWS, drop(*WORKER, "node_config"), id="no node_config"),
        pytest.param(AWS, drop(*WORKER, "resources"), id="no resources"),
        pytest.param(AWS, put("four", "max_workers"), id="a word for a number"),
        pytest.param(AWS, put(-1, "idle_timeout_minutes"), id="a time below 0"),
        pytest.param(AWS, put("uv sync", "setup_commands"), id="one command for a list"),
        pytest.param(AWS, put("1", *WORKER, "min_workers"), id="text for a number"),
        pytest.param(AWS, put(9, *WORKER, "min_workers"), id="more workers at least than at most"),
        pytest.param(AWS, put("haed", "head_node_type"), id="a head of no type"),
        pytest.param(LOCAL, put([], "setup_comands"), id="local: misspelt key"),
        pytest.param(LOCAL, drop("provider", "head_ip"), id="local: no head"),
        pytest.param(LOCAL, drop("provider", "worker_ips"), id="local: no workers"),
        pytest.param(LOCAL, put([], "provider", "workers_ips"), id="local: misspelt key of the provider"),
        pytest.param(LOCAL, put("gpu1", "file_mounts"), id="local: text for a mapping"),
        pytest.param(LOCAL, put(7, "auth", "ssh_private_key"), id="local: a number for a path"),
    ],
)
def test_a_mistake_is_caught(name: str, change: Callable[[Config], None]) -> None:
    config = load(name)
    change(config)
    with pytest.raises(REFUSALS):
        check(config)


# -- what is sent


def test_all_that_is_mounted_is_the_projects_own_and_needed_to_install_it(config: Config) -> None:
    mounts = config["file_mounts"]
    assert mounts.pop(TOKEN) == TOKEN
    assert mounts == {f"~/medray/{name}": name for name in mounts.values()}
    hatch = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    project = PYPROJECT["project"]
    needed = {"pyproject.toml", "uv.lock", project["readme"], *project["license-files"], *hatch["packages"]}
    assert set(mounts.values()) == needed | set(hatch["force-include"])
    assert all((ROOT / name).exists() for name in mounts.values())


@pytest.mark.parametrize("name", [".venv", "runs", "data", ".git", "."])
def test_nothing_large_and_nothing_private_is_mounted(config: Config, name: str) -> None:
    assert not {Path(local) for local in config["file_mounts"].values()} & {Path(name)}


def test_rsync_leaves_out_what_python_makes_and_nothing_of_ours(config: Config) -> None:
    """A pattern without a slash holds at any depth: `data` would take medray/data away."""
    patterns = config["rsync_exclude"]
    assert not any("/" in pattern for pattern in patterns)

    def excluded(path: Path) -> bool:
        return any(fnmatch(part, pattern) for part in path.parts for pattern in patterns)

    assert excluded(Path("medray/__pycache__/cli.cpython-311.pyc"))
    for local in config["file_mounts"].values():
        for path in (ROOT / local).rglob("*"):
            made = "__pycache__" in path.parts
            assert excluded(path.relative_to(ROOT)) == made, path


# -- what is installed and started


def test_packages_come_from_the_lock_file_alone(config: Config) -> None:
    syncs = [command for command in commands(config) if "uv sync" in command]
    assert syncs == config["setup_commands"][-1:]
    words = shlex.split(syncs[0].partition("&& ")[2])
    assert syncs[0].startswith("cd ~/medray && uv sync --locked --no-dev")
    assert "dev" in PYPROJECT["dependency-groups"]
    assert SpecifierSet(PYPROJECT["project"]["requires-python"]).contains(words[words.index("--python") + 1])
    for command in commands(config):
        assert not re.search(r"pip install.*[ '\"](ray|torch|medray)", command), command


def test_the_lock_file_has_the_ray_that_validates_here() -> None:
    locked = {p["name"]: p["version"] for p in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    assert locked["ray"] == version("ray")


def test_shells_find_what_is_installed(config: Config) -> None:
    assert "$HOME/medray/.venv/bin" in config["setup_commands"][0]
    assert "RAY_AUTH_MODE=token" in config["setup_commands"][0]
    assert "medray" in PYPROJECT["project"]["scripts"]


def test_ray_start_has_every_option_that_is_given(config: Config) -> None:
    known = {name for parameter in scripts.start.params for name in parameter.opts}
    started = [command for command in commands(config) if "ray start" in command]
    assert len(started) == 2
    for command in started:
        given = re.findall(r"--[a-z-]+", command.partition("ray start")[2])
        assert set(given) <= known, command


def test_head_and_workers_meet_at_one_port(config: Config) -> None:
    head, worker = config["head_start_ray_commands"][-1], config["worker_start_ray_commands"][-1]
    port = re.search(r"--port=(\d+)", head)
    assert port is not None
    assert f"--address=$RAY_HEAD_IP:{port[1]}" in worker
    assert "--autoscaling-config=~/ray_bootstrap_config.yaml" in head


def test_both_files_install_the_same() -> None:
    aws, local = load(AWS), load(LOCAL)
    for key in ("file_mounts", "rsync_exclude", "setup_commands"):
        assert aws[key] == local[key], key
    stop, notice, start = aws["worker_start_ray_commands"]
    assert [stop, start] == local["worker_start_ray_commands"]
    (module,) = re.findall(r"python -m (\S+) \$RAY_HEAD_IP:6379 ", notice)
    assert find_spec(module) is not None


# -- what is open, and what it may cost


def test_no_port_but_22_is_open(config: Config) -> None:
    """Ray's own group opens 22 to all and everything within the group; we add nothing and take no other group."""
    assert set(config["provider"].get("security_group", {"GroupName"})) == {"GroupName"}
    for kind in config.get("available_node_types", {}).values():
        assert "SecurityGroupIds" not in kind["node_config"]
    assert "--dashboard-host=127.0.0.1" in config["head_start_ray_commands"][-1]
    assert not any("0.0.0.0" in command for command in commands(config))


def test_the_cloud_cluster_grows_from_nothing_and_shrinks_again() -> None:
    prepared = check(load(AWS))
    head, worker = prepared["available_node_types"]["head"], prepared["available_node_types"]["worker"]
    assert (head["max_workers"], head["resources"]) == (0, {"CPU": 0})
    assert worker["min_workers"] == 0
    assert 0 < worker["max_workers"] <= prepared["max_workers"]
    assert 0 < prepared["idle_timeout_minutes"] <= 15


def test_only_workers_may_be_taken_away_and_nothing_is_left_that_costs() -> None:
    config = load(AWS)
    head, worker = (config["available_node_types"][name]["node_config"] for name in ("head", "worker"))
    assert "InstanceMarketOptions" not in head
    assert worker["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert config["provider"]["cache_stopped_nodes"] is False
    for node in (head, worker):
        disk = node["BlockDeviceMappings"][0]["Ebs"]
        assert disk["VolumeSize"] >= 100
        assert disk["DeleteOnTermination"] is True


def test_the_local_cluster_keeps_all_its_machines() -> None:
    config = load(LOCAL)
    kind = check(config)["available_node_types"]["local.cluster.node"]
    machines = len(config["provider"]["worker_ips"])
    assert (kind["min_workers"], kind["max_workers"]) == (machines, machines)

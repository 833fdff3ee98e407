"""deploy/kuberay: what can be checked of the files without a cluster."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import medray
from tests.docs.examples import command_of

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy/kuberay"
FILES = {"rayjob": "rayClusterSpec", "rayservice": "rayClusterConfig"}


def read(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    return document


def cluster_of(name: str) -> dict[str, Any]:
    cluster: dict[str, Any] = read(name)["spec"][FILES[name]]
    return cluster


def pods(name: str) -> Iterator[dict[str, Any]]:
    cluster = cluster_of(name)
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        yield group["template"]["spec"]


@pytest.mark.parametrize("name", FILES)
def test_every_container_is_restricted_and_can_still_write_what_ray_writes(name: str) -> None:
    for pod in pods(name):
        assert pod["securityContext"]["runAsNonRoot"] is True
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
            assert {"/tmp", "/home/medray", "/dev/shm", "/runs"} == set(mounts)
            assert mounts["/dev/shm"]["emptyDir"]["medium"] == "Memory"
            assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", FILES)
def test_versions_are_those_of_the_checkout(name: str) -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    (ray,) = (package["version"] for package in lock["package"] if package["name"] == "ray")
    assert cluster_of(name)["rayVersion"] == ray
    assert {container["image"] for pod in pods(name) for container in pod["containers"]} == {
        f"medray:{medray.__version__}"
    }


def test_the_job_is_a_command_that_is_understood() -> None:
    words = shlex.split(read("rayjob")["spec"]["entrypoint"])
    assert words[0] == "medray"
    command, arguments = command_of(tuple(words[1:]))
    command.make_context(words[1], arguments)
    assert "--storage" in words
    cluster = cluster_of("rayjob")  # whose head trains nothing: without --min-gpus nobody would ask for a worker
    assert all(group["minReplicas"] == 0 for group in cluster["workerGroupSpecs"])
    assert words[words.index("--min-gpus") + 1] == "1"


def test_the_image_is_made_of_files_that_are_there() -> None:
    text = (FOLDER / "Dockerfile").read_text()
    for line in re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", text):
        for name in line.split():
            assert (ROOT / name).exists()
    assert re.search(r"(?m)^USER 1000$", text)
    for pod in (*pods("rayjob"), *pods("rayservice")):
        assert pod["containers"][0]["securityContext"]["runAsUser"] == 1000

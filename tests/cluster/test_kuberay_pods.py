"""deploy/kuberay run as KubeRay would run it, but for Kubernetes: a study as a job, then its ensemble as a service."""

import io
import json
import os
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.cluster import pods
from tests.cluster.test_kuberay_files import cluster_of, read

WHY_NOT = pods.missing()
pytestmark = [
    pytest.mark.nightly,
    pytest.mark.timeout(900),
    pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT)),
]
HEALTHY = ":52365/api/healthz"  # KubeRay's probe of each pod
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4}  # of authOptions, in all containers


@pytest.fixture(scope="module")
def network() -> Iterator[pods.Pods]:
    with tempfile.TemporaryDirectory(prefix="medray-pods.", dir="/var/tmp") as folder:  # as /tmp is each pod's own
        Path(folder).chmod(0o755)
        with pods.pods(Path(folder)) as network:
            network.build()
            yield network


def get(url: str) -> bytes | None:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            content: bytes = answer.read()
            return content
    except OSError:
        return None


def wait(until: Callable[[], Any], what: str, log: Path, seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, f"{what}\n{log.read_text()[-4000:]}"
        time.sleep(0.5)


def start(network: pods.Pods, name: str, pod: str, head: str | None, log: Path) -> "subprocess.Popen[str]":
    """Start the head of a manifest, or a worker of its only group, and wait until its probe passes."""
    cluster = cluster_of(name)
    group = cluster["workerGroupSpecs"][0] if head else cluster["headGroupSpec"]
    spec = group["template"]["spec"]
    if head is not None:  # an init container of the operator's
        line = f"until ray health-check --address {head}:6379; do sleep 1; done"
        assert network.start(pod, spec, line, log, **TOKEN).wait() == 0
    own = {**TOKEN, "RAY_ADDRESS": f"{head or '127.0.0.1'}:6379", "RAY_CLOUD_INSTANCE_ID": pod}
    healthy = f"http://{network.address(pod)}{HEALTHY}"
    end = time.monotonic() + 240
    process = network.start(pod, spec, pods.ray_start(group, head), log, **own)
    while b"success" not in (get(healthy) or b""):
        assert time.monotonic() < end, log.read_text()[-4000:]
        # Ray ends where a busy machine takes longer than its 30 s; Kubernetes starts it again.
        if process.poll() is not None:
            process = network.start(pod, spec, pods.ray_start(group, head), log, **own)
        time.sleep(0.5)
    return process


def test_the_job_and_the_service(network: pods.Pods, tmp_path: Path) -> None:
    log = tmp_path / "pods.log"
    started = [start(network, "rayjob", "head", None, log)]
    head = network.address("head")
    started.append(start(network, "rayjob", "worker", head, log))
    study, entrypoint = small(read("rayjob")["spec"]["entrypoint"])
    submitted = network.start(
        "submitter", cluster_of("rayjob")["headGroupSpec"]["template"]["spec"],
        f"ray job submit --address http://{head}:8265 -- {entrypoint}", log, **TOKEN,
    )  # fmt: skip
    assert submitted.wait() == 0, log.read_text()[-4000:]
    run = network.room / "runs" / study
    assert (run / "ensemble/manifest.json").is_file()
    assert (run / "report/index.html").is_file()

    os.kill(pods.first_process(started[1]), signal.SIGTERM)  # as Kubernetes takes a pod away
    started[1].wait(60)
    assert "received SIGTERM. Draining for up to 110.0 seconds" in log.read_text()
    network.stop(*started)
    check_service(network, f"/runs/{study}", log)


def small(entrypoint: str) -> tuple[str, str]:
    """Return the study's name, and the line of a small one without GPU, as the manifest's comment tells."""
    words = entrypoint.split()
    for option in ("--hours", "--min-gpus", "--data"):
        place = words.index(option)
        del words[place : place + 2]
    return words[2], " ".join([*words, "--data phantom --trials 2 --max-epochs 1 --top 1 --folds 2"])


def check_service(network: pods.Pods, run: str, log: Path) -> None:
    start(network, "rayservice", "serving", None, log)
    head = network.address("serving")
    spec = cluster_of("rayservice")["headGroupSpec"]["template"]["spec"]
    start(network, "rayservice", "replica", head, log)
    written = network.start(
        "serving", spec, f"medray serve config {run} --host 0.0.0.0 --no-auth --out /runs/serve.yaml", log
    )
    assert written.wait() == 0, log.read_text()[-4000:]
    text = (network.room / "runs/serve.yaml").read_text()
    put = urllib.request.Request(  # as the operator gives serveConfigV2 to Ray
        f"http://{head}:8265/api/serve/applications/", method="PUT",
        data=json.dumps(yaml.safe_load(text)).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN['RAY_AUTH_TOKEN']}"},
    )  # fmt: skip
    with urllib.request.urlopen(put, timeout=60) as answer:
        assert answer.status == 200
    service = f"http://{network.address('replica')}:8000"
    wait(lambda: b"success" in (get(f"{service}/-/healthz") or b""), "the replica's probe", log)
    wait(lambda: get(f"{service}/metadata"), "no replica", log)
    picture = io.BytesIO()
    Image.fromarray(np.full((28, 28), 90, np.uint8)).save(picture, "png")
    ask = urllib.request.Request(f"{service}/predict", picture.getvalue(), {"Content-Type": "image/png"})
    with urllib.request.urlopen(ask, timeout=60) as answer:
        (prediction,) = json.load(answer)["predictions"]
    assert sum(prediction["probabilities"].values()) == pytest.approx(1, abs=1e-3)

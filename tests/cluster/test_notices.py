"""Nodes that are taken away after a notice, as spot machines are: what goes on elsewhere, and what is lost."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from ray._private.node import Node
from ray._raylet import GcsClient
from ray.cluster_utils import Cluster

from medray.runs.rundir import RunDir, TrialDir
from medray.runs.trial_record import FINISHED
from tests.cluster.nodes import head_alone
from tests.conftest import Command, make_long_run, write_npz

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(600)]

EPOCHS = 12
PREEMPTED, NOTICE_S = 2, 120  # of ray.rpc.autoscaler.DrainNodeReason
SPACE = f"""
name: spot
data: phantom
objective: {{metric: auc}}
budget: {{trials: 3, max_epochs: {EPOCHS}, grace_epochs: 200, reduction_factor: 2, patience: null}}
resources: {{cpu: 1}}
space:
  learning_rate: {{log: [0.001, 0.01]}}
fixed: {{batch_size: 4, backbone: resnet8_small, dropout: 0.2}}
"""


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with head_alone() as cluster:
        yield cluster


def give_notice(cluster: Cluster, node: Node) -> None:
    deadline = int((time.time() + NOTICE_S) * 1000)
    accepted, _ = GcsClient(address=cluster.address).drain_node(node.node_id, PREEMPTED, "", deadline)
    assert accepted


def goes_by_itself(node: Node) -> bool:
    """Whether the raylet ended within the notice, since nothing was left to do on its node."""
    (raylet,) = node.all_processes["raylet"]
    try:
        raylet.process.wait(NOTICE_S)
    except subprocess.TimeoutExpired:
        return False
    return True


def done_once(folder: TrialDir, before: list[float]) -> bool:
    """Whether all epochs are there, and those that were done `before` are the same ones, by their seconds."""
    epochs = folder.epochs()
    whole = [epoch.epoch for epoch in epochs] == list(range(1, len(epochs) + 1))
    return whole and [epoch.seconds for epoch in epochs[: len(before)]] == before


@pytest.mark.parametrize(
    "killed", [False, True], ids=["epochs that fit into the notice", "an epoch that does not"]
)
def test_a_trial_goes_on_elsewhere(
    killed: bool, cluster: Cluster, tmp_path: Path, command: Callable[..., Command]
) -> None:
    (tmp_path / "spot.yaml").write_text(SPACE)
    data, run = write_npz(tmp_path / "corners.npz", train=96), RunDir(str(tmp_path / "run"))
    second = cluster.add_node(num_cpus=1)
    started = command(tmp_path / "spot.yaml", "--data", data, "--out", run.location, "--address", cluster.address)
    trials = [run.trial(number) for number in range(3)]
    started.until(lambda: all(trial.epochs() for trial in trials[:2]))
    give_notice(cluster, second)
    if killed:
        cluster.remove_node(second, allow_graceful=False)
    else:
        assert goes_by_itself(second)
    before = [[epoch.seconds for epoch in trial.epochs()] for trial in trials]
    code, _, complaints = started.finish()
    assert code == 0, complaints
    assert [record.state for record in run.records()] == [FINISHED] * 3
    assert [len(trial.epochs()) for trial in trials] == [EPOCHS] * 3
    assert all(done_once(trial, seconds) for trial, seconds in zip(trials, before, strict=True))
    (errors,) = Path(run.location).rglob("error.txt")
    assert re.findall(r"Failure # (\d+)", errors.read_text()) == ["0"], "a preemption is not counted"


def test_folds_end_their_epochs_and_go_on_where_there_is_room(
    cluster: Cluster, tmp_path: Path, command: Callable[..., Command]
) -> None:
    run = RunDir(str(make_long_run(tmp_path, epochs=EPOCHS)[0]))
    second = cluster.add_node(num_cpus=1)
    started = command(run.location, "--folds", 3, "--address", cluster.address, name="crossval")
    folds = [run.fold(0, fold) for fold in range(3)]
    started.until(lambda: all(fold.epochs() for fold in folds[:2]))
    give_notice(cluster, second)
    assert goes_by_itself(second)
    before = [[epoch.seconds for epoch in fold.epochs()] for fold in folds]
    code, printed, complaints = started.finish()
    assert code == 0, complaints
    assert re.findall(r"^.*(a node is about to go; going on with 1, folds left: [23])$", printed, re.MULTILINE)
    assert [len(fold.epochs()) for fold in folds] == [EPOCHS] * 3
    assert all(done_once(fold, seconds) for fold, seconds in zip(folds, before, strict=True))


class Metadata(BaseHTTPRequestHandler):
    """What a spot machine of AWS can ask, once its notice is there."""

    token = "a token"
    deadline = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=NOTICE_S)

    def do_PUT(self) -> None:
        self.answer(self.path == "/latest/api/token", self.token)

    def do_GET(self) -> None:
        known = self.path == "/latest/meta-data/spot/instance-action"
        notice = {"action": "terminate", "time": self.deadline.strftime("%Y-%m-%dT%H:%M:%SZ")}
        self.answer(known and self.headers["X-aws-ec2-metadata-token"] == self.token, json.dumps(notice))

    def answer(self, known: bool, text: str) -> None:
        self.send_response(200 if known else 404)
        self.end_headers()
        self.wfile.write(text.encode() if known else b"")

    def log_message(self, format: str, *args: object) -> None: ...


def test_the_notice_of_a_spot_machine_reaches_ray(cluster: Cluster) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Metadata) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        done = subprocess.run(
            [sys.executable, "-m", "medray.cluster.spot_notice", cluster.address],
            env={**os.environ, "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{server.server_port}"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        server.shutdown()
    assert done.stdout == f"told Ray that this node goes at {Metadata.deadline.isoformat()}\n", done.stderr
    assert goes_by_itself(cluster.head_node)

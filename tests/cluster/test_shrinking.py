"""Folds on two nodes of which one is killed and does not come back."""

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from medray.runs import RunDir
from tests.conftest import Command, make_run, write_npz

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(400)]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A head with room for one worker."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    folder = tempfile.mkdtemp(prefix="mr", dir="/tmp")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "temp_dir": folder})
    yield cluster
    cluster.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A finished search of one trial whose settings take long enough on a fold for a node to be killed meanwhile."""
    data = write_npz(tmp_path / "corners.npz", train=96)
    run = make_run(tmp_path / "found", data, trials=1, epochs=1)
    config = run / "trials/0000/config.json"
    values = {**json.loads(config.read_text()), "epochs": 20, "batch_size": 4, "backbone": "resnet8_small"}
    config.write_text(json.dumps(values))
    return RunDir(str(run))


def test_the_folds_go_on_where_there_is_room(
    cluster: Cluster, run: RunDir, command: Callable[..., Command], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "10")
    second = cluster.add_node(num_cpus=1)
    started = command(run.location, "--folds", 3, "--address", cluster.address, name="crossval")
    started.until(lambda: min(len(run.fold(0, 0).epochs()), len(run.fold(0, 1).epochs())) >= 1)
    before = [run.fold(0, fold).epochs() for fold in (0, 1)]
    cluster.remove_node(second, allow_graceful=False)
    code, printed, complaints = started.finish()
    assert code == 0, complaints
    assert re.search(r"; going on with 1, folds left: [123]$", printed, re.MULTILINE), printed
    for fold in (0, 1):
        kept = run.fold(0, fold).epochs()
        assert [epoch["epoch"] for epoch in kept] == list(range(1, 21))
        assert kept[: len(before[fold])] == before[fold]  # no epoch that was done is done again

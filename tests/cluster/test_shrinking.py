"""Folds on two nodes of which one is killed and does not come back."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from medray.runs.rundir import RunDir
from tests.cluster.nodes import head_alone
from tests.conftest import Command, make_long_run

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(400)]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with head_alone() as cluster:
        yield cluster


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(str(make_long_run(tmp_path, epochs=20)[0]))


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
        assert [epoch.epoch for epoch in kept] == list(range(1, 21))
        assert kept[: len(before[fold])] == before[fold]  # no epoch that was done is done again

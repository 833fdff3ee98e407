"""A cluster whose workers come and go: what a search counts on."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from ray.cluster_utils import Cluster

from medray.cluster.capacity import count_slots, find_capacity, wait_for_gpus
from medray.cluster.connect import connected
from medray.errors import ConfigError
from medray.space.search_space import Resources

pytestmark = pytest.mark.slow

TRIAL = Resources(cpu=1, gpu=0.5)


@contextlib.contextmanager
def growing() -> Iterator[Cluster]:
    """A head on which nothing may train, joined by this process."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "num_gpus": 0})
    with connected(cluster.address, verbose=False):
        yield cluster
    cluster.shutdown()


def check(cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match="needs --min-gpus"):
        find_capacity(TRIAL, "space.yaml", started_here=False)
    reports: list[tuple[str, int, int]] = []

    def progress(*report: Any) -> None:
        reports.append(report)
        if len(reports) == 1:  # the autoscaler's part
            cluster.add_node(num_cpus=4, num_gpus=1)

    wait_for_gpus(1, progress)
    assert reports[0] == ("GPUs", 0, 1)
    capacity = find_capacity(TRIAL, "space.yaml", started_here=False)
    assert (capacity.gpus, capacity.slots, capacity.nodes) == (1, 2, 2)
    cluster.remove_node(next(iter(cluster.worker_nodes)))
    while count_slots(capacity.resources):  # the head notices in its own time
        time.sleep(0.2)


def test_a_search_waits_for_the_first_gpu_and_outlives_the_last() -> None:
    """In a process of its own, since this one may have joined another Ray."""
    code = "from tests.cluster.test_growing import check, growing\nwith growing() as cluster: check(cluster)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

"""A cluster of several nodes on this machine."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator

import pytest
from ray.cluster_utils import Cluster


@contextlib.contextmanager
def head_alone() -> Iterator[Cluster]:
    """A head with room for one worker; what is started meanwhile shows it no token."""
    folder = tempfile.mkdtemp(prefix="mr", dir="/tmp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "temp_dir": folder})
        yield cluster
        cluster.shutdown()
    shutil.rmtree(folder, ignore_errors=True)

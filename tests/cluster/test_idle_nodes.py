"""Autoscaler v2, which `ray up` and KubeRay use: what keeps an idle worker, and what goes with it.

Its workers are processes here, from Ray's own provider for that, in namespaces: Ray's head takes fixed ports.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.pods import missing

WHY_NOT = missing()
pytestmark = [
    pytest.mark.nightly,
    pytest.mark.timeout(600),
    pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT)),
]
HEAD, IDLE_S = "f" * 51 + "00000", 6
PROVIDER = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"
EMPTY = {
    "auth": {}, "docker": {}, "file_mounts": {}, "cluster_synced_files": [], "file_mounts_sync_continuously": False,
    "rsync_exclude": [], "rsync_filter": [], "initialization_commands": [], "setup_commands": [],
    "head_setup_commands": [], "worker_setup_commands": [], "head_start_ray_commands": [],
    "worker_start_ray_commands": [],
}  # fmt: skip
CLUSTER = EMPTY | {
    "cluster_name": "idle", "max_workers": 3, "upscaling_speed": 1.0, "idle_timeout_minutes": IDLE_S / 60,
    "provider": {"type": "external", "module": PROVIDER, "launch_multiple": True, "head_node_id": HEAD},
    "head_node_type": "ray.head.default",
    "available_node_types": {
        "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
        "worker": {"resources": {"CPU": 1}, "node_config": {}, "min_workers": 0, "max_workers": 3},
    },
}  # fmt: skip
START = r"""
set -e
ip link set lo up; ip link add ray0 type veth peer name ray1; ip link set ray0 up; ip link set ray1 up
ip address add 10.231.80.2/24 dev ray0; ip route add default via 10.231.80.1 # Ray looks for its address by it
export RAY_CLOUD_INSTANCE_ID=$HEAD RAY_OVERRIDE_NODE_ID_FOR_TESTING=$HEAD
for _ in 1 2 3; do # a busy machine may need longer than the 30 s that Ray waits
  ray start --head --num-cpus=0 --autoscaling-config=cluster.json --temp-dir "$PWD/ray" >&2 && break || ray stop >&2
done
unset RAY_CLOUD_INSTANCE_ID RAY_OVERRIDE_NODE_ID_FOR_TESTING
python -m tests.cluster.test_idle_nodes
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mr", dir="/tmp") as folder:  # Ray's sockets bear no long name
        yield Path(folder)


def test_copies_do_not_keep_an_idle_worker_and_nothing_is_lost(folder: Path) -> None:
    (folder / "cluster.json").write_text(json.dumps(CLUSTER))
    environment = {
        **os.environ, "HEAD": HEAD, "HOME": str(folder), "RAY_TMPDIR": str(folder), "RAY_AUTH_MODE": "disabled",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(Path(__file__).parents[2]),
        "AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_FAKE_CLUSTER": "1", "RAY_enable_autoscaler_v2": "1",
    }  # fmt: skip
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc", "bash", "-c", START],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "it goes with a copy of the driver's images": True,
        "the images can be read on another": True,
        "it goes while a result of its own is wanted": False,
        "it goes afterwards": True,
    }


def look() -> dict[str, bool]:
    """Do what a search does with images, then what it never does: keep a large result on the worker that made it."""
    import numpy as np
    import ray

    def within(seconds: float, met: Callable[[], bool]) -> bool:
        end = time.monotonic() + seconds
        while not (now := met()) and time.monotonic() < end:
            time.sleep(0.5)
        return now

    def no_worker() -> bool:
        return sum(node["Alive"] for node in ray.nodes()) == 1

    @ray.remote(num_cpus=1)
    def read(images: "np.ndarray[tuple[int], np.dtype[np.uint8]]") -> int:
        return int(images.sum())

    @ray.remote(num_cpus=1)
    def make() -> "np.ndarray[tuple[int], np.dtype[np.uint8]]":
        return np.ones(10**7, np.uint8)

    ray.init(address="auto", log_to_driver=False)
    images = ray.put(np.ones(10**7, np.uint8))
    facts = {}
    assert ray.get(read.remote(images)) == 10**7
    facts["it goes with a copy of the driver's images"] = within(90, no_worker)
    facts["the images can be read on another"] = ray.get(read.remote(images)) == 10**7
    result = make.remote()
    ray.wait([result], fetch_local=False)
    facts["it goes while a result of its own is wanted"] = within(4 * IDLE_S, no_worker)
    del result
    facts["it goes afterwards"] = within(90, no_worker)
    return facts


if __name__ == "__main__":
    print(json.dumps(look()))

"""A study on nodes that share no disk: workers that come and are killed, and a run on an S3 server."""

import contextlib
import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from ray.cluster_utils import Cluster

from medray.cluster.connect import matching_auth_mode
from tests.cluster.nodes import head_alone
from tests.cluster.object_store import ObjectStore, object_store
from tests.conftest import Command

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

TRIALS, EPOCHS = 4, 30
SPACE = f"""
name: two
data: phantom
images: {{image_size: 12}}
objective: {{metric: auc}}
budget: {{trials: {TRIALS}, max_epochs: {EPOCHS}, grace_epochs: 200, reduction_factor: 2, patience: null}}
resources: {{cpu: 1}}
space:
  learning_rate: {{log: [0.001, 0.01]}}
fixed: {{batch_size: 4, backbone: resnet8_small, dropout: 0.2}}
"""
RUN = "runs/two"


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with object_store() as store:
        yield store


@pytest.fixture(scope="module")
def cluster(store: ObjectStore) -> Iterator[Cluster]:
    """What it and its workers start finds `store` in the environment."""
    with head_alone() as cluster:
        yield cluster


def write_films(folder: Path) -> Path:
    """Two folders of images: the left half is brighter in one."""
    rng = np.random.default_rng(0)
    for number in range(120):
        image = rng.integers(0, 150, (12, 12), dtype=np.uint8)
        image[:, :6] += 20 if number % 2 else 0
        kind = folder / ("left" if number % 2 else "none")
        kind.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(kind / f"{number:03d}.png")
    return folder


def begun(store: ObjectStore) -> dict[int, int]:
    """Epochs done by each trial that runs or has run."""
    files = [name for name in store.names() if name.startswith(f"{RUN}/trials/") and name.endswith("epochs.jsonl")]
    return {int(name.split("/")[-2]): len(store.read(name).splitlines()) for name in files}


@contextlib.contextmanager
def hidden(*paths: Path) -> Iterator[None]:
    """Take files away from every process, as if they lay on another machine's disk."""
    for path in paths:
        path.rename(path.with_name(f"{path.name}.elsewhere"))
    try:
        yield
    finally:
        for path in paths:
            path.with_name(f"{path.name}.elsewhere").rename(path)


@dataclass
class Searched:
    """What the search said, what it was doing when its node was killed, and how to go on."""

    printed: str
    at_the_kill: dict[int, int]  # epochs that the running trials had done
    films: Path
    cache: Path

    def follow(self, name: str, *arguments: object) -> str:
        """Run a later command of the study to its end, and return what it printed."""
        command = Command(f"s3://studies/{RUN}", *map(str, arguments), name=name, MEDRAY_CACHE=str(self.cache))
        code, printed, complaints = command.finish()
        assert code == 0, complaints
        return printed


@pytest.fixture(scope="module")
def searched(store: ObjectStore, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Searched:
    """A search that begins with one node, gets a second that sees none of its files, and loses it."""
    folder = tmp_path_factory.mktemp("study")
    films, cache, space = write_films(folder / "films"), folder / "cache", folder / "two.yaml"
    space.write_text(SPACE)
    searching = Command(
        str(space), "--data", f"folder:{films}", "--address", cluster.address, "--storage", f"{store.uri}/runs",
        MEDRAY_CACHE=str(cache),
    )  # fmt: skip
    at_the_kill: dict[int, int] = {}

    def both_work() -> bool:
        at_the_kill.clear()
        at_the_kill.update({number: done for number, done in begun(store).items() if done < EPOCHS})
        return len(at_the_kill) == 2

    try:
        searching.until(lambda: begun(store).get(0, 0) >= 1)
        with hidden(films, cache):
            second = cluster.add_node(num_cpus=1)
            searching.until(both_work)
            cluster.remove_node(second, allow_graceful=False)
            code, printed, complaints = searching.finish()
        assert code == 0, complaints
    finally:
        searching.process.kill()
        searching.process.communicate()
    return Searched(printed, at_the_kill, films, cache)


def test_no_token_is_shown_to_a_cluster_that_asks_for_none(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    monkeypatch.delenv("RAY_AUTH_MODE")
    with matching_auth_mode(cluster.address):
        assert os.environ["RAY_AUTH_MODE"] == "disabled"
    assert "RAY_AUTH_MODE" not in os.environ
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    refused = pytest.raises(
        OSError, match=r"the cluster there uses no tokens, but \$RAY_AUTH_MODE is token: unset it"
    )
    with refused, matching_auth_mode(cluster.address):
        pass


def test_every_trial_is_accounted_for_after_a_node_was_killed(searched: Searched, store: ObjectStore) -> None:
    assert len(searched.at_the_kill) == 2, "one on each node"
    assert begun(store) == dict.fromkeys(range(TRIALS), EPOCHS)
    for number in range(TRIALS):
        record = json.loads(store.read(f"{RUN}/trials/{number:04d}/trial.json"))
        assert (record["number"], record["state"], record["epochs"]) == (number, "finished", EPOCHS)


def test_no_epoch_that_was_done_is_done_again(searched: Searched, store: ObjectStore) -> None:
    for number in range(TRIALS):
        contents = store.history(f"{RUN}/trials/{number:04d}/epochs.jsonl")
        # Of an epoch that is trained again, the seconds would differ.
        assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(contents))


def test_only_what_can_still_be_needed_is_kept(searched: Searched, store: ObjectStore) -> None:
    names = {name for name in store.names() if name.startswith(f"{RUN}/trials/0000/")}
    names -= {f"{RUN}/trials/0000/"}  # a mark that Arrow leaves for the folder
    kept = {"config.json", "epochs.jsonl", "weights.safetensors", "val_predictions.npz", "trial.json"}
    assert names == {f"{RUN}/trials/0000/{name}" for name in kept}
    assert not [name for name in store.names() if "checkpoint" in name]


@pytest.mark.nightly
def test_the_rest_of_the_study_follows_by_its_uri(
    searched: Searched, cluster: Cluster, store: ObjectStore, tmp_path: Path
) -> None:
    cluster.add_node(num_cpus=1)
    searched.follow("crossval", "--top", 1, "--folds", 2, "--address", cluster.address)
    ended = [name for name in store.names() if "/fold_" in name and name.endswith("trial.json")]
    assert len(ended) == 2
    searched.follow("ensemble", "--sensitivity", 0.9, "--positive", "left")
    members = json.loads(store.read(f"{RUN}/ensemble/manifest.json"))["members"]
    assert {f"{RUN}/ensemble/{member['file']}" for member in members} <= set(store.names())
    evaluation: dict[str, Any] = json.loads(searched.follow("evaluate", "--json"))
    assert evaluation["run"] == f"s3://studies/{RUN}"
    table = searched.follow("analyze", "--json")
    assert json.loads(table)
    searched.follow("report")
    assert b"<html" in store.read(f"{RUN}/report/index.html")[:500]
    rows = searched.follow("predict", searched.films / "left/001.png", "--csv", tmp_path / "one.csv")
    assert "left" in rows + (tmp_path / "one.csv").read_text()

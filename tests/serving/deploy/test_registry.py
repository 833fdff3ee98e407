"""What replicas know of one another, and the copies that they load."""

import shutil
import threading
from pathlib import Path

import pytest

from medray.ensemble.manifest import ensemble_folder, version_of
from medray.errors import RunError, WeightsError
from medray.runs.folder import Folder
from medray.serving.deploy.registry import Instructions, ServiceRegistry, Target
from medray.serving.deploy.rollout import keep_copy
from medray.serving.engine.served_model import default_name
from medray.serving.telemetry.replica_metrics import Telemetry
from medray.serving.telemetry.totals import render

pytestmark = pytest.mark.component

FIRST, SECOND = Target("a", "1"), Target("b", "2")


def report(registry: ServiceRegistry, name: str, version: str) -> Instructions:
    return registry.report(name, version, 0, Telemetry().snapshot())


def test_a_replica_that_comes_later_serves_what_the_others_do() -> None:
    registry = ServiceRegistry()
    assert registry.join(FIRST) == FIRST
    registry.offer(SECOND)
    assert registry.join(FIRST) == SECOND  # restarted: deployed with the first, which has been exchanged
    assert report(registry, "x", "1").target == SECOND
    assert registry.state().previous == FIRST


def test_who_is_deployed_with_something_new_brings_it_to_all() -> None:
    registry = ServiceRegistry()
    registry.join(FIRST)
    assert registry.join(SECOND) == SECOND
    assert report(registry, "old", "1").target == SECOND


def test_a_version_that_could_not_be_loaded_may_be_offered_again() -> None:
    registry = ServiceRegistry()
    registry.join(FIRST)
    report(registry, "x", "1")
    registry.offer(SECOND)
    registry.failed("x", "2", "the disk")
    assert registry.state().replicas["x"].failures == {"2": "the disk"}
    registry.offer(SECOND)
    assert registry.state().replicas["x"].failures == {}
    assert registry.state().previous == FIRST


def test_the_end_is_told_to_all() -> None:
    registry = ServiceRegistry()
    assert report(registry, "x", "1").draining is False
    registry.drain()
    assert report(registry, "x", "1").draining is True


def test_what_a_replica_that_has_left_counted_stays_counted() -> None:
    registry, gone, here = ServiceRegistry(), Telemetry(), Telemetry()
    gone.batch(5)
    registry.report("gone", "1", 0, gone.snapshot())
    registry.leave("gone")
    assert "gone" not in registry.state().replicas
    assert b"medray_batch_images_sum 5.0" in render(registry.all_metrics("here", here.snapshot()))


def test_a_copy_is_checked_and_kept_once(served_run: Path, tmp_path: Path) -> None:
    folder = ensemble_folder(str(served_run))
    target = keep_copy(folder, tmp_path / "home")
    kept, version = target.location, target.version
    assert version == version_of(folder) == version_of(Folder(kept))
    made = Path(kept).stat().st_mtime_ns
    assert keep_copy(folder, tmp_path / "home") == Target(kept, version)
    assert Path(kept).stat().st_mtime_ns == made
    member = next((Path(kept) / "members").iterdir())
    assert member.stat().st_ino != next((served_run / "ensemble" / "members").iterdir()).stat().st_ino
    member.write_bytes(b"x")
    with pytest.raises(WeightsError, match="its SHA-256 differs"):
        keep_copy(folder, tmp_path / "home")


def test_a_damaged_ensemble_is_not_kept(served_run: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(served_run / "ensemble", tmp_path / "broken"))
    (broken / "ood.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"ood\.safetensors is missing"):
        keep_copy(Folder(str(broken)), tmp_path / "home")
    assert not list((tmp_path / "home" / "ensembles").iterdir())


def test_two_that_keep_at_once_agree(served_run: Path, tmp_path: Path) -> None:
    folder, targets = ensemble_folder(str(served_run)), []
    threads = [
        threading.Thread(target=lambda: targets.append(keep_copy(folder, tmp_path / "home"))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(targets)) == 1
    assert len(list((tmp_path / "home" / "ensembles").iterdir())) == 1


def test_a_home_that_can_not_be_written_is_named(served_run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="can't be written"):
        keep_copy(ensemble_folder(str(served_run)), tmp_path / "file")


@pytest.mark.parametrize(
    ("location", "name"),
    [("runs/organs", "organs"), ("runs/organs/ensemble", "organs"), ("runs/a b/", "a-b"), ("/", "medray"), ("x/äö", "medray"),
     ("s3://bucket/runs/skin", "skin")],
)  # fmt: skip
def test_a_name_fits_into_a_url(location: str, name: str) -> None:
    assert default_name(location) == name

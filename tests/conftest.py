"""Small data that tests make themselves, runs of it, and one Ray for all tests; no network, no GPU."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from _pytest.terminal import TerminalReporter
from hypothesis import settings

from medray.cluster.connect import RAY_ENVIRONMENT
from medray.data.dataset import ImageDataset
from medray.data.load_data import load_data
from tests.tiers import longest_files, mark_tiers

# Commands that tests start inherit what is ignored, as Ctrl-C is in all that a script starts with `&`.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.update(
    RAY_ENVIRONMENT
)  # some of it is read when Ray is imported, which a test may do before Ray starts

CLASSES = 3

settings.register_profile("medray", deadline=None)  # a machine may be busy
settings.load_profile("medray")


def write_npz(path: Path, *, size: int = 12, train: int = 48, other: int = 24, seed: int = 0) -> Path:
    """Write an easy set of MedMNIST's form: class c has a bright square in corner c."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for split, count in (("train", train), ("val", other), ("test", other)):
        labels = np.arange(count) % CLASSES
        images = rng.integers(0, 120, size=(count, size, size), dtype=np.uint8)
        half = size // 2
        for image, label in zip(images, labels, strict=True):
            y, x = divmod(int(label), 2)
            image[y * half : (y + 1) * half, x * half : (x + 1) * half] += 60
        arrays |= {f"{split}_images": images, f"{split}_labels": labels[:, None]}
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="session")
def npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_npz(tmp_path_factory.mktemp("data") / "corners.npz")


@pytest.fixture(scope="session")
def dataset(npz: Path) -> ImageDataset:
    return load_data(str(npz))


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mark_tiers(items)


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    terminalreporter.write_line(f"longest files: {longest_files(terminalreporter)}")


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A cache of these tests, which all their processes share."""
    own = tmp_path_factory.getbasetemp()
    os.environ["MEDRAY_CACHE"] = str((own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "cache")


@pytest.fixture(autouse=True, scope="session")
def weights_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Ray's workers look for published weights; no test asks the hub for them."""
    folder = tmp_path_factory.mktemp("weights")
    os.environ |= {"MEDRAY_WEIGHTS": str(folder), "HF_HUB_OFFLINE": "1"}
    return folder


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def ray_address() -> Iterator[str]:
    """Start Ray with two cores, and join it from this process."""
    import ray

    folder = tempfile.mkdtemp(prefix="mr", dir="/tmp")
    with (Path(tempfile.gettempdir()) / "medray-tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two Rays that start at once may take the same port
        ray.init(
            address="local", num_cpus=2, _temp_dir=folder, include_dashboard=False, log_to_driver=False,
            logging_level="ERROR", object_store_memory=200 * 2**20,
        )  # fmt: skip
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


class Command:
    """A `python -m medray.NAME` of its own, which can be watched and killed."""

    def __init__(self, *arguments: str, name: str = "search", **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"medray.{name}", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )

    def until(self, met: Callable[[], bool], seconds: float = 120) -> None:
        """Wait for a state on disk; a command that ends before it is reached fails the test."""
        end = time.monotonic() + seconds
        while not met():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < end, "not reached"
            time.sleep(0.02)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        self.process.send_signal(number)

    def finish(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=180)
        return self.process.returncode, out, err


@pytest.fixture
def command() -> Iterator[Callable[..., Command]]:
    started: list[Command] = []

    def start(*arguments: object, name: str = "search", **environment: str) -> Command:
        started.append(Command(*map(str, arguments), name=name, **environment))
        return started[-1]

    yield start
    for command in started:
        if command.process.poll() is None:
            command.process.kill()
        command.process.communicate()


def workers() -> list[psutil.Process]:
    """Processes in which trials are running, of the Ray that this process has started."""
    workers = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            title = " ".join(process.cmdline())
            if title.startswith("ray::") and "Agent" not in title and "IDLE" not in title:
                workers.append(process)
    return workers


FOUND = """
name: found
data: phantom
objective: {metric: auc}
budget: {trials: 4, max_epochs: 2, grace_epochs: 200, reduction_factor: 2, patience: null}
space:
  learning_rate: {log: [0.0005, 0.02]}
  backbone: {choice: [lenet5, resnet8_small]}
baselines:
  plain: {learning_rate: 0.001, backbone: lenet5}
"""


def make_run(folder: Path, data: Path, *, trials: int = 4, epochs: int = 2, fail: int | None = None) -> Path:
    """Leave what a finished search leaves, without Ray: trial 0 is the baseline, trial `fail` has failed."""
    from medray.cluster.trial_worker import Worker
    from medray.config import TrainConfig
    from medray.ensemble.looks_file import measure_run_looks
    from medray.ensemble.ood_file import fit_run_ood
    from medray.runs.run_facts import DataFacts, ResolvedOptions, RunFacts
    from medray.runs.rundir import RunDir
    from medray.runs.trial_record import FAILED, FINISHED

    dataset, run, worker = load_data(str(data)), RunDir(str(folder)), Worker(threads=1)
    for number in range(trials):
        backbone = "resnet8_small" if number % 2 else "lenet5"
        rate = 0.002 * (number + 1)
        config = TrainConfig(
            backbone=backbone, batch_size=16, epochs=epochs, learning_rate=rate, seed=number, monitor="auc"
        )
        trial = run.trial(number)
        trial.write_json(trial.CONFIG, config.to_dict())
        baseline = "plain" if number == 0 else None
        if number == fail:
            trial.write_record(trial.make_record(number, FAILED, baseline=baseline, reason="the loss became nan"))
            continue
        worker.open(trial, dataset.split("train"), dataset.split("val"), "auc")
        while not (result := worker.step()).done:
            pass
        assert result.ended_by == "epochs", result
        trial.write_record(trial.make_record(number, FINISHED, baseline=baseline, ended_by="epochs"))
    options = ResolvedOptions(str(data), trials, epochs, top_k=2, seed=0, concurrency=None, baselines_only=False)
    run.write(run.SPACE, FOUND.encode())
    run.write_json(run.DATA, DataFacts.of(dataset).to_dict())
    facts = RunFacts("0", "found", "auc", options, "2026-01-02T03:04:05+00:00", "3.11", {"torch": "2"})
    run.write_json(run.RUN, facts.to_dict())
    fit_run_ood(run, dataset)
    measure_run_looks(run, dataset)
    return folder


def make_long_run(folder: Path, *, epochs: int) -> tuple[Path, Path]:
    """A finished search of one trial whose settings take long enough on a fold to be killed in between; its data."""
    data = write_npz(folder / "corners.npz", train=96)
    run = make_run(folder / "found", data, trials=1, epochs=1)
    config = run / "trials/0000/config.json"
    values = {**json.loads(config.read_text()), "epochs": epochs, "batch_size": 4, "backbone": "resnet8_small"}
    config.write_text(json.dumps(values))
    return run, data


@pytest.fixture(scope="session")
def made_run(npz: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished search of four trials; copy it before you write to it."""
    return make_run(tmp_path_factory.mktemp("made") / "found", npz)


@pytest.fixture
def finished_run(made_run: Path, tmp_path: Path) -> Path:
    """A copy of a finished search."""
    return Path(shutil.copytree(made_run, tmp_path / "found"))


def fold_run(folder: Path, *, top: int = 2, count: int = 3) -> None:
    """Cross-validate the best settings of a finished search, without Ray."""
    from medray.cluster.trial_worker import Worker
    from medray.crossval.collect import collect, label_issues
    from medray.crossval.plan import CrossvalOptions, jobs_left, make_plan, plan_folds, write_plan
    from medray.runs.finished_search import open_finished_search
    from medray.runs.trial_record import FINISHED

    searched, worker = open_finished_search(str(folder)), Worker(threads=1)
    dataset = searched.load_data()
    plan = make_plan(CrossvalOptions(str(folder), top=top, folds=count), searched)
    folds = plan_folds(searched, dataset, plan)
    write_plan(searched, plan, folds)
    for job in jobs_left(searched, plan, folds):
        fold, home = folds.folds[job.fold], searched.run.fold(job.trial, job.fold)
        worker.open(home, dataset.at(fold.train), dataset.at(fold.val), "auc")
        while not (result := worker.step()).done:
            pass
        home.write_record(home.make_record(job.trial, FINISHED, ended_by=result.ended_by))
    settings, _ = collect(searched.run, dataset, folds, plan.trials)
    label_issues(searched.run, dataset, settings)


@pytest.fixture(scope="session")
def folded_run(made_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished search whose best two settings are cross-validated on three folds, without Ray; copy it first."""
    folder = Path(shutil.copytree(made_run, tmp_path_factory.mktemp("folded") / "found"))
    fold_run(folder)
    return folder

"""An ensemble's folder, and the service as an application on a real port; Ray only where a test asks for it."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from PIL import Image

from medray._types import Array
from medray.config import TrainConfig
from medray.data.load_data import load_data
from medray.decisions.conformal import calibrate
from medray.decisions.thresholds import Rule, set_point
from medray.ensemble.calibrate_ensemble import calibrate_selection
from medray.ensemble.candidates import TRIALS, Candidate, Member, Pool
from medray.ensemble.looks_file import measure_run_looks
from medray.ensemble.ood_file import fit_run_ood
from medray.ensemble.selection import make_selection
from medray.ensemble.write_ensemble import write_ensemble
from medray.runs.run_facts import DataFacts
from medray.runs.rundir import RunDir
from medray.runs.selection_facts import TOP_K
from medray.runs.trial_record import FINISHED, TrialRecord
from medray.serving.engine.served_model import ServedModel
from medray.serving.engine.service import Service
from medray.serving.engine.service_settings import ServiceSettings
from medray.serving.http.app import App

NAMES = ["left <&>", "middle, 2nd", "right"]


def png(image: Array, kind: str = "PNG") -> bytes:
    """A uint8 image (H, W) or (H, W, 1 or 3) as a file."""
    file = BytesIO()
    Image.fromarray(image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image).save(file, kind)
    return file.getvalue()


def pictures(count: int, seed: int = 0, size: int = 12) -> Array:
    """Different uint8 images (count, size, size, 1)."""
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 1), dtype=np.uint8)


def write_run(folder: Path, npz: Path, *, seed: int = 0, classes: list[str] | None = None) -> Path:
    """A run's folder with an ensemble of untrained networks, an operating point, sets and a detector."""
    import torch

    from medray.training.models import build_network
    from medray.training.weights import write_weights

    run, dataset, rng = RunDir(str(folder)), load_data(str(npz)), np.random.default_rng(seed)
    names = classes or NAMES
    candidates = []
    for number, backbone in enumerate(("resnet8_small", "lenet5_wide_bn")):
        config = TrainConfig(backbone=backbone)
        torch.manual_seed(10 * seed + number)
        network = build_network(config, (12, 12, 1), len(names))
        with torch.no_grad():
            list(network.parameters())[-1].add_(torch.randn(len(names)))  # so that two seeds answer differently
        trial = run.trial(number)
        trial.write_by(trial.WEIGHTS, partial(write_weights, tensors=network.state_dict(), facts={}))
        trial.write_json(trial.CONFIG, config.to_dict())
        record = TrialRecord(number, FINISHED, objective=0.5, best_epoch=1)
        probabilities = rng.dirichlet(np.ones(len(names)), 60).astype(np.float32)
        candidates.append(Candidate(number, (Member(record, trial),), probabilities, 0.5))
    labels = np.arange(60) % len(names)
    selection = make_selection(
        TOP_K, Pool(TRIALS, candidates, labels), [(candidate, 1.0) for candidate in candidates]
    )
    selection = calibrate_selection(selection, "val", selection.probabilities, labels, None).selection
    point = set_point(Rule("sensitivity", 0.9), selection.calibrated, labels, names, names[0], "val")
    fit_run_ood(run, dataset)
    measure_run_looks(run, dataset)
    write_ensemble(
        run, selection, data=replace(DataFacts.of(dataset), class_names=tuple(names)), metric="accuracy", points=[point],
        conformal=[calibrate(selection.calibrated, labels, 0.8, "lac")],
    )  # fmt: skip
    return folder


@pytest.fixture(scope="session")
def served_run(npz: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that can be served; copy it before you write to it."""
    return write_run(tmp_path_factory.mktemp("served") / "corners", npz)


@pytest.fixture(scope="session")
def model(served_run: Path) -> ServedModel:
    return ServedModel.load(str(served_run), "corners")


@dataclass
class Site:
    """A service that listens."""

    url: str
    service: Service
    client: httpx.Client

    def predict(self, content: bytes, **more: Any) -> httpx.Response:
        headers = {"content-type": "application/octet-stream"} | more.pop("headers", {})
        return self.client.post("/predict", content=content, headers=headers, **more)


@contextlib.contextmanager
def listening(model: ServedModel, **settings: Any) -> Iterator[Site]:
    """The application on a port of its own."""
    service = Service(ServiceSettings(**settings), model)
    config = uvicorn.Config(
        App(service), port=0, log_level="critical", access_log=False, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=url, timeout=30) as client:
            yield Site(url, service, client)
    finally:
        server.should_exit = True
        thread.join(10)
        service.close()


@pytest.fixture
def site(model: ServedModel) -> Iterator[Callable[..., Site]]:
    """Start a service with settings of its own."""
    with contextlib.ExitStack() as stack:
        yield lambda **settings: stack.enter_context(listening(model, **settings))


@pytest.fixture(scope="module")
def open_site(model: ServedModel) -> Iterator[Site]:
    """A service with the usual settings, for all tests of a file."""
    with listening(model) as started:
        yield started

"""What is served and sent: an ensemble of four small untrained networks, and images as hard as photographs."""

import json
import subprocess
import sys
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from medray.config import TrainConfig
from medray.data.dataset import ImageDataset
from medray.ensemble.candidates import TRIALS, Candidate, Member, Pool
from medray.ensemble.ensemble import Ensemble
from medray.ensemble.selection import make_selection
from medray.ensemble.write_ensemble import write_ensemble
from medray.export.write_onnx import onnx_bytes
from medray.runs.run_facts import DataFacts
from medray.runs.rundir import RunDir
from medray.runs.selection_facts import TOP_K
from medray.runs.trial_record import FINISHED, TrialRecord
from medray.training.models import build_network
from medray.training.weights import write_weights

from .common import CONFIG, MODEL

BACKBONES = ("lenet5", "lenet5", "resnet8_small", "resnet8_small")
SHAPE, CLASSES = (28, 28, 1), ("a", "b", "c", "d")
BATCHES = (1, 8, 16, 32, 64, 128)


def make_ensemble(folder: Path) -> Path:
    """Write an ensemble of untrained networks, and in its folder the ONNX file that `medray export` makes."""
    run, candidates = RunDir(str(folder)), []
    for number, backbone in enumerate(BACKBONES):
        config = TrainConfig(backbone=backbone)
        torch.manual_seed(number)  # the same in each run, so that medray's own ONNX files are converted once
        tensors = build_network(config, SHAPE, len(CLASSES)).state_dict()
        trial = run.trial(number)
        trial.write_by(trial.WEIGHTS, partial(write_weights, tensors=tensors, facts={}))
        trial.write_json(trial.CONFIG, config.to_dict())
        record = TrialRecord(number, FINISHED, objective=0.5, best_epoch=1)
        candidates.append(
            Candidate(number, (Member(record, trial),), np.full((8, 4), 0.25, dtype=np.float32), 0.5)
        )
    pool = Pool(TRIALS, candidates, np.arange(8) % 4)
    selection = make_selection(TOP_K, pool, [(candidate, 1.0) for candidate in candidates])
    images, labels = np.zeros((4, *SHAPE), dtype=np.uint8), np.arange(4)
    data = DataFacts.of(ImageDataset(images, labels, CLASSES, {}, "benchmark"))
    write_ensemble(run, selection, data=data, metric="accuracy")
    ensemble = folder / "ensemble"
    (ensemble / MODEL).write_bytes(onnx_bytes(Ensemble.load(str(ensemble))))
    (ensemble / CONFIG).write_text(json.dumps({"id2label": dict(enumerate(CLASSES))}))
    return ensemble


def write_images(folder: Path, size: int, count: int = 64) -> Path:
    """Write PNGs of blurred noise: as hard to decode as a photograph."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        small = rng.integers(0, 256, (size // 4, size // 4), dtype=np.uint8)
        picture = Image.fromarray(small).resize((size, size), Image.Resampling.BICUBIC)
        file = BytesIO()
        picture.save(file, "PNG")
        (folder / f"{number}.png").write_bytes(file.getvalue())
    return folder


def raw(ensemble_folder: Path, seconds: float) -> dict[int, float]:
    """Return the images a second of `Ensemble.predict` at each batch size, on one thread."""
    code = f"""
import json, time, numpy as np, torch
torch.set_num_threads(1)
from medray import Ensemble
ensemble = Ensemble.load({str(ensemble_folder)!r})
found = {{}}
for batch in {BATCHES}:
    images = np.random.default_rng(0).integers(0, 256, (batch, *{SHAPE}), dtype=np.uint8)
    ensemble.predict(images)
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < {seconds / 3}:
        ensemble.predict(images); done += batch
    found[batch] = done / (time.perf_counter() - began)
print(json.dumps(found))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {int(batch): rate for batch, rate in json.loads(done.stdout).items()}

"""A run with an ensemble of untrained networks that says several labels an image, to be served and asked."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from medray._types import Array
from medray.config import TrainConfig
from medray.data.load_data import load_data
from medray.decisions.thresholds import Rule
from medray.ensemble.calibrate_ensemble import calibrate_selection
from medray.ensemble.candidates import TRIALS, Candidate, Member, Pool
from medray.ensemble.looks_file import measure_run_looks
from medray.ensemble.ood_file import fit_run_ood
from medray.ensemble.selection import make_selection
from medray.ensemble.set_decisions import calibrate_sets, set_points
from medray.ensemble.write_ensemble import write_ensemble
from medray.runs.run_facts import DataFacts
from medray.runs.rundir import RunDir
from medray.runs.selection_facts import TOP_K
from medray.runs.trial_record import FINISHED, TrialRecord
from medray.tasks import SEVERAL

LABELS = ("effusion", "mass, old", "<i>nodule</i>", "hernia")
UNSEEN = "hernia"  # no image has it, so no threshold is set for it
RULES = (Rule("sensitivity", 0.8), Rule("youden"))
COVERAGES = (0.7, 0.9)


def shaded(count: int, seed: int = 0) -> Array:
    """Return uint8 images (count, 12, 12, 1) from dark to bright, of which the networks say different labels."""
    noise = np.random.default_rng(seed).integers(0, 256, (count, 12, 12, 1))
    return (noise * np.linspace(0.05, 1, count)[:, None, None, None]).astype(np.uint8)


def write_label_run(folder: Path, npz: Path) -> Path:
    """Write the run of 12 × 12 grey images like those of `npz`."""
    import torch

    from medray.training.models import build_network
    from medray.training.weights import write_weights

    run, dataset, rng = RunDir(str(folder)), load_data(str(npz)), np.random.default_rng(4)
    labels = (rng.random((80, len(LABELS))) < 0.4).astype(np.int64)
    labels[:, LABELS.index(UNSEEN)] = 0
    candidates = []
    for number, backbone in enumerate(("resnet8_small", "lenet5_wide_bn")):
        config = TrainConfig(backbone=backbone, task=SEVERAL.name)
        torch.manual_seed(number)
        network = build_network(config, dataset.shape, len(LABELS))
        with torch.no_grad():
            list(network.parameters())[-2].mul_(12)  # so that images differ
        trial = run.trial(number)
        trial.write_by(trial.WEIGHTS, partial(write_weights, tensors=network.state_dict(), facts={}))
        trial.write_json(trial.CONFIG, config.to_dict())
        scores = rng.normal(size=labels.shape) + 1.5 * labels - 0.7
        record = TrialRecord(number, FINISHED, objective=0.5, best_epoch=1)
        probabilities = (1 / (1 + np.exp(-scores))).astype(np.float32)
        candidates.append(Candidate(number, (Member(record, trial),), probabilities, 0.5))
    pool = Pool(TRIALS, candidates, labels, SEVERAL)
    selection = make_selection(TOP_K, pool, [(candidate, 1.0) for candidate in candidates])
    answers = calibrate_selection(selection, "val", selection.probabilities, labels, None)
    points, _ = set_points(RULES, None, answers, LABELS)
    fit_run_ood(run, dataset)
    measure_run_looks(run, dataset)
    write_ensemble(
        run, answers.selection, data=replace(DataFacts.of(dataset), class_names=LABELS, splits={}), metric="auc",
        points=points, conformal=calibrate_sets(COVERAGES, answers, LABELS),
    )  # fmt: skip
    return folder

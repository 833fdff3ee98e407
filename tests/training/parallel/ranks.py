"""Trainings by several processes of torch.multiprocessing, by gloo; each case leaves a file of what rank 0 had."""

import dataclasses
from pathlib import Path

import numpy as np
import torch

from medray.config import TrainConfig
from medray.data.dataset import ImageDataset
from medray.training.loop import EpochResult, fit
from medray.training.parallel.group import ALONE, Group

Case = tuple[TrainConfig, ImageDataset]


def train(case: Case, group: Group = ALONE) -> list[EpochResult]:
    config, dataset = case
    results = []
    for result in fit(config, dataset.split("train"), dataset.split("val"), group=group):
        kept = {name: tensor.clone() for name, tensor in result.best_network.items()}
        results.append(dataclasses.replace(result, best_network=kept, _training=None))  # type: ignore[arg-type]
    return results


def run(rank: int, size: int, folder: str, cases: dict[str, Case]) -> None:
    """Be one of the processes; what torch.multiprocessing starts."""
    torch.set_num_threads(1)
    group = Group.join(rank, size, Path(folder) / "meeting", torch.device("cpu"))
    for name, case in cases.items():
        results = train(case, group)
        last = results[-1]
        tables = {"losses": [r.train_loss for r in results], "probabilities": last.best_outputs.probabilities}
        tables |= {"epochs": [r.epoch for r in results], "ended": [str(last.ended_by)]}
        np.savez(Path(folder) / f"{name}-{rank}.npz", **tables)  # type: ignore[arg-type]

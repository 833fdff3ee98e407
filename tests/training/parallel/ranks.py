"""Trainings by several processes of torch.multiprocessing, over gloo; each leaves a file for each case."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.multiprocessing

from medray._types import Array
from medray.config import TrainConfig
from medray.data.dataset import LabelledImages
from medray.training.loop import fit
from medray.training.parallel.group import ALONE, Group

Case = tuple[TrainConfig, LabelledImages, LabelledImages]
Figures = Mapping[str, Array]


def train(case: Case, group: Group = ALONE) -> Figures:
    """The losses of all epochs, and what the best one gives of the validation images."""
    results = list(fit(*case, group=group))
    outputs, ended = results[-1].best_outputs, results[-1].ended_by
    scores = np.zeros(0) if outputs.scores is None else outputs.scores
    losses = np.array([result.train_loss for result in results])
    return {"losses": losses, "probabilities": outputs.probabilities, "scores": scores, "ended": np.array(ended)}


def run(rank: int, size: int, folder: Path, cases: Mapping[str, Case]) -> None:
    """Be one of the processes."""
    torch.set_num_threads(1)
    group = Group.join(rank, size, folder / "meeting", torch.device("cpu"))
    for name, case in cases.items():
        np.savez(folder / f"{name}-{rank}.npz", **train(case, group))


def train_together(size: int, folder: Path, cases: Mapping[str, Case]) -> dict[str, list[Figures]]:
    """The figures of each case, as each of `size` processes has them."""
    torch.multiprocessing.start_processes(run, (size, folder, cases), nprocs=size, start_method="spawn")
    return {name: [dict(np.load(folder / f"{name}-{rank}.npz")) for rank in range(size)] for name in cases}

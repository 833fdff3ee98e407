"""Weights and checkpoints: safetensors files with JSON in their metadata; no pickle, so loading runs no code."""

import dataclasses
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save, save_file
from torch import Tensor

from medray._types import Shape
from medray.config import TrainConfig
from medray.errors import WeightsError, one_line
from medray.files import facts_in_weights
from medray.stats.outputs import Outputs
from medray.training.models import Network, build_network
from medray.training.models.attention import MARK
from medray.training.state import TrainProgress, TrainState


def write_weights(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write a safetensors file; `facts` are plain values that go into its metadata as JSON."""
    save_file(_plain(tensors), path, metadata={"medray": json.dumps(facts)})


def weights_to_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Return the content of a safetensors file without facts: equal tensors give equal bytes."""
    return bytes(save(_plain(tensors), metadata={"medray": "{}"}))


def weights_from_bytes(content: bytes, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the facts of a file's content; `name` is the file's name in errors.

    Raises:
        WeightsError: it is no safetensors file of medray.
    """
    facts = facts_in_weights(content, name)
    try:
        return load(content), facts
    except (SafetensorError, ValueError) as error:
        raise WeightsError(f"{name} holds no weights of medray: {one_line(error)}") from None


def load_network(
    config: TrainConfig, shape: Shape, classes: int, tensors: Mapping[str, Tensor], name: str
) -> Network:
    """Build a network with trained tensors; nothing is downloaded, no starting weights are read.

    Raises:
        WeightsError: the tensors are those of another network.
    """
    bare = dataclasses.replace(config, pretrained=False, weights=None)
    network = build_network(bare, shape, classes)
    if any(tensor.endswith(MARK) for tensor in tensors):
        network.attend()
    try:
        network.load_state_dict(dict(tensors))
    except RuntimeError as error:
        raise WeightsError(f"{name} is of another network than {config.backbone}: {one_line(error)}") from None
    return network.eval()


def write_state(
    path: Path, state: TrainState, facts: Mapping[str, Any], without: Collection[str] = frozenset()
) -> None:
    """Write a training's state; `facts` are plain values that go into the file's metadata.

    The network's tensors `without` are left out: they are stored elsewhere.
    """
    network = {n: t for n, t in state.network.items() if n not in without}
    tensors = {f"network.{n}": t for n, t in network.items()}
    if state.progress.best_epoch != state.progress.epoch:  # else both are the same
        best = {n: t for n, t in state.best_network.items() if n in network and t is not network[n]}
        tensors |= {f"best.{n}": t for n, t in best.items()}
    outputs = {"best_probabilities": state.best_outputs.probabilities, "best_scores": state.best_outputs.scores}
    tensors |= {n: torch.from_numpy(np.ascontiguousarray(a)) for n, a in outputs.items() if a is not None}
    scalars: dict[str, dict[str, Any]] = {}
    for index, values in state.optimizer["state"].items():
        for key, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{key}"] = value
            else:
                scalars.setdefault(str(index), {})[key] = value
    plain = {
        "progress": dataclasses.asdict(state.progress),
        "groups": state.optimizer["param_groups"],
        "scalars": scalars,
        "schedule": state.schedule,
    }
    write_weights(path, tensors, {**facts, "state": plain})


def state_from_bytes(content: bytes, name: str) -> tuple[TrainState, dict[str, Any]]:
    """Return the state and the facts of a checkpoint's content; `name` is the file's name in errors.

    Raises:
        WeightsError: it is no checkpoint of medray.
    """
    tensors, facts = weights_from_bytes(content, name)
    try:
        plain = facts.pop("state")
        network = _with_prefix("network.", tensors)
        state: dict[int, dict[str, Any]] = {int(i): dict(v) for i, v in plain["scalars"].items()}
        for key, tensor in _with_prefix("optimizer.", tensors).items():
            index, _, variable = key.partition(".")
            state.setdefault(int(index), {})[variable] = tensor
        return TrainState(
            progress=TrainProgress(**plain["progress"]),
            network=network,
            best_network=network | _with_prefix("best.", tensors),
            best_outputs=Outputs(
                tensors["best_probabilities"].numpy(),
                tensors["best_scores"].numpy() if "best_scores" in tensors else None,
            ),
            optimizer={"state": state, "param_groups": plain["groups"]},
            schedule=plain["schedule"],
        ), facts
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{name} is no checkpoint of medray: {one_line(error)}") from None


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with `prefix`, by the rest of their names."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}

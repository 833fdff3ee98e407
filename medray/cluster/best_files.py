"""The files of a training's best epoch, and what a checkpoint says of it: so they can be written once more.

A kill while an epoch is being written may leave them one epoch ahead of the records.
"""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from medray._types import Array
from medray.runs.folder import read_arrays
from medray.runs.rundir import TrialDir
from medray.runs.trial_record import EpochRecord
from medray.runs.trunks import TRUNK, read_trunk
from medray.stats.outputs import Outputs
from medray.training.state import TrainState
from medray.training.weights import state_from_bytes, weights_from_bytes, write_weights


@dataclass(frozen=True)
class Checkpoint:
    """A training as its checkpoint has it: its state, the records of its epochs, and the hash of its trunk's file.

    The tensors `shared` are that file's.
    """

    state: TrainState
    records: list[EpochRecord]
    trunk: str | None
    shared: frozenset[str]


def read_checkpoint(folder: TrialDir) -> Checkpoint:
    """Return what a training's folder keeps to go on.

    Raises:
        RunError: the trunk's file is missing.
        WeightsError: a file is damaged.
    """
    path = folder.path(TrialDir.CHECKPOINT)
    state, facts = state_from_bytes(folder.read(TrialDir.CHECKPOINT), path)
    records = [EpochRecord.from_dict(epoch, path) for epoch in facts["epochs"]]
    trunk, tensors = facts.get(TRUNK), dict[str, Tensor]()
    if trunk is not None:
        tensors, _ = weights_from_bytes(read_trunk(folder.trunks, trunk, path), path)
        state.network.update(tensors)
        state.best_network.update(tensors)
    return Checkpoint(state, records, trunk, frozenset(tensors))


def write_best(
    folder: TrialDir, network: dict[str, Tensor], outputs: Outputs, record: EpochRecord, labels: Array,
    cases: Array | None, settings: dict[str, Any], trunk: str | None, shared: frozenset[str],
) -> None:  # fmt: skip
    """Write the outputs and the weights of a training's best epoch, which its last `record` names.

    `labels` and the numbers of `cases` are those of the images that it was measured on.
    """
    stream = io.BytesIO()
    arrays = {"probabilities": outputs.probabilities, "labels": labels, "epoch": np.array(record.best_epoch)}
    arrays |= {} if cases is None else {"cases": cases}
    arrays |= {} if outputs.scores is None else {"attention": outputs.scores}
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    folder.write(TrialDir.PREDICTIONS, stream.getvalue())
    facts = {"epoch": record.best_epoch, "config": settings, "val_metrics": record.best, TRUNK: trunk}
    own = {name: tensor for name, tensor in network.items() if name not in shared}
    folder.write_by(TrialDir.WEIGHTS, lambda path: write_weights(path, own, facts))


def settle(folder: TrialDir) -> None:
    """Bring the files of a training that does not go on to the state of its checkpoint, if there is one.

    Raises:
        RunError: a file is missing or damaged.
        WeightsError: a file of weights is damaged.
    """
    if not (folder.exists(TrialDir.CHECKPOINT) and folder.exists(TrialDir.PREDICTIONS)):
        return
    found, settings = read_checkpoint(folder), folder.read_json(TrialDir.CONFIG)
    (labels,) = read_arrays(folder, TrialDir.PREDICTIONS, "labels")  # the same in all epochs
    with np.load(io.BytesIO(folder.read(TrialDir.PREDICTIONS)), allow_pickle=False) as file:
        cases = file.get("cases", None)
    write_best(
        folder, found.state.best_network, found.state.best_outputs, found.records[-1], labels, cases, settings,
        found.trunk, found.shared,
    )  # fmt: skip
    folder.write_epochs(found.records)

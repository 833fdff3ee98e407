"""The documents of a trial or a fold: a line of epochs.jsonl for each epoch, and trial.json, which ends it."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from medray.config import LBFGS
from medray.errors import unknown_choice_line
from medray.json_document import JsonDocument

FINISHED, STOPPED, FAILED = STATES = ("finished", "stopped", "failed")
TIME, FLAT = "time", "flat"  # what ends a search before all its trials have ended
#: The settings that decide which features of an image a linear head sees.
FEATURES = ("backbone", "pretrained", "weights", "image_size", "pooling", "transforms", "views")


@dataclass(frozen=True)
class EpochRecord(JsonDocument):
    """A line of epochs.jsonl: `metrics` are the validation metrics of the epoch, `best` of the best so far."""

    epoch: int
    objective: float
    train_loss: float
    learning_rate: float
    seconds: float
    metrics: dict[str, float]
    best_epoch: int
    best: dict[str, float]
    parameters: int
    ended_by: str | None


@dataclass(frozen=True)
class TrialRecord(JsonDocument):
    """trial.json: how a trial ended.

    `state` is finished (its last epoch, or its patience, was reached), stopped (by ASHA, or as the time of the
    search was over) or failed; a trial without a trial.json is running. `objective` is the search's metric at
    `best_epoch`, whose weights are kept; `metrics` are all validation metrics at that epoch. `seconds` counts its
    epochs' own time.
    `worker_died`: it failed because its worker process died again and again, not by itself.
    """

    number: int
    state: str
    baseline: str | None = None
    reason: str | None = None
    objective: float | None = None
    best_epoch: int = 0
    epochs: int = 0
    seconds: float = 0.0
    ended_by: str | None = None
    metrics: dict[str, float] = dataclasses.field(default_factory=dict)
    parameters: int = 0
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    traceback: str | None = None
    worker_died: bool = False

    @property
    def features(self) -> tuple[Any, ...] | None:
        """What the linear head of a frozen network sees, None for another network.

        Heads on the same features differ in strength, balance of classes and loss alone.
        """
        if self.settings.get("optimizer") != LBFGS:
            return None
        return tuple(self.settings.get(name) for name in FEATURES)

    def check(self) -> None:
        """Check that the state is one in which a trial ends."""
        if self.state not in STATES:
            raise ValueError(unknown_choice_line("state", self.state, STATES))

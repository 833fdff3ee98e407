"""What a worker process does: fit(), and the trial's files after every epoch.

Files reach the run's folder before the epoch is reported, so whatever the driver knows of is on disk:

    val_predictions.npz, weights.safetensors    when the epoch is the best so far
    epochs.jsonl                                one record an epoch
    checkpoint.safetensors                      all that is needed to go on; gone when the trial has ended
"""

import io
import traceback
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from ray import tune

from medray.config import TrainConfig
from medray.data.dataset import ImageDataset
from medray.errors import MedrayError
from medray.runs import RunDir, TrialDir
from medray.training.loop import EpochResult, TrainState, fit
from medray.training.models import one_line
from medray.training.weights import state_from_bytes, state_to_bytes, weights_from_bytes, weights_to_bytes


class TrialRunner(tune.Trainable):
    """Runs one trial after another in the same process; a step is an epoch."""

    def setup(self, config: dict[str, Any], dataset: ImageDataset, run: RunDir, threads: int) -> None:
        """Prepare the process, then the first trial."""
        torch.set_num_threads(threads)
        self.train_split, self.val_split, self.run_dir = dataset.split("train"), dataset.split("val"), run
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self._open(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take up the next trial in this process: Tune calls it where `reuse_actors` is on."""
        self._open(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train one epoch; a failure ends this trial and says why, but not the process."""
        try:
            if self.repeat is not None:
                record, self.repeat = self.repeat, None
            else:
                if self.epochs_ahead is None:
                    self.epochs_ahead = self._start()
                record = self._keep(next(self.epochs_ahead))
        except Exception as error:
            self.epochs_ahead = None
            return self._failed(error)
        return {**record, "done": record["ended_by"] is not None}

    def cleanup(self) -> None:
        """Let go of the network."""
        self.epochs_ahead = None

    # -- within

    def _open(self, config: dict[str, Any]) -> None:
        self.metric = config["metric"]
        self.settings: dict[str, Any] = config["config"]
        self.trial_dir: TrialDir = self.run_dir.trial(config["trial"])
        self.epochs_ahead: Iterator[EpochResult] | None = None
        self.resume: TrainState | None = None
        self.records: list[dict[str, Any]] = []
        self.repeat: dict[str, Any] | None = None
        if self.trial_dir.exists(TrialDir.CHECKPOINT):
            self._restore()

    def _restore(self) -> None:
        """Go on from the checkpoint; its last epoch is reported again, as the driver may not have heard of it."""
        name = self.trial_dir.path(TrialDir.CHECKPOINT)
        state, facts = state_from_bytes(self.trial_dir.read(TrialDir.CHECKPOINT), name)
        weights, kept = weights_from_bytes(
            self.trial_dir.read(TrialDir.WEIGHTS), self.trial_dir.path(TrialDir.WEIGHTS)
        )
        if kept["epoch"] == state.progress.best_epoch:
            # A kill between two files may have left predictions of a later epoch beside these weights.
            self._write_predictions(state.best_probabilities, state.progress.best_epoch)
        self.resume, self.records, self.repeat = state, facts["epochs"], facts["epochs"][-1]
        self.trial_dir.write_epochs(self.records)

    def _start(self) -> Iterator[EpochResult]:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        config = TrainConfig.from_dict(self.settings)
        return fit(config, self.train_split, self.val_split, device=self.device, resume=self.resume)

    def _keep(self, result: EpochResult) -> dict[str, Any]:
        """Write the epoch's files and return its record."""
        record = {
            "epoch": result.epoch,
            "objective": result.best[self.metric],
            "train_loss": result.train_loss,
            "learning_rate": result.learning_rate,
            "seconds": result.seconds,
            "metrics": result.metrics,
            "best_epoch": result.best_epoch,
            "best": result.best,
            "parameters": result.parameters,
            "ended_by": result.ended_by,
        }
        self.records.append(record)
        if result.is_best:
            self._write_predictions(result.best_probabilities, result.epoch)
            facts = {"epoch": result.epoch, "config": self.settings, "val_metrics": result.best}
            self.trial_dir.write(TrialDir.WEIGHTS, weights_to_bytes(result.best_network, facts))
        self.trial_dir.write_epochs(self.records)
        self.trial_dir.write(TrialDir.CHECKPOINT, state_to_bytes(result.state(), {"epochs": self.records}))
        return record

    def _write_predictions(self, probabilities: Any, epoch: int) -> None:
        stream = io.BytesIO()
        np.savez(stream, probabilities=probabilities, labels=self.val_split.own_labels, epoch=epoch)
        self.trial_dir.write(TrialDir.PREDICTIONS, stream.getvalue())

    def _failed(self, error: Exception) -> dict[str, Any]:
        expected = isinstance(error, MedrayError)
        return {
            "epoch": len(self.records) + 1,
            "objective": None,
            "ended_by": "failed",
            "reason": one_line(error) if expected else f"{type(error).__name__}: {one_line(error)}",
            "traceback": None if expected else "".join(traceback.format_exception(error))[-4000:],
            "done": True,
        }

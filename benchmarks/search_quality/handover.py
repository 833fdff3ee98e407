"""What a contestant's process leaves in its folder: each epoch, the time of its handing over, and its test scores.

epochs.jsonl       {"time", "trial", "auc"} for each epoch: seconds since 1970, validation AUC
handed_over.json   {"time", "trials"} when the model that is handed over is complete
test.json          {"auc", "accuracy", "labels", "scores"} of it on test, measured after that
"""

import json
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EPOCHS, HANDED_OVER, TEST = "epochs.jsonl", "handed_over.json", "test.json"


@dataclass(frozen=True)
class Task:
    """What a contestant is given: arrays, a folder of its own, and the wall time from `start` on."""

    data: Path
    folder: Path
    start: float
    seconds: float
    seed: int
    threads: int
    turns: bool = False
    weights: Path | None = None

    @property
    def deadline(self) -> float:
        """When the time is over, in seconds since 1970."""
        return self.start + self.seconds

    @property
    def left(self) -> float:
        """The seconds that are left, 1 at least."""
        return max(1.0, self.deadline - time.time())

    def draws(self, of: object = "") -> int:
        """Return a seed of its own for each set, seed and `of`: one unlucky draw shall not recur on all sets."""
        return zlib.crc32(f"{self.data.stem} {self.seed} {of}".encode())

    def write(self) -> Path:
        """Write the task into its folder, for `read`."""
        path = self.folder / "task.json"
        path.write_text(json.dumps({key: _plain(value) for key, value in vars(self).items()}))
        return path

    @classmethod
    def read(cls, path: str) -> "Task":
        """Return the task of a file."""
        values = json.loads(Path(path).read_text())
        for key in ("data", "folder", "weights"):
            values[key] = None if values[key] is None else Path(values[key])
        return cls(**values)

    def epoch(self, trial: int | str, auc: float) -> None:
        """Write down the validation AUC of an epoch that has just ended; processes may do so side by side."""
        with (self.folder / EPOCHS).open("a") as file:
            file.write(json.dumps({"time": time.time(), "trial": trial, "auc": auc}) + "\n")

    def hand_over(self, trials: int) -> None:
        """Write down that the model is complete now."""
        (self.folder / HANDED_OVER).write_text(json.dumps({"time": time.time(), "trials": trials}))

    def test(self, auc: float, accuracy: float, scores: Any, labels: Any) -> None:
        """Write down AUC and accuracy on test, scores (n, classes) of four digits, and labels (n,)."""
        rows = [[float(f"{score:.4g}") for score in row] for row in scores]
        document = {"auc": auc, "accuracy": accuracy, "labels": [int(label) for label in labels], "scores": rows}
        (self.folder / TEST).write_text(json.dumps(document))


def read_epochs(folder: Path) -> list[dict[str, Any]]:
    """Return the epochs that a contestant has written down; a line that a kill has cut is left out."""
    path = folder / EPOCHS
    lines = path.read_text().splitlines(keepends=True) if path.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("}\n")]


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value

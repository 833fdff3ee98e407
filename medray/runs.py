"""RunDir: every path of a run, in a folder or at a URI, in one class; writes are atomic.

    runs/organs/
      run.json space.yaml data.json splits.json     written once, by the driver
      study.journal                                 the Optuna study (optuna-dashboard opens it)
      tune/                                         Ray's own
      trials/0007/  config.json epochs.jsonl weights.safetensors val_predictions.npz trial.json
      leaderboard.csv
      ensemble/     manifest.json members/*.safetensors

`trial.json` is written last: where it is missing the trial has not ended, and `checkpoint.safetensors`
holds what it needs to go on. Reads and writes go through the file systems that Ray's storage knows
(pyarrow.fs), so a run may live on s3:// as well as in a folder.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import url2pathname

from medray.errors import RunError

if TYPE_CHECKING:
    from pyarrow import fs

FINISHED, STOPPED, FAILED = "finished", "stopped", "failed"


@dataclass(frozen=True)
class Folder:
    """A folder on any file system; pickles as its location."""

    location: str

    @cached_property
    def _opened(self) -> "tuple[fs.FileSystem, str]":
        from pyarrow import fs

        if self.local is not None:
            return fs.LocalFileSystem(), str(self.local.absolute())
        system, path = fs.FileSystem.from_uri(self.location)
        return system, str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.location,)

    @property
    def local(self) -> Path | None:
        """The folder as a path, or None where it is not on this machine's disks."""
        if self.location.startswith("file://"):
            return Path(url2pathname(self.location.removeprefix("file://")))
        return None if "://" in self.location else Path(self.location)

    def child(self, *names: str) -> "Folder":
        """The folder of that name inside this one (before a URI's `?options`)."""
        base, options = self._parts()
        return Folder("/".join([base.rstrip("/"), *names]) + options)

    def path(self, name: str) -> str:
        """The path of a file in here, as people read it."""
        return f"{self._parts()[0].rstrip('/')}/{name}"

    def _parts(self) -> tuple[str, str]:
        """The location, and a URI's `?options`; a folder's name may hold a question mark."""
        base, mark, options = self.location.partition("?") if self.local is None else (self.location, "", "")
        return base, mark + options

    def read(self, name: str) -> bytes:
        """Return a file's bytes; FileNotFoundError where there is none."""
        system, root = self._opened
        with system.open_input_file(f"{root}/{name}") as stream:
            return bytes(stream.read())

    def write(self, name: str, content: bytes) -> None:
        """Write a file so that a reader finds the old one whole or the new one whole."""
        system, root = self._opened
        target = f"{root}/{name}"
        if self.local is None:  # an object store shows nothing before the stream is closed
            with system.open_output_stream(target) as stream:
                stream.write(content)
            return
        system.create_dir(target.rpartition("/")[0], recursive=True)
        unfinished = f"{target}.partial-{os.getpid()}"  # a worker that outlives its driver has its own
        with system.open_output_stream(unfinished) as stream:
            stream.write(content)
        system.move(unfinished, target)

    def write_by(self, name: str, writer: Callable[[Path], None]) -> None:
        """Write a file as `write` does, by a writer that takes a path: large ones need no copy in memory."""
        if self.local is None:
            with tempfile.TemporaryDirectory() as folder:
                writer(Path(folder) / "whole")
                self.write(name, (Path(folder) / "whole").read_bytes())
            return
        target = self.local / name
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f"{target.name}.partial-{os.getpid()}")
        writer(unfinished)
        unfinished.replace(target)

    def exists(self, name: str) -> bool:
        """Whether there is a file or folder of that name."""
        from pyarrow import fs

        system, root = self._opened
        return bool(system.get_file_info(f"{root}/{name}").type != fs.FileType.NotFound)

    def names(self) -> list[str]:
        """Names of what is in here, sorted; none where the folder does not exist."""
        from pyarrow import fs

        system, root = self._opened
        infos = system.get_file_info(fs.FileSelector(root, allow_not_found=True))
        return sorted(info.base_name for info in infos)

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""
        system, root = self._opened
        if self.exists(name):
            system.delete_file(f"{root}/{name}")

    def delete_all(self) -> None:
        """Delete the folder and all in it, if it is there."""
        from pyarrow import fs

        system, root = self._opened
        if system.get_file_info(root).type == fs.FileType.Directory:
            system.delete_dir(root)

    def read_json(self, name: str) -> Any:
        """Return a JSON file's content.

        Raises:
            RunError: the file is missing or damaged.
        """
        try:
            return json.loads(self.read(name))
        except FileNotFoundError:
            raise RunError(f"{self.path(name)} is missing") from None
        except ValueError as error:
            raise RunError(f"{self.path(name)} is damaged: {error}") from None

    def write_json(self, name: str, content: Any) -> None:
        """Write plain values as JSON that a person can read."""
        self.write(name, json.dumps(content, indent=1, allow_nan=False).encode() + b"\n")


@dataclass(frozen=True)
class TrialRecord:
    """How a trial ended: the content of its trial.json.

    `state` is finished (its last epoch, or its patience, was reached), stopped (by ASHA) or failed; a trial
    without a trial.json is running. `objective` is the search's metric at `best_epoch`, whose weights are
    kept; `metrics` are all validation metrics at that epoch. `seconds` counts its epochs' own time.
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
    metrics: dict[str, float] = field(default_factory=dict)
    parameters: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    traceback: str | None = None


class TrialDir(Folder):
    """The folder of one trial (or of one fold)."""

    CONFIG, EPOCHS, CHECKPOINT = "config.json", "epochs.jsonl", "checkpoint.safetensors"
    WEIGHTS, PREDICTIONS, RECORD = "weights.safetensors", "val_predictions.npz", "trial.json"

    def epochs(self) -> list[dict[str, Any]]:
        """The epochs so far, one record each; none if it has not finished one."""
        try:
            return [json.loads(line) for line in self.read(self.EPOCHS).splitlines() if line.strip()]
        except FileNotFoundError:
            return []
        except ValueError as error:
            raise RunError(f"{self.path(self.EPOCHS)} is damaged: {error}") from None

    def write_epochs(self, epochs: list[dict[str, Any]]) -> None:
        """Write the records of all epochs so far."""
        self.write(self.EPOCHS, "".join(json.dumps(epoch, allow_nan=False) + "\n" for epoch in epochs).encode())

    def record(self) -> TrialRecord | None:
        """How the trial ended, or None while it runs."""
        if not self.exists(self.RECORD):
            return None
        try:
            return TrialRecord(**self.read_json(self.RECORD))
        except TypeError as error:
            raise RunError(f"{self.path(self.RECORD)} is damaged: {error}") from None

    def write_record(self, record: TrialRecord) -> None:
        """End the trial: write its record, then drop what only a running one needs."""
        self.write_json(self.RECORD, dataclasses.asdict(record))
        for name in self.names():
            if name == self.CHECKPOINT or ".partial-" in name:  # a killed worker's unfinished file
                self.delete(name)


class RunDir(Folder):
    """The folder of one run."""

    RUN, SPACE, DATA, SPLITS = "run.json", "space.yaml", "data.json", "splits.json"
    LEADERBOARD, STUDY = "leaderboard.csv", "study.journal"

    @property
    def ensemble(self) -> Folder:
        """The folder of the ensemble."""
        return self.child("ensemble")

    @property
    def tune(self) -> Folder:
        """The folder that Ray Tune keeps for itself."""
        return self.child("tune")

    def trial(self, number: int) -> TrialDir:
        """The folder of trial `number`."""
        return TrialDir(self.child("trials", f"{number:04d}").location)

    def trial_numbers(self) -> list[int]:
        """Numbers of the trials that have a folder."""
        names = self.child("trials").names()
        return sorted(int(name) for name in names if re.fullmatch(r"\d{4,}", name))

    def records(self) -> Iterator[TrialRecord]:
        """The records of all ended trials, by number."""
        for number in self.trial_numbers():
            record = self.trial(number).record()
            if record is not None:
                yield record

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the run's folder, so that two drivers never write to it; the lock ends with the process."""
        if self.local is None:
            yield
            return
        try:
            self.local.mkdir(parents=True, exist_ok=True)
            lock = (self.local / ".lock").open("w")
        except OSError as error:
            raise RunError(f"{self.location} can't be written: {error.strerror}") from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RunError(f"another command is working in {self.location}") from None
            yield

    def require(self) -> "RunDir":
        """Return self if this is a run.

        Raises:
            RunError: it is not.
        """
        if not self.exists(self.RUN):
            raise RunError(f"{self.location} is no run of medray: it has no {self.RUN}")
        return self

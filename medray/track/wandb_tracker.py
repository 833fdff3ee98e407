"""Weights & Biases: offline, in the run's `tracking/wandb` until `wandb sync`, or by $WANDB_MODE online.

An entry is written at once when it has ended: several runs that go on for hours side by side, in one process, are
not what wandb is made for.
"""

import os
import shlex
import tempfile
from pathlib import Path
from typing import Any

from medray.errors import ConfigError
from medray.runs.rundir import RunDir
from medray.track.entry import Entry
from medray.track.local_files import Sent, tracker_folder
from medray.track.read_entries import run_identity

PROJECT, MODE, OFFLINE = "WANDB_PROJECT", "WANDB_MODE", "offline"


class WandbTracker:
    """Writes each entry that has ended as a run of wandb, all in the group of the medray run."""

    def __init__(self, run: RunDir) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # nothing to wandb's makers
        import wandb

        self.wandb, self.id = wandb, run_identity(run)
        self.project = os.environ.get(PROJECT) or run.read_facts().space
        self.group = f"{self.project} {self.id[:8]}"
        self.mode: Any = os.environ.get(MODE) or OFFLINE
        if self.mode not in (OFFLINE, "online"):
            raise ConfigError(f"{MODE} is {self.mode}; offline and online are what is tracked", key="wandb")
        folder = tracker_folder(run, "wandb")  # wandb makes a folder of this name itself
        self.sent = Sent(folder / f"sent_{self.mode}")
        self.root = folder.parent if run.local is not None else folder
        command = f"wandb sync {shlex.quote(str(self.root / 'wandb'))}/offline-run-*"
        offline, online = f"offline, sent by: {command}", f"project '{self.project}', online"
        self.where = offline if self.mode == OFFLINE else online

    def has(self, entry: Entry) -> bool:
        """Return whether this very entry was written."""
        return self.sent.has(entry)

    def write(self, entry: Entry) -> None:
        """Write an entry that has ended; under the same id it is the same run wherever it is synced to."""
        if not entry.ended:
            return
        self.root.mkdir(parents=True, exist_ok=True)
        config = {**entry.settings, **entry.all_tags}
        run = self.wandb.init(
            project=self.project, id=f"{self.id[:12]}-{entry.key.replace('/', '-')}", name=entry.name,
            group=self.group, job_type=entry.kind, config=config, mode=self.mode, resume="allow",
            reinit="create_new", settings=self._settings(),
        )  # fmt: skip
        try:
            for number, metrics in enumerate(entry.epochs, start=1):
                run.log(dict(metrics), step=number)
            run.summary.update(dict(entry.scores))
            self._log_files(run, entry)
        finally:
            run.finish()
        self.sent.note(entry)

    def close(self) -> None:
        """End wandb's own process."""
        self.wandb.teardown()

    def _settings(self) -> Any:
        """Return settings that say nothing of this machine: no command line, code, console, host or load."""
        return self.wandb.Settings(
            root_dir=str(self.root), silent=True, console="off", disable_git=True, disable_code=True,
            save_code=False, x_disable_meta=True, x_disable_stats=True, x_disable_machine_info=True,
        )  # fmt: skip

    def _log_files(self, run: Any, entry: Entry) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name, content in entry.files.items():
                path = Path(folder) / name
                path.write_bytes(content)
                artifact = self.wandb.Artifact(f"{run.id}-{path.stem}", type=path.stem)
                artifact.add_file(str(path))
                run.log_artifact(artifact)

"""The trackers by name, what each needs, and what medray asks of one."""

from collections.abc import Collection
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol

from medray.errors import ConfigError, unknown_choice_line
from medray.runs.rundir import RunDir
from medray.track.entry import Entry


class Tracker(Protocol):
    """Keeps entries; `where` says where people see them, without a password.

    What it is given again it recognises. Any method may raise any error, as the packages beneath do.
    """

    where: str

    def has(self, entry: Entry) -> bool:
        """Return whether it has an entry that has ended, as it is."""

    def write(self, entry: Entry) -> None:
        """Add what it does not have yet: the entry, its epochs, and scores and files once it has ended."""

    def close(self) -> None:
        """Write what is left; entries that have not ended are interrupted."""


#: The module and class of medray that write to each; its package has the tracker's name.
TRACKERS = {
    "mlflow": "medray.track.mlflow_tracker:MlflowTracker",
    "tensorboard": "medray.track.tensorboard_tracker:TensorboardTracker",
    "wandb": "medray.track.wandb_tracker:WandbTracker",
}


def check_trackers(names: Collection[str]) -> None:
    """Check that there are such trackers, and that their packages are installed.

    Raises:
        ConfigError: one is unknown (the line names the nearest), or its package is missing.
    """
    for name in names:
        if name not in TRACKERS:
            raise ConfigError(unknown_choice_line("tracker", name, TRACKERS), key="--track")
        spec = find_spec(name)
        if spec is None or spec.origin is None:  # of a folder that happens to have the name
            line = f"the package {name} is missing: pip install 'medray[{name}]'"
            raise ConfigError(line, key=f"--track {name}")


def track_flags(names: Collection[str]) -> str:
    """Return the options by which a command goes on with these trackers, each after a space."""
    return "".join(f" --track {name}" for name in names)


def open_tracker(name: str, run: RunDir) -> Tracker:
    """Open a tracker for a run; any error of its package may be raised."""
    module, _, writer = TRACKERS[name].partition(":")
    tracker: Tracker = getattr(import_module(module), writer)(run)
    return tracker

"""TensorBoard: event files in the run's `tracking/tensorboard`, in a folder for each entry."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from medray.runs.rundir import RunDir
from medray.track.entry import Entry
from medray.track.local_files import Sent, tracker_folder

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

EVERY_EPOCH = "train_loss"  # a metric that each epoch has


class TensorboardTracker:
    """Writes event files; which epochs a folder's files hold is read from them when it is first written to."""

    def __init__(self, run: RunDir) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.open_writer = SummaryWriter
        self.folder = tracker_folder(run, "tensorboard")
        self.where = f"tensorboard --logdir {shlex.quote(str(self.folder))}"
        self.sent = Sent(self.folder)
        self.writers: dict[str, SummaryWriter] = {}
        self.epochs: dict[str, int] = {}

    def has(self, entry: Entry) -> bool:
        """Return whether this very entry was written."""
        return self.sent.has(entry)

    def write(self, entry: Entry) -> None:
        """Add epochs, and scores, settings and files of an entry that has ended."""
        sent = self.epochs.setdefault(entry.key, last_step(self.folder / entry.key, EVERY_EPOCH))
        if len(entry.epochs) > sent:
            writer = self._writer(entry)
            for number, metrics in enumerate(entry.epochs[sent:], start=sent + 1):
                for name, value in metrics.items():
                    writer.add_scalar(name, value, number)
            writer.flush()
            self.epochs[entry.key] = len(entry.epochs)
        if entry.ended:
            self._end(entry)

    def close(self) -> None:
        """Close the files of entries that have not ended."""
        for writer in self.writers.values():
            writer.close()
        self.writers.clear()

    def _writer(self, entry: Entry) -> "SummaryWriter":
        if entry.key not in self.writers:
            self.writers[entry.key] = self.open_writer(str(self.folder / entry.key))
        return self.writers[entry.key]

    def _end(self, entry: Entry) -> None:
        """Write settings and scores for the tab HPARAMS, tags and files as texts, and close the file."""
        writer = self._writer(entry)
        writer.add_text("tags", _code("\n".join(f"{name}: {value}" for name, value in entry.all_tags.items())))
        for name, content in entry.files.items():
            writer.add_text(name, _code(content.decode()), entry.step)
        if entry.scores:
            # "." is the writer's own folder: a file beside its first.
            writer.add_hparams(dict(entry.settings), dict(entry.scores), run_name=".", global_step=entry.step)
        self.writers.pop(entry.key).close()
        self.sent.note(entry)


def last_step(folder: Path, name: str) -> int:
    """Return the last step at which a scalar was written to a folder's event files, 0 where there is none."""
    if not folder.is_dir():
        return 0
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    if name not in events.Tags()["scalars"]:
        return 0
    return max(int(event.step) for event in events.Scalars(name))


def _code(text: str) -> str:
    """Return lines as Markdown shows them unchanged."""
    return "\n".join(f"    {line}" for line in text.splitlines())

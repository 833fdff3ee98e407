"""Where trackers that write files keep them: in the run, or in the working folder for a run at a URI."""

from dataclasses import dataclass, field
from pathlib import Path

from medray.json_document import JsonDocument
from medray.runs.folder import Folder
from medray.runs.rundir import RunDir
from medray.track.entry import Entry
from medray.track.read_entries import TRACKING


def tracker_folder(run: RunDir, name: str) -> Path:
    """Return the folder on this machine's disks in which the files of a run's tracker lie."""
    if run.local is not None:
        return run.local / TRACKING / name
    return Path(name) / run.public_location.rpartition("/")[2]


@dataclass(frozen=True)
class SentDigests(JsonDocument):
    """sent.json beside a tracker's files: the digests of the entries that it has, by key."""

    digests: dict[str, str] = field(default_factory=dict)


class Sent:
    """What a tracker without a memory has got, in a file beside its own."""

    FILE = "sent.json"

    def __init__(self, folder: Path) -> None:
        self.folder = Folder(str(folder))
        known = self.folder.read_document(self.FILE, SentDigests) if self.folder.exists(self.FILE) else None
        self.digests: dict[str, str] = dict(known.digests) if known else {}

    def has(self, entry: Entry) -> bool:
        """Return whether this very entry was noted."""
        return self.digests.get(entry.key) == entry.digest

    def note(self, entry: Entry) -> None:
        """Note an entry after it was written."""
        self.digests[entry.key] = entry.digest
        self.folder.write_json(self.FILE, SentDigests(self.digests).to_dict())

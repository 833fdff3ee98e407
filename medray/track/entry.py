"""Entry: what a tracker calls a run, made from a run's files."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

SEARCH, TRIAL, SETTING, FOLD, TEST_READ = "search", "trial", "setting", "fold", "test read"
RUNNING, INTERRUPTED = "running", "interrupted"  # besides the states of a trial's record
RUN_TAG, PART_TAG = "medray.run", "medray.part"

Value = str | int | float | bool


@dataclass(frozen=True)
class Entry:
    """What a tracker calls a run: a search, a trial, a setting on all folds, a fold, or a read of the test split.

    `key` is its path in the run's folder, by which it is known again, `parent` the key of the entry that it
    belongs to. `epochs` are the metrics of each epoch, from the first; `scores` and `files` are those of one that
    has `ended`. `step` orders scores that are sent again, as those of a search are when it has gone on.
    """

    key: str
    name: str
    kind: str
    state: str
    parent: str | None = None
    ended: bool = False
    settings: Mapping[str, Value] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    epochs: tuple[Mapping[str, float], ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    step: int = 0

    @property
    def all_tags(self) -> dict[str, str]:
        """The tags, with those by which it is known again, its kind and state."""
        own = {PART_TAG: self.key, "medray.kind": self.kind, "medray.state": self.state}
        return {**self.tags, **own}

    @property
    def digest(self) -> str:
        """SHA-256 of state, number of epochs, settings, scores and files; tags are not part of it."""
        content = [self.state, len(self.epochs), dict(self.settings), dict(self.scores)]
        files = {name: hashlib.sha256(data).hexdigest() for name, data in self.files.items()}
        return hashlib.sha256(json.dumps([*content, files]).encode()).hexdigest()

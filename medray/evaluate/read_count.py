"""How often a test split was read, over all runs that are known here, and the sentences that say so."""

from dataclasses import dataclass

from medray.errors import RunError, printable
from medray.evaluate.read_registry import KnownRead, reads_beside, registered
from medray.evaluate.scores_document import ReadFacts
from medray.evaluate.test_reads import TestRead, stored_reads
from medray.runs.rundir import RunDir
from medray.text import first_names


@dataclass(frozen=True)
class ReadCount:
    """The reads of the test split of the run at `run`: `by_run` in its folder, and the `others`, oldest first."""

    run: str
    by_run: int
    others: tuple[KnownRead, ...] = ()

    @property
    def total(self) -> int:
        """How often the split was read."""
        return self.by_run + len(self.others)

    @property
    def sentence(self) -> str:
        """How often the split was read, how often by this run, and by which others, as a sentence."""
        if self.others:
            by_whom = f", {self.by_run} of them by this run (others: {self._others})"
        else:
            by_whom = ", all by this run" if self.by_run > 1 else ""
        return f"The test split has been read {times(self.total)}{by_whom}."

    @property
    def warning(self) -> str | None:
        """What to know before one more read of a split that others have read, as a sentence; None if none have."""
        if not self.others:
            return None
        return (
            f"Other runs have read this test split {times(len(self.others))} already ({self._others}): the more "
            "often, the less its scores are worth."
        )

    @property
    def _others(self) -> str:
        names = [
            f"{'this folder, since deleted,' if read.run == self.run else printable(read.run)} on "
            f"{printable(read.time[:10])}"
            for read in self.others
        ]
        return first_names(names)


def times(count: int) -> str:
    """Return a count of reads as `once` or `3 times`."""
    return "once" if count == 1 else f"{count:,} times"


def count_reads(run: RunDir, test: str | None = None) -> ReadCount:
    """Count the reads of a test split by a run and by all others that are known here, each once by its uuid.

    `test` is the SHA-256 of the split; without it the split is that of the run's last read. A damaged read of the
    run counts, as nothing tells that it was of another split.
    """
    facts = {read.number: _facts(read) for read in stored_reads(run)}
    test = test or next((fact.test for fact in reversed(facts.values()) if fact), None)
    location = run.public_location
    if test is None:
        return ReadCount(location, len(facts))
    uuids = {fact.uuid for fact in facts.values() if fact}
    damaged = {(location, number) for number, fact in facts.items() if fact is None}
    known = registered(test) | reads_beside(run, test)  # where a run was moved, the folder tells where it is now
    others = [read for key, read in known.items() if key not in uuids and (read.run, read.read) not in damaged]
    by_run = sum(fact is None or fact.test == test for fact in facts.values())
    return ReadCount(location, by_run, tuple(sorted(others, key=lambda read: (read.time, read.run))))


def _facts(read: TestRead) -> ReadFacts | None:
    try:
        return read.facts()
    except RunError:
        return None

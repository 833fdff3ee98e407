"""The reads of the test split as entries of a tracker: apart from all that was measured while choosing."""

from collections.abc import Iterator

from medray.evaluate.test_reads import SCORES, TestRead, stored_reads
from medray.runs.rundir import RunDir
from medray.runs.trial_record import FINISHED
from medray.track.entry import TEST_READ, Entry
from medray.track.read_entries import ROOT, run_tags


def test_read_entries(run: RunDir) -> Iterator[Entry]:
    """Yield an entry for each finished read of a run's test split, with the ensemble's scores and their intervals.

    Raises:
        RunError: a file is damaged.
    """
    tags = run_tags(run, run.read_facts())
    for read in stored_reads(run):
        scores = test_scores(read)
        if scores:
            facts = read.facts()
            own = {"medray.ensemble": facts.ensemble, "medray.test": facts.test, "medray.read": facts.time}
            yield Entry(
                f"evaluation/{read.folder.location.rpartition('/')[2]}", f"test split, read {read.number}",
                TEST_READ, FINISHED, ROOT, ended=True, tags={**tags, **own}, scores=scores,
                files={SCORES: read.folder.read(SCORES)},
            )  # fmt: skip


def test_scores(read: TestRead) -> dict[str, float]:
    """Return the ensemble's scores as `test_auc`, `test_auc_low`, `test_auc_high`; none of an unfinished read."""
    scores = read.scores()
    if scores is None:
        return {}
    values: dict[str, float] = {}
    for name, estimate in scores.models[0].scores.items():
        ends = {"": estimate.value, "_low": estimate.low, "_high": estimate.high}
        values |= {f"test_{name}{end}": value for end, value in ends.items() if value is not None}
    return values

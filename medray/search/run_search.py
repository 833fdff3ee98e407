"""A search from its options to its ensemble.

prepare   check the search space, lock the run's folder, start Ray and load the data side by side
search    Ray Tune, or this process, asks the ledger for trials until there are none left; leaderboard.csv
finish    ensemble/, of all trials that have ended
"""

import contextlib
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console

from medray.cluster.runners import check_runner
from medray.console import step
from medray.data.dataset import ImageDataset
from medray.ensemble.candidates import trial_pool
from medray.ensemble.looks_file import measure_run_looks
from medray.ensemble.manifest import Manifest, read_manifest
from medray.ensemble.ood_file import fit_run_ood
from medray.ensemble.selection import make_selection
from medray.ensemble.strategies import LIBRARY, top_k
from medray.ensemble.write_ensemble import write_ensemble
from medray.errors import MedrayError, RunError, os_error_line
from medray.runs.leaderboard import rank, usable
from medray.runs.lock import held
from medray.runs.run_facts import DataFacts
from medray.runs.rundir import RunDir
from medray.runs.selection_facts import TOP_K
from medray.runs.trial_record import TrialRecord
from medray.search.open_run import open_run, resume_command
from medray.search.prepare_run import prepare_run
from medray.search.run_trials import run_trials
from medray.search.search_gain import compare_gain
from medray.search.search_options import SearchOptions
from medray.shown import Shown
from medray.space.search_space import SearchSpace
from medray.stats.case_rule import CaseRule
from medray.stats.compare import PairedComparison
from medray.text import plural
from medray.track.follow import tracked

if TYPE_CHECKING:
    from medray.search.ledger import Ledger


@dataclass(frozen=True)
class SearchResult(Shown):
    """The results of a search.

    `records` are those of the trials that have ended, by number; `gain` compares the best of them with the best
    baseline on the `val_images` validation images, or cases, which also selected it; `ensemble` is the manifest of
    their ensemble, None where no trial can be a member. `left` trials have not ended, None where they are not
    numbered and time is left; `resume_command` goes on with them. `ended_by` is time or flat where that ended the
    search before all trials that were asked for, `not_begun` the baselines that had no time then. `cases` is the
    rule that all scores are by, None where each image is answered by itself.
    """

    printer = "medray.search.print_search:print_search_result"

    run: RunDir
    space: SearchSpace
    records: list[TrialRecord]
    gain: PairedComparison | None
    ensemble: Manifest | None
    val_images: int
    left: int | None
    resume_command: str
    cases: CaseRule | None = None
    ended_by: str | None = None
    not_begun: tuple[str, ...] = ()

    def __repr__(self) -> str:
        best, metric = rank(usable(self.records), self.space.mode)[:1], self.space.metric
        lead = "".join(f", best trial {record.number} with val {metric} {record.objective:.4f}" for record in best)
        trials = plural(len(self.records), "trial")
        left = "time" if self.left is None else plural(self.left, "trial")
        return f"<SearchResult of {self.run.location}: {trials}{lead}; {left} left>"

    @property
    def interrupted(self) -> bool:
        """Whether trials of the search have not ended."""
        return self.left != 0


def run_search(options: SearchOptions, console: Console) -> SearchResult:
    """Run or resume a search; progress goes to `console`.

    Raises:
        MedrayError: an option, the space, the data or the run is wrong, or all trials failed; nothing that was
            done is lost.
    """
    started = time.monotonic()
    check_runner(options.runner, options.address, options.min_gpus, options.concurrency)
    run, space, resolved = open_run(options)
    with held(run, console), contextlib.ExitStack() as stack:
        try:
            dataset, capacity = prepare_run(options, run, space, resolved, console, stack)
            with tracked(run, options.track, console):
                ledger = run_trials(
                    run, space, resolved, dataset, capacity, console, verbose=options.verbose, started=started
                )
                with step(console, "Making the ensemble"):
                    manifest = write_results(ledger, dataset)
                ledger.save_state()
        except OSError as error:
            raise RunError(
                f"{os_error_line(error, run.location)}; go on with: {resume_command(options)}"
            ) from error
    records = [ledger.records[number] for number in sorted(ledger.records)]
    val = dataset.split("val")
    patients = dataset.answered_groups(val.positions)
    difference = compare_gain(run, records, space.metric, patients, dataset.case_rule)
    left = None if math.isinf(ledger.left()) else int(ledger.left())
    return SearchResult(
        run, space, records, difference, manifest, len(val.answered_labels), left, resume_command(options),
        dataset.case_rule, ledger.ended_by, ledger.not_begun(),
    )  # fmt: skip


def write_results(ledger: "Ledger", dataset: ImageDataset) -> Manifest | None:
    """Write the ensemble of all trials that have ended; return its manifest.

    An ensemble that `medray ensemble` has made since is kept where no trial has ended besides those before.

    Raises:
        MedrayError: no trial is left, and all of them failed.
    """
    run, space, top = ledger.run, ledger.space, ledger.options.top_k
    records = [ledger.records[number] for number in sorted(ledger.records)]
    if run.exists(run.SELECTION) and len(records) == ledger.ended_before:
        return read_manifest(run.ensemble)
    if usable(records):
        run.delete(run.SELECTION)
        pool = trial_pool(run, records, space.mode, max(top, LIBRARY), space.task, dataset.case_rule)
        selection = make_selection(TOP_K, pool, top_k(pool.candidates, pool.labels, space.metric, top))
        fit_run_ood(run, dataset)
        measure_run_looks(run, dataset)
        return write_ensemble(run, selection, data=DataFacts.of(dataset), metric=space.metric)
    if records and not ledger.left():
        raise MedrayError(
            f"all {len(records)} trials failed; the first: {records[0].reason} (see {run.location}/trials)"
        )
    return None

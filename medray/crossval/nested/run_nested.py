"""A nested cross-validation from its options to its results.

plan      the outer folds, and inside each one train and val splits, written once
search    inside each outer fold the run's search, by Ray Tune or in this process, and the ensemble of its best
measure   that ensemble on the images that the fold holds out, which it has never seen
"""

import contextlib
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from rich.console import Console

from medray.cluster.capacity import Capacity, find_capacity, wait_for_gpus
from medray.cluster.connect import connected
from medray.cluster.runners import LOCAL, LOCAL_LINE, RAY, check_runner
from medray.console import note, say, step
from medray.console_tables import number
from medray.crossval.nested.measure_fold import measure_fold
from medray.crossval.nested.plan_nested import NestedOptions, OuterFold, outer_folds, plan_nested, search_options
from medray.data.folds import Folds
from medray.data.smaller_images import keep_smaller
from medray.errors import RunError, TooShortError, os_error_line
from medray.runs.crossval_documents import NestedFold, NestedPlan
from medray.runs.finished_search import FinishedSearch, open_finished_search
from medray.runs.lock import held
from medray.runs.nested_results import NestedScores
from medray.runs.rundir import RunDir
from medray.search.run_trials import run_trials
from medray.shown import Shown
from medray.stats.score_names import MODES
from medray.text import plural


@dataclass(frozen=True)
class NestedResult(Shown):
    """The `scores` of a nested cross-validation's outer folds that have ended; `left` of the `folds` have not."""

    printer = "medray.crossval.nested.print_nested:print_nested_result"

    searched: FinishedSearch
    folds: Folds
    scores: NestedScores
    left: int
    resume_command: str

    def __repr__(self) -> str:
        metric = self.scores.plan.metric
        spread = self.scores.held_out(metric)
        score = f"{metric} {spread.mean:.4f} ± {spread.std:.4f} held out" if spread else "no fold ended"
        location = self.searched.run.nested.location
        return f"<NestedResult of {location}, {plural(len(self.folds), 'fold')}: {score}; {self.left} left>"


def run_nested(options: NestedOptions, console: Console) -> NestedResult:
    """Run or resume a nested cross-validation; progress goes to `console`.

    Raises:
        MedrayError: an option, the run or the data is wrong, or all trials of a fold failed; nothing that was done
            is lost.
    """
    check_runner(options.runner, options.address, options.min_gpus, options.concurrency)
    searched = open_finished_search(options.run)
    nested = searched.run.nested
    with held(searched.run, console), contextlib.ExitStack() as stack:
        try:
            task = "Loading" if options.runner == LOCAL else "Starting Ray and loading"
            with step(console, f"{task} {options.data or searched.options.data}") as progress:
                dataset = searched.load_data(options.data, progress)
                dataset = keep_smaller(dataset, searched.space.image_sizes, progress)
                plan, folds = plan_nested(options, searched, dataset, progress)
                ended = {fold.fold for fold in nested.ended()}
                pending = [fold for fold in outer_folds(dataset, folds, progress) if fold.number not in ended]
                capacity = None
                if pending and options.runner == RAY:
                    started_here = stack.enter_context(
                        connected(options.address, verbose=options.verbose, report=partial(note, console))
                    )
                    if options.min_gpus:
                        wait_for_gpus(options.min_gpus, progress)
                    resources = searched.space.resources
                    capacity = find_capacity(resources, searched.space.path, started_here=started_here)
            _introduce(console, searched, plan, folds, len(pending), capacity)
            for fold in pending:
                if not _run_fold(options, searched, plan, fold, capacity, console):
                    break
        except OSError as error:
            raise RunError(
                f"{os_error_line(error, nested.location)}; go on with: {options.resume_command}"
            ) from error
    scores = NestedScores(plan, tuple(nested.ended()))
    nested.write(nested.SCORES, scores_csv(scores.ended).encode())
    left = len(folds) - len(scores.ended)
    return NestedResult(searched, folds, scores, left, options.resume_command)


def _run_fold(
    options: NestedOptions, searched: FinishedSearch, plan: NestedPlan, fold: OuterFold,
    capacity: Capacity | None, console: Console,
) -> bool:  # fmt: skip
    """Run the search inside a fold and measure its ensemble; return whether it was not interrupted."""
    run: RunDir = searched.run.nested.fold(fold.number)
    space, resolved = searched.space, search_options(plan, searched, options, fold.number)
    splits = {name: len(positions) for name, positions in fold.dataset.splits.items()}
    numbers = ", ".join(f"{count} {name}" for name, count in splits.items())
    title = f"Outer fold {fold.number + 1} of {plan.folds}"
    say(console, f"{title}: {numbers}; {len(fold.held_out)} images held out")
    run.write_json(run.SPLITS, {name: positions.tolist() for name, positions in fold.dataset.splits.items()})
    try:
        ledger = run_trials(
            run, space, resolved, fold.dataset, capacity, console, verbose=options.verbose, title=title
        )
    except TooShortError as error:
        way_out = f"cross-validate a run whose search had {error.least:g} or more"
        raise error.told(way_out, f", those of the search of {searched.run.location},") from None
    if ledger.left():
        return False
    records = [ledger.records[number] for number in sorted(ledger.records)]
    with step(console, f"Predicting {len(fold.held_out)} held-out images"):
        result = measure_fold(run, fold, records, space, plan.top_k)
    held_out, val = (number(scores.get(plan.metric)) for scores in (result.held_out_scores, result.val_scores))
    say(
        console,
        f"[{fold.number + 1}/{plan.folds}] {plan.metric} of its ensemble: {held_out} held out, {val} on val",
    )
    return True


def _introduce(
    console: Console, searched: FinishedSearch, plan: NestedPlan, folds: Folds, pending: int,
    capacity: Capacity | None,
) -> None:  # fmt: skip
    bounds = [f"{plan.trials} trials"] if plan.trials is not None else []
    bounds += [f"{plan.hours:g} hours"] if plan.hours is not None else []
    say(
        console,
        f"{plan.folds} searches of {' or '.join(bounds)}, each inside an outer fold of "
        f"{len(folds.held_out)} training and validation images; the test split is not used",
    )
    say(
        console, f"{capacity.describe() if capacity else LOCAL_LINE}; results go to {searched.run.nested.location}"
    )
    seconds = sum(record.seconds for record in searched.records) * pending / (capacity.slots if capacity else 1)
    if pending:
        say(console, f"About {max(1, round(seconds / 60))} min, by the time that the run's own trials took")
    if pending < plan.folds:
        say(console, f"Resuming: {plan.folds - pending} of {plan.folds} outer folds have ended")


def scores_csv(folds: Sequence[NestedFold]) -> str:
    """Return scores.csv: a row for each fold, model (ensemble or best trial) and images (val or held out)."""
    names = [name for name in MODES if any(name in fold.held_out_scores for fold in folds)]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["fold", "model", "images", *names])
    for fold in folds:
        for model, images, scores in (
            ("ensemble", "held out", fold.held_out_scores),
            ("ensemble", "val", fold.val_scores),
            ("best trial", "held out", fold.best_trial_held_out_scores),
            ("best trial", "val", fold.best_trial_val_scores),
        ):
            writer.writerow([fold.fold, model, images, *(scores.get(name) for name in names)])
    return stream.getvalue()

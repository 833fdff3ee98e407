"""A cross-validation from its options to its results.

plan      the best settings of a finished search, the folds and each fold's config, written once
train     Ray Train's workers, or this process, take one fold after another until none is left
collect   out-of-fold predictions, scores, and images whose label the folds doubt
"""

import contextlib
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from rich.console import Console

from medray.cluster.connect import connected
from medray.cluster.runners import LOCAL, LOCAL_LINE, RAY, check_runner
from medray.console import note, say, step
from medray.crossval.baseline_gain import compare_with_baselines
from medray.crossval.collect import collect, label_issues
from medray.crossval.crossval_progress import CrossvalProgress
from medray.crossval.jobs import Job
from medray.crossval.plan import (
    CrossvalOptions,
    jobs_left,
    make_plan,
    plan_folds,
    resume_command,
    retry_lost,
    write_plan,
)
from medray.crossval.train_folds_locally import train_folds_locally
from medray.crossval.train_folds_with_ray import train_folds_with_ray
from medray.data.folds import GIVEN, GROUPED, Folds
from medray.data.smaller_images import keep_smaller
from medray.errors import RunError, os_error_line
from medray.runs.crossval_documents import BaselineGain, CrossvalPlan
from medray.runs.finished_search import FinishedSearch, open_finished_search
from medray.runs.fold_results import CrossvalTrial
from medray.runs.lock import held
from medray.shown import Shown
from medray.signals import ends_like_ctrl_c
from medray.stats.label_issues import DoubtedLabels
from medray.text import plural
from medray.track.follow import tracked


@dataclass(frozen=True)
class CrossvalResult(Shown):
    """The results of a cross-validation.

    `trials` are those trained on every fold, best first; `unfinished` maps the trial number of every other one
    to the reason. `doubted` are the labels that the folds doubt, None without a setting trained on every fold;
    `gain` compares the best of them with the best baseline, None without one of each; `left` folds have not ended.
    """

    printer = "medray.crossval.print_crossval:print_crossval_result"

    searched: FinishedSearch
    folds: Folds
    trials: list[CrossvalTrial]
    unfinished: dict[int, str]
    doubted: DoubtedLabels | None
    gain: BaselineGain | None
    left: int
    resume_command: str

    def __repr__(self) -> str:
        metric, run = self.searched.space.metric, self.searched.run
        scores = ", ".join(f"trial {s.number} with mean {metric} {s.objective:.4f}" for s in self.trials)
        folds = plural(len(self.folds), "fold")
        return f"<CrossvalResult of {run.location}, {folds}: {scores or 'none'}; {plural(self.left, 'fold')} left>"


def run_crossval(options: CrossvalOptions, console: Console) -> CrossvalResult:
    """Run or resume a cross-validation; progress goes to `console`.

    Raises:
        MedrayError: an option, the run or the data is wrong, or Ray gave up; nothing that was done is lost.
    """
    check_runner(options.runner, options.address, options.min_gpus, options.concurrency)
    searched = open_finished_search(options.run)
    with held(searched.run, console), contextlib.ExitStack() as stack:
        try:
            plan = make_plan(options, searched)
            task = "Loading" if options.runner == LOCAL else "Starting Ray and loading"
            with step(console, f"{task} {options.data or searched.options.data}") as progress:
                dataset = searched.load_data(options.data, progress)
                dataset = keep_smaller(dataset, searched.space.image_sizes, progress)
                folds = plan_folds(searched, dataset, plan, progress)
                write_plan(searched, plan, folds)
                retry_lost(searched, plan, folds)
                jobs = jobs_left(searched, plan, folds)
                if jobs and options.runner == RAY:
                    started_here = stack.enter_context(
                        connected(options.address, verbose=options.verbose, report=partial(note, console))
                    )
            _introduce(console, plan, folds, jobs)
            total = len(plan.trials) * len(folds)
            epochs = {record.number: record.epochs for record in searched.records}
            folds_progress = CrossvalProgress(console, searched.space.metric, total, total - len(jobs), epochs)
            with tracked(searched.run, options.track, console):
                if jobs and options.runner == LOCAL:
                    say(console, f"{LOCAL_LINE}; results go to {searched.run.crossval.location}")
                    with ends_like_ctrl_c(signal.SIGTERM), folds_progress.showing():
                        train_folds_locally(searched, dataset, folds, jobs, folds_progress)
                elif jobs:
                    train_folds_with_ray(
                        options, searched, dataset, folds, jobs, console, folds_progress, started_here=started_here
                    )  # fmt: skip
                with step(console, "Putting the folds together"):
                    trials, unfinished = collect(searched.run, dataset, folds, plan.trials)
                    settings = [trial for trial in trials if not searched.is_baseline(trial.number)]
                    doubted = label_issues(searched.run, dataset, settings or trials) if trials else None
                    gain = compare_with_baselines(trials, searched.records, dataset, searched.space.metric)
                    if gain is not None:
                        searched.run.crossval.write_json(searched.run.crossval.GAIN, gain.to_dict())
            left = len(jobs_left(searched, plan, folds))
            return CrossvalResult(
                searched, folds, trials, unfinished, doubted, gain, left, resume_command(options)
            )
        except OSError as error:
            raise RunError(
                f"{os_error_line(error, searched.run.location)}; go on with: {resume_command(options)}"
            ) from error


def _introduce(console: Console, plan: CrossvalPlan, folds: Folds, jobs: Sequence[Job]) -> None:
    kind = {GROUPED: "stratified, patients and near-duplicates on one side", GIVEN: "the data set's own"}
    say(
        console,
        f"{len(plan.trials)} settings × {len(folds)} folds ({kind.get(folds.kind, folds.kind)}) of "
        f"{len(folds.held_out)} training and validation images; the test split is not used",
    )
    total = len(plan.trials) * len(folds)
    if len(jobs) < total:
        say(console, f"Resuming: {total - len(jobs)} of {total} folds have ended")

"""The plan of a cross-validation: the settings of a finished search, the folds, and the config of each fold."""

import dataclasses
import shlex
from dataclasses import dataclass

from medray._types import Progress, silent
from medray.cluster.runners import LOCAL, RAY
from medray.config import TrainConfig, check_counts
from medray.crossval.jobs import Job
from medray.data.dataset import ImageDataset
from medray.data.folds import Folds, make_folds
from medray.data.similarity.groups import related_groups
from medray.ensemble.candidates import trial_pool
from medray.errors import ConfigError, RunError
from medray.runs.crossval_documents import CrossvalPlan
from medray.runs.finished_search import FinishedSearch
from medray.runs.leaderboard import usable
from medray.runs.rundir import TrialDir
from medray.runs.trial_record import FAILED
from medray.track.trackers import check_trackers, track_flags
from medray.training.seeds import draw_seed

TOP = 3


@dataclass(frozen=True)
class CrossvalOptions:
    """The options of the command line, None where one was not given.

    Raises:
        ConfigError: a number is too small, or both `top` and `trials` are given; a tracker is unknown, or its
            package missing.
    """

    run: str
    top: int | None = None
    folds: int | None = None
    trials: tuple[int, ...] = ()
    baselines: bool = False
    seed: int | None = None
    data: str | None = None
    concurrency: int | None = None
    resume: bool = False
    address: str | None = None
    min_gpus: int | None = None
    runner: str = RAY
    track: tuple[str, ...] = ()
    verbose: bool = False

    def __post_init__(self) -> None:
        check_trackers(self.track)
        check_counts(self, top=1, folds=2, seed=0, concurrency=1, min_gpus=1)
        if self.top is not None and self.trials:
            raise ConfigError("--top and --trial choose settings in two ways: give one of them")


def resume_command(options: CrossvalOptions) -> str:
    """Return the command that goes on with this cross-validation."""
    data = f" --data {shlex.quote(options.data)}" if options.data else ""
    local = " --local" if options.runner == LOCAL else ""
    return f"medray crossval {shlex.quote(options.run)} --resume{data}{local}{track_flags(options.track)}"


def make_plan(options: CrossvalOptions, searched: FinishedSearch) -> CrossvalPlan:
    """Return the plan that was written, or a new one, with the selected settings added.

    Raises:
        RunError: there is a plan and no --resume, or the other way round; an option contradicts the plan; all
            trials of the search failed, or those of its baselines.
    """
    folder = searched.run.crossval
    if folder.exists(folder.PLAN):
        if not options.resume:
            raise RunError(
                f"{folder.location} already holds a cross-validation: go on with it, or add settings, by --resume"
            )
        plan = folder.read_plan()
        for name, value, planned in (("folds", options.folds, plan.folds), ("seed", options.seed, plan.seed)):
            if value is not None and value != planned:
                raise RunError(f"--{name} {value}: {folder.location} was started with {planned}")
    elif options.resume:
        raise RunError(f"{folder.location} holds no cross-validation to resume; start one without --resume")
    else:
        metric, fingerprint = searched.space.metric, searched.data.fingerprint
        plan = CrossvalPlan(metric, options.folds, options.seed or 0, (), fingerprint, 0)
    trials = list(options.trials)
    if not trials and (options.top is not None or not plan.trials):
        best = trial_pool(searched.run, searched.records, searched.space.mode, options.top or TOP).candidates
        if not best:
            raise RunError(f"{searched.run.location} has no trial to cross-validate: all of them failed")
        trials = [candidate.number for candidate in best]
    if options.baselines:
        baselines = [record.number for record in usable(searched.records) if record.baseline is not None]
        if not baselines:
            raise RunError(f"--baselines: the search in {searched.run.location} has no trial of a baseline")
        trials += baselines
    settings = tuple(dict.fromkeys([*plan.trials, *trials]))
    return dataclasses.replace(plan, trials=settings, of_trials=len(searched.records))


def plan_folds(
    searched: FinishedSearch, dataset: ImageDataset, plan: CrossvalPlan, progress: Progress = silent
) -> Folds:
    """Return the folds that were written, or make them: near-duplicates and images of one patient in one fold."""
    folder = searched.run.crossval
    if folder.exists(folder.FOLDS):
        return folder.read_folds()
    return make_folds(dataset, plan.folds, plan.seed, lambda data: related_groups(data, progress))


def write_plan(searched: FinishedSearch, plan: CrossvalPlan, folds: Folds) -> None:
    """Write the folds once, and for each setting and fold a config with its own seed: fresh weights each.

    Raises:
        RunError: a trial of the plan failed or does not exist.
    """
    run = searched.run
    records = {record.number: record for record in searched.records}
    trained = [number for number, record in records.items() if record.state != FAILED]
    for number in plan.trials:
        if number not in trained:
            problem = "failed" if number in records else "does not exist"
            raise RunError(f"--trial {number}: that trial {problem}; usable: {', '.join(map(str, trained))}")
    for number in plan.trials:
        settings = TrainConfig.from_dict(run.trial(number).read_json(TrialDir.CONFIG))
        for fold in range(len(folds)):
            folder = run.fold(number, fold)
            if not folder.exists(folder.CONFIG):
                seed = draw_seed(settings.seed, plan.seed, fold)
                folder.write_json(folder.CONFIG, dataclasses.replace(settings, seed=seed).to_dict())
    if not run.crossval.exists(run.crossval.FOLDS):
        run.crossval.write_json(run.crossval.FOLDS, folds.to_dict())
    run.crossval.write_json(run.crossval.PLAN, dataclasses.replace(plan, folds=len(folds)).to_dict())


def retry_lost(searched: FinishedSearch, plan: CrossvalPlan, folds: Folds) -> None:
    """Delete the records of folds whose worker died: they are trained again, unlike folds that diverged."""
    for job in _jobs(plan, folds):
        folder = searched.run.fold(job.trial, job.fold)
        record = folder.record()
        if record is not None and record.worker_died:
            folder.delete(folder.RECORD)


def jobs_left(searched: FinishedSearch, plan: CrossvalPlan, folds: Folds) -> list[Job]:
    """Return the jobs that have not ended, those with a checkpoint first."""
    folders = {job: searched.run.fold(job.trial, job.fold) for job in _jobs(plan, folds)}
    left = [job for job, folder in folders.items() if not folder.exists(folder.RECORD)]
    return sorted(left, key=lambda job: not folders[job].exists(folders[job].CHECKPOINT))


def _jobs(plan: CrossvalPlan, folds: Folds) -> list[Job]:
    return [Job(number, fold) for number in plan.trials for fold in range(len(folds))]

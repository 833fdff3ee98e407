"""What is to be done: the best settings of a finished search, the folds, and each fold's own config."""

import dataclasses
from dataclasses import dataclass

from medray._types import Progress, silent
from medray.cluster.runners import RAY
from medray.config import TrainConfig
from medray.crossval.jobs import LOST, Job
from medray.data.dataset import ImageDataset
from medray.data.folds import Folds, make_folds
from medray.data.similarity.groups import related_groups
from medray.ensemble.candidates import trial_pool
from medray.errors import RunError
from medray.runs.documents import FAILED, CrossvalPlan
from medray.runs.finished_search import FinishedSearch
from medray.runs.rundir import TrialDir
from medray.training.seeds import draw_seed

TOP, FOLD_COUNT = 3, 5


@dataclass(frozen=True)
class CrossvalOptions:
    """The command line, None where an option was not given."""

    run: str
    top: int | None = None
    folds: int | None = None
    trials: tuple[int, ...] = ()
    seed: int | None = None
    data: str | None = None
    concurrency: int | None = None
    resume: bool = False
    address: str | None = None
    min_gpus: int | None = None
    runner: str = RAY
    verbose: bool = False


def make_plan(options: CrossvalOptions, searched: FinishedSearch) -> CrossvalPlan:
    """Choose the settings, or take up the plan that was written."""
    home = searched.run.crossval
    if home.exists(home.PLAN):
        if not options.resume:
            raise RunError(
                f"{home.location} already holds a cross-validation: go on with it, or add settings, by --resume"
            )
        plan = home.read_plan()
        for name, given, started in (("folds", options.folds, plan.folds), ("seed", options.seed, plan.seed)):
            if given is not None and given != started:
                raise RunError(f"--{name} {given}: {home.location} was started with {started}")
    elif options.resume:
        raise RunError(f"{home.location} holds no cross-validation to resume; start one without --resume")
    else:
        metric, fingerprint = searched.space.metric, searched.data.fingerprint
        plan = CrossvalPlan(metric, options.folds, options.seed or 0, (), fingerprint)
    trials = list(options.trials) or ([] if plan.trials and options.top is None else _best(options, searched))
    return dataclasses.replace(plan, trials=tuple(dict.fromkeys([*plan.trials, *trials])))


def _best(options: CrossvalOptions, searched: FinishedSearch) -> list[int]:
    run, mode = searched.run, searched.space.mode
    top = trial_pool(run, searched.records, mode, options.top or TOP).candidates
    if not top:
        raise RunError(f"{run.location} has no trial to cross-validate: all of them failed")
    return [candidate.number for candidate in top]


def plan_folds(
    searched: FinishedSearch, dataset: ImageDataset, plan: CrossvalPlan, progress: Progress = silent
) -> Folds:
    """Read the folds that were written, or make them: duplicates and patients on one side."""

    home = searched.run.crossval
    if home.exists(home.FOLDS):
        return home.read_folds()
    given = plan.folds if plan.folds or dataset.folds is not None else FOLD_COUNT
    return make_folds(dataset, given, plan.seed, lambda data: related_groups(data, progress))


def write_plan(searched: FinishedSearch, plan: CrossvalPlan, folds: Folds) -> None:
    """Write the folds once, and for each setting and fold a config with its own seed: fresh weights each."""
    run = searched.run
    _check_trials(searched, plan.trials)
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


def _check_trials(searched: FinishedSearch, numbers: tuple[int, ...]) -> None:
    ended = {record.number: record for record in searched.records}
    for number in numbers:
        if number not in ended or ended[number].state == FAILED:
            what = "failed" if number in ended else "does not exist"
            usable = [n for n, record in ended.items() if record.state != FAILED]
            raise RunError(f"--trial {number}: that trial {what}; usable: {', '.join(map(str, usable))}")


def retry_lost(searched: FinishedSearch, plan: CrossvalPlan, folds: Folds) -> None:
    """Forget the ends of folds whose worker died: they may be tried again; a loss that diverged may not."""
    for job in _jobs(plan, folds):
        folder = searched.run.fold(job.trial, job.fold)
        record = folder.record()
        if record is not None and record.state == FAILED and (record.reason or "").startswith(LOST):
            folder.delete(folder.RECORD)


def jobs_left(searched: FinishedSearch, plan: CrossvalPlan, folds: Folds) -> list[Job]:
    """Jobs that have not ended, those under way first."""
    folders = {job: searched.run.fold(job.trial, job.fold) for job in _jobs(plan, folds)}
    left = [job for job, folder in folders.items() if not folder.exists(folder.RECORD)]
    return sorted(left, key=lambda job: not folders[job].exists(folders[job].CHECKPOINT))


def _jobs(plan: CrossvalPlan, folds: Folds) -> list[Job]:
    return [Job(number, fold) for number in plan.trials for fold in range(len(folds))]

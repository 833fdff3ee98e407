"""The step of a study that trains the best settings on every fold."""

from dataclasses import replace
from itertools import islice

from medray.console import say
from medray.crossval.plan import TOP, CrossvalOptions
from medray.crossval.print_crossval import print_crossval_result
from medray.crossval.run_crossval import run_crossval
from medray.data.folds import FOLD_COUNT
from medray.data.listing.listing import TRAIN, VAL
from medray.ensemble.candidates import trial_pool
from medray.errors import DataError, RunError
from medray.runs.crossval_documents import CrossvalPlan
from medray.runs.finished_search import FinishedSearch
from medray.runs.fold_results import read_crossval_trials
from medray.runs.leaderboard import distinct, rank, usable
from medray.runs.rundir import RunDir
from medray.runs.trial_record import FAILED, TrialRecord
from medray.study.steps.share_time import FoldTimes, seconds_for_folds, slots_used
from medray.study.steps.study_step import StudyContext
from medray.tasks import SINGLE
from medray.text import clock, plural

LEFT_OUT = "left out: there was no time for the best setting on all folds"


class FoldsStep:
    """The best settings on all folds: three, or as many as there is time for.

    A search that went on may have others: they are added to those that are there.
    """

    name = "folds"

    def done(self, study: StudyContext) -> str | None:
        """Return settings, folds and the best score where every fold of the best settings has ended.

        Raises:
            RunError: the folds are of another number than the one asked for.
        """
        searched, crossval = study.searched(), study.run.crossval
        if searched is None or not crossval.exists(crossval.PLAN):
            return None
        plan, asked = crossval.read_plan(), study.options.folds
        if plan.folds and asked not in (None, plan.folds):
            raise RunError(f"--folds {asked}: {crossval.location} was started with {plan.folds}")
        if not plan.folds or _new_settings(study, searched, plan):
            return None
        complete = all(_has_ended(study.run, number, plan.folds) for number in plan.trials)
        trials = read_crossval_trials(searched.run, searched.data.cases) if complete else []
        return _summary(searched) if complete and (not trials or crossval.exists(crossval.ISSUES)) else None

    def plan(self, study: StudyContext) -> str:
        """Return how many settings and folds there will be, and the time where it is known."""
        options, searched = study.options, study.searched()
        top, folds = options.top or TOP, options.folds or FOLD_COUNT
        if searched is not None and study.run.crossval.exists(study.run.crossval.PLAN):
            plan = study.run.crossval.read_plan()
            new = _new_settings(study, searched, plan)
            more = f", and {plural(len(new), 'setting')} more that the search has found" if new else ""
            return f"{plural(len(plan.trials), 'setting')} on {plan.folds} folds, as begun{more}"
        if searched is None:
            fit = ", or as many as fit in the time that is left" if options.hours and not options.top else ""
            return f"{_settings(top)} on {folds} folds{fit}"
        times = _times(searched, options.folds, top)
        return f"{_settings(len(times.best))} on {times.folds} folds, about {clock(times.seconds(top))}"

    def work(self, study: StudyContext) -> str | None:
        """Train the folds, or go on with them."""
        options, crossval, searched = study.options, study.run.crossval, study.searched()
        assert searched is not None  # the search is the step before
        plan = crossval.read_plan() if crossval.exists(crossval.PLAN) else None
        times = _times(searched, plan.folds if plan else options.folds, options.top or TOP)
        if plan:
            times = replace(times, best=_new_settings(study, searched, plan))
        top = len(times.best)
        if top and options.hours is not None and options.top is None:
            begun = _seconds_open(study.run, searched, plan, times) if plan else 0.0
            left = max(0.0, seconds_for_folds(options.hours, study.used()) - begun)
            top = times.that_fit(left)
            if not top:
                which = f"trial {times.best[0].number}, which is new" if plan else "the best setting"
                later = f" --resume --trial {times.best[0].number}" if plan else ""
                say(
                    study.console,
                    f"Folds are left out: those of {which} take about {clock(times.seconds(1))}, and "
                    f"{clock(left)} are left; later: medray crossval {study.run.location}{later}",
                )
                if not plan:
                    return LEFT_OUT
        chosen = tuple(record.number for record in times.best[:top])
        given = CrossvalOptions(
            study.run.location, top=None if plan else top, folds=plan.folds if plan else times.folds,
            trials=chosen if plan else (), seed=options.seed, data=options.data,
            concurrency=options.concurrency, resume=plan is not None, address=options.address,
            min_gpus=options.min_gpus, runner=options.runner, track=options.track, verbose=options.verbose,
        )  # fmt: skip
        try:
            result = run_crossval(given, study.console)
        except DataError as error:
            if plan or options.folds is not None:
                raise
            say(study.console, f"Folds are left out: {error}; --folds says how many there shall be")
            return f"left out: {error}"
        print_crossval_result(result, study.console, hints=False)
        return None if result.left else _summary(searched)


def _new_settings(study: StudyContext, searched: FinishedSearch, plan: CrossvalPlan) -> tuple[TrialRecord, ...]:
    """Return the trials whose settings are among the best and not in a plan, best first.

    There are none where the search is as it was when the plan was made, unless `--top` asks for more than it has.
    """
    top = study.options.top or TOP
    if len(searched.records) <= plan.of_trials and (study.options.top or 0) <= len(plan.trials):
        return ()
    best = trial_pool(searched.run, searched.records, searched.space.mode, top).candidates
    return tuple(c.members[0].record for c in best if c.number not in plan.trials)


def _seconds_open(run: RunDir, searched: FinishedSearch, plan: CrossvalPlan, times: FoldTimes) -> float:
    """Return what the folds of a plan that have not ended are expected to take."""
    records = {record.number: record for record in searched.records}
    seconds = [
        times.fold_seconds(records[number])
        for number in plan.trials
        for fold in range(plan.folds or 0)
        if run.fold(number, fold).record() is None
    ]
    return sum(seconds) / times.slots


def _has_ended(run: RunDir, number: int, folds: int) -> bool:
    """Return whether a setting has nothing left to do: all folds, and what is made of them."""
    records = [run.fold(number, fold).record() for fold in range(folds)]
    ended = [record for record in records if record is not None and not record.worker_died]
    failed = any(record.state == FAILED for record in ended)
    return len(ended) == folds and (failed or run.crossval.trial(number).exists(run.crossval.SUMMARY))


def _settings(count: int) -> str:
    return "the best setting" if count == 1 else f"the best {count} settings"


def _summary(searched: FinishedSearch) -> str:
    trials = read_crossval_trials(searched.run, searched.data.cases)
    if not trials:
        return "no setting has all of its folds"
    settings, folds = plural(len(trials), "setting"), plural(len(trials[0].records), "fold")
    return f"{settings} on {folds}, the best with mean {searched.space.metric} {trials[0].objective:.4f}"


def _times(searched: FinishedSearch, folds: int | None, top: int) -> FoldTimes:
    """Return what folds take, by the search's own times: as many as were asked for, or as the data allow."""
    data = searched.data
    pool = [data.splits[split] for split in (TRAIN, VAL)]
    if folds is None:
        fewest = min(map(sum, zip(*(split.classes for split in pool), strict=True)))
        folds = data.folds or (
            max(2, min(FOLD_COUNT, fewest)) if searched.space.task == SINGLE.name else FOLD_COUNT
        )
    images = sum(split.images for split in pool)
    return FoldTimes(
        best=tuple(islice(distinct(rank(usable(searched.records), searched.space.mode)), top)),
        folds=folds,
        growth=images * (folds - 1) / folds / pool[0].images,
        slots=slots_used(searched.records, searched.run.read_state().seconds),
    )

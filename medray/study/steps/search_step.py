"""The step of a study that searches the hyperparameters."""

import time
from collections.abc import Iterable

from medray.errors import RunError, TooShortError
from medray.runs.finished_search import FinishedSearch
from medray.runs.leaderboard import rank, usable
from medray.runs.trial_record import TrialRecord
from medray.search.print_search import print_search_result
from medray.search.run_search import run_search
from medray.search.search_options import SearchOptions
from medray.search.time_limit import HOUR_S, rounded_up
from medray.study.steps.share_time import hours_of_search, hours_of_study
from medray.study.steps.study_step import StudyContext
from medray.text import clock, plural


class SearchStep:
    """Trials, until their number or their share of the time is used; a run that is there is resumed."""

    name = "search"

    def done(self, study: StudyContext) -> str | None:
        """Return the number of trials and the best score."""
        searched = study.searched()
        if searched is None or _asks_for_more(study, searched) or _was_interrupted(searched):
            return None
        return _summary(searched.records, searched.space.metric, searched.space.mode)

    def plan(self, study: StudyContext) -> str:
        """Return trials and time at most."""
        trials, hours = self._amount(study)
        amounts = [] if trials is None else [f"{plural(trials, 'trial')} of at most {self._epochs(study)} epochs"]
        if hours is not None:
            amounts.append(f"at most {clock(hours * HOUR_S)}")
        if study.run.begun():
            amounts.append(f"{plural(sum(1 for _ in study.run.records()), 'trial')} have ended already")
        return ", ".join(amounts)

    def work(self, study: StudyContext) -> str | None:
        """Search, or go on with it."""
        options, begun, before = study.options, study.run.begun(), time.monotonic()
        trials, hours = self._amount(study)
        given = SearchOptions(
            study.space_path, data=options.data, trials=trials, hours=hours,
            max_epochs=options.max_epochs, seed=options.seed,
            concurrency=options.concurrency, out=study.run.location, resume=begun, allow_leaks=options.allow_leaks,
            address=options.address, min_gpus=options.min_gpus, runner=options.runner, track=options.track,
            verbose=options.verbose,
        )  # fmt: skip
        if begun:
            self._check_more(study, hours)
        try:
            result = run_search(given, study.console)
        except TooShortError as error:
            least = rounded_up(hours_of_study(error.least))
            raise error.told(f"give --hours {least:g} or more", ", the search's part,") from None
        study.searching += time.monotonic() - before
        print_search_result(result, study.console, hints=False)
        return None if result.interrupted else _summary(result.records, study.space.metric, study.space.mode)

    def _amount(self, study: StudyContext) -> tuple[int | None, float | None]:
        """Return trials and hours: those of the space where neither is given."""
        options, budget = study.options, study.space.budget
        if options.trials is None and options.hours is None:
            return budget.trials, budget.hours
        return options.trials, hours_of_search(options.hours)

    def _check_more(self, study: StudyContext, hours: float | None) -> None:
        """Check that another amount of time is more than the search has used already.

        Raises:
            RunError: it is not.
        """
        before, used = study.run.read_facts().options.hours, study.run.read_state().seconds / HOUR_S
        if study.options.hours is not None and hours is not None and hours != before and hours <= used:
            raise RunError(
                f"--hours {study.options.hours:g}: half of it is the search's, and {study.run.location} has used "
                f"{used:.2g} hours already; give more than {rounded_up(hours_of_study(used)):g}"
            )

    def _epochs(self, study: StudyContext) -> int:
        return study.options.max_epochs or study.space.budget.max_epochs


def _was_interrupted(searched: FinishedSearch) -> bool:
    """Return whether trials still ran as a search whose time was over, or that was flat, was broken off."""
    ended = {record.number for record in searched.records}
    return searched.run.read_state().ended_by is not None and not ended >= {*searched.run.trial_numbers()}


def _asks_for_more(study: StudyContext, searched: FinishedSearch) -> bool:
    """Return whether the options ask for more trials or time than a search had that is finished.

    Trials are compared with those that have ended where it was bounded by time alone. Hours do not reopen one that
    was bounded by the number of trials: they may be meant for what comes behind it.
    """
    before, trials, hours = searched.options, study.options.trials, hours_of_search(study.options.hours)
    if trials is not None and trials > (len(searched.records) if before.trials is None else before.trials):
        return True
    return hours is not None and before.hours is not None and hours > before.hours


def _summary(records: Iterable[TrialRecord], metric: str, mode: str) -> str:
    records = list(records)
    ranked = rank(usable(records), mode)
    best = f", the best with val {metric} {ranked[0].objective:.4f}" if ranked else ""
    return f"{plural(len(records), 'trial')}{best}"

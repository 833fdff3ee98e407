"""A study from its data to its report: each step goes on where the run's files say that it stopped.

data        the search space: one that is there, or a new one by a look at the images
search      trials until their number, or their half of the time, is used
folds       the best settings on all folds, as many as there is time for
ensemble    members, temperature, operating points and sets
report      one HTML file

The test split is not read: `medray evaluate` does that, once, when all is decided.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console

from medray.console import say, step
from medray.data.source import parse_source
from medray.errors import ConfigError
from medray.runs.lock import held
from medray.runs.run_data import load_run_data
from medray.runs.rundir import RunDir
from medray.search.open_run import open_run
from medray.search.search_options import SearchOptions
from medray.shown import Shown
from medray.stats.events import Event
from medray.study.steps.ensemble_step import EnsembleStep
from medray.study.steps.folds_step import FoldsStep
from medray.study.steps.report_step import ReportStep
from medray.study.steps.search_step import SearchStep
from medray.study.steps.study_options import StudyOptions
from medray.study.steps.study_space import find_or_write_space
from medray.study.steps.study_step import StudyContext, StudyStep
from medray.tasks import TASKS
from medray.text import clock
from medray.track.follow import send

DATA = "data"
STEPS: tuple[StudyStep, ...] = (SearchStep(), FoldsStep(), EnsembleStep(), ReportStep())


@dataclass(frozen=True)
class StudyResult(Shown):
    """How far a study has come: its run, the file of its space, and by its name what each step has left.

    `interrupted` is the step that was broken off, None where none was; the same call goes on with it.
    """

    printer = "medray.study.steps.run_study:print_study_result"

    run: RunDir
    space: str
    steps: dict[str, str]
    interrupted: str | None = None

    def __repr__(self) -> str:
        steps = "; ".join(f"{name}: {text}" for name, text in self.steps.items())
        return f"<StudyResult of {self.run.location}: {steps}>"


def run_study(options: StudyOptions, console: Console) -> StudyResult:
    """Do the steps of a study that its files do not have yet; progress goes to `console`.

    Raises:
        MedrayError: an option, the space, the data or the run is wrong, or all trials failed; nothing that was
            done is lost.
    """
    began = time.monotonic()
    space, data = find_or_write_space(options, console)
    study = StudyContext(options, space, console, began)
    _check_same_search(study)
    _check_points(study)
    left, before = {DATA: data}, {current.name: current.done(study) for current in STEPS}
    _print_plan(study, data, before)
    for number, current in enumerate(STEPS, 2):
        done = current.done(study) if study.changed else before[current.name]
        if done is None:
            say(console, f"\n-- {current.name}, step {number} of {len(STEPS) + 1}, after {clock(study.used())}")
            done, study.changed = current.work(study), True
        if done is None:
            return StudyResult(study.run, space, left, interrupted=current.name)
        left[current.name] = done
    if study.changed and options.track:
        with held(study.run, console):
            send(study.run, options.track, console)  # the ensemble, which is newer than what the search sent
    return StudyResult(study.run, space, left)


def _check_same_search(study: StudyContext) -> None:
    """Check that a search that has begun is the one that the options and the search space ask for.

    Raises:
        RunError: it was started with another space, seed or number of epochs.
    """
    options = study.options
    if study.run.begun():
        open_run(
            SearchOptions(
                study.space_path,
                max_epochs=options.max_epochs,
                seed=options.seed,
                out=study.run.location,
                resume=True,
            )
        )


def _check_points(study: StudyContext) -> None:
    """Check what operating points call before hours of training: the images are read, which the search needs too.

    Raises:
        ConfigError: points are asked for and no class, or one that the data do not have.
    """
    options, task = study.options, TASKS[study.space.task]
    if not options.rules or (options.positive is None and task.label_sets):
        return
    if options.positive is None:
        raise ConfigError("an operating point needs the class that it calls: add --positive CLASS")
    if study.run.begun():
        names = study.run.read_data().class_names
    else:
        with step(study.console, f"Looking for the class '{options.positive}'") as progress:
            source = str(parse_source(options.data or study.space.data))
            names = load_run_data(source, study.space, progress).class_names
    Event.named(options.positive, names, cut=task.cuts)


def _print_plan(study: StudyContext, data: str, before: Mapping[str, str | None]) -> None:
    """Print what is done and what will be done, step by step."""
    hours = study.options.hours
    limit = f", about {hours:g} hours, of which {clock(study.used())} are used" if hours else ""
    say(study.console, f"\nstudy {study.space.name}, in {study.run.location}{limit}")
    lines = [(DATA, "done", data)]
    for current in STEPS:
        done = before[current.name]
        state, text = ("to do", current.plan(study)) if done is None else ("done", done)
        lines.append((current.name, state, text))
    for name, state, text in lines:
        say(study.console, f"  {name:9} {state:6} {text}")
    say(
        study.console,
        f"  {'test':9} {'sealed':6} medray evaluate {study.run.location} reads it, once, when all is decided",
    )


def print_study_result(result: StudyResult, console: Console, again: str = "the same call") -> None:
    """Print what each step has left and the command that comes next; `again` is the one that goes on."""
    say(console, f"\nstudy in {result.run.location}")
    for name, text in result.steps.items():
        say(console, f"  {name:9} {text}")
    if result.interrupted:
        say(console, f"The step {result.interrupted} is not finished; go on with: {again}")
    else:
        say(console, f"Next, and only when all is decided: medray evaluate {result.run.location}")

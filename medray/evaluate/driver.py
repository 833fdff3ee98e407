"""The one place that reads the test split: on purpose, once a run, and never to choose by."""

from dataclasses import dataclass
from typing import Any

from rich.console import Console

from medray.errors import RunError
from medray.evaluate.contestants import combine, find_contestants, predict_members
from medray.evaluate.figures import all_figures
from medray.evaluate.readings import ensemble_fingerprint, next_reading, readings
from medray.runs import RunDir
from medray.searched import SearchedRun, open_searched
from medray.terminal import step

TEST = "test"


@dataclass(frozen=True)
class EvaluateOptions:
    """The command line, None where an option was not given."""

    run: str
    again: bool = False
    data: str | None = None
    seed: int = 0


@dataclass(frozen=True)
class Evaluation:
    """The figures, and whether they come from the store; `count` is how often the split was read."""

    run: RunDir
    metric: str
    figures: dict[str, Any]
    stored: bool
    count: int


def run_evaluate(options: EvaluateOptions, console: Console) -> Evaluation:
    """Read the test split and measure every model on it; or answer from the store.

    Raises:
        MedrayError: something a person can mend is wrong.
        RunError: the split was read for another ensemble, and reading it once more was not asked for.
    """
    searched = open_searched(options.run)
    run = searched.run
    with run.claimed():
        try:
            contestants = find_contestants(searched)
            if not options.again and (answer := _from_store(searched)) is not None:
                return answer
            dataset = searched.load_data(options.data)
            images = dataset.split(TEST)
            reading = next_reading(run)
            reading.begin(ensemble_fingerprint(run), dataset.fingerprint)
            with step(console, f"Measuring {len(contestants)} models on {len(images)} test images"):
                answers = predict_members(run, dataset, images, contestants)
                predictions = {contestant.name: combine(contestant, answers) for contestant in contestants}
                metric = searched.space.metric
                figures = all_figures(
                    run, dataset, images.positions, predictions, contestants, metric, options.seed
                )
            figures = {**reading.begun(), "metric": metric, **figures}
            reading.write(figures, images.own_labels, predictions)
            return Evaluation(run, metric, figures, stored=False, count=len(readings(run)))
        except OSError as error:
            raise RunError(f"{run.location}: {error.strerror or error}") from error


def _from_store(searched: SearchedRun) -> Evaluation | None:
    """The last whole reading; None where there is none.

    Raises:
        RunError: it is of another ensemble than the run has now.
    """
    run, past = searched.run, readings(searched.run)
    whole = [(reading, scores) for reading in past if (scores := reading.scores()) is not None]
    if not past:
        return None
    if not whole:
        raise RunError(
            f"the test split of {run.location} was read on {past[-1].begun()['time']}, which broke off: "
            "--again reads it once more, and is counted"
        )
    reading, scores = whole[-1]
    if scores["ensemble"] != ensemble_fingerprint(run):
        raise RunError(
            f"the test split of {run.location} was read on {scores['time']} for another ensemble than the present "
            f"one; those figures are in {reading.folder.location}; --again reads it once more, and is counted"
        )
    return Evaluation(run, searched.space.metric, scores, stored=True, count=len(past))

"""The one place that reads the test split: on purpose, once a run, and never to choose by."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console

from medray._types import Array
from medray.console import step
from medray.data.dataset import ImageDataset
from medray.ensemble.manifest import read_manifest
from medray.errors import ConfigError, RunError
from medray.evaluate import measure_models
from medray.evaluate.evaluated_models import (
    Contestant,
    baseline_name,
    combine,
    find_contestants,
    networks_of,
    predict_members,
)
from medray.evaluate.measure_models import all_figures, check_resamples, read_decisions
from medray.evaluate.published_scores import beside
from medray.evaluate.test_reads import Reading, ensemble_fingerprint, next_reading, readings
from medray.runs.finished_search import SearchedRun, open_searched
from medray.runs.lock import held
from medray.runs.rundir import RunDir
from medray.space.published import TEST, TRAIN

SEED = 0


@dataclass(frozen=True)
class EvaluateOptions:
    """The command line, None where an option was not given."""

    run: str
    again: bool = False
    data: str | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Evaluation:
    """The figures, and whether they come from the store; `count` is how often the split was read.

    `published` lays what a report says beside them; None where the search space has none.
    """

    run: RunDir
    figures: dict[str, Any]
    reading: Reading
    stored: bool
    count: int
    published: dict[str, Any] | None = None


def run_evaluate(options: EvaluateOptions, console: Console) -> Evaluation:
    """Read the test split and measure every model on it; or answer from the store.

    Raises:
        MedrayError: something a person can mend is wrong.
        RunError: the split was read for another ensemble, and reading it once more was not asked for.
    """
    searched = open_searched(options.run)
    run = searched.run
    with held(run, console):
        try:
            ensemble = ensemble_fingerprint(run)
            answer = None if options.again else _from_store(run, ensemble, options.seed)
            answer = answer or _read(searched, ensemble, options, console)
            return replace(answer, published=beside(searched, answer.reading))
        except OSError as error:
            raise RunError(f"{run.location}: {error.strerror or error}") from error


def _from_store(run: RunDir, ensemble: str, seed: int | None) -> Evaluation | None:
    """The last whole reading of this ensemble; None where the split has not been read.

    Raises:
        RunError: it was read, but that broke off, or was for another ensemble than the run has now.
        ConfigError: its intervals are of another seed than the one that was asked for.
    """
    past, once_more = readings(run), "--again reads it once more, and is counted"
    if not past:
        return None
    others = []
    for reading in reversed(past):
        scores = reading.scores()
        if scores is None:
            continue
        if scores["ensemble"] == ensemble:
            if seed not in (None, scores["seed"]):
                raise ConfigError(f"the stored intervals are of --seed {scores['seed']}, not {seed}: {once_more}")
            return Evaluation(run, scores, reading, stored=True, count=len(past))
        others.append((reading, scores["time"]))
    if not others:
        time = past[-1].begun()["time"]
        raise RunError(f"the test split of {run.location} was read on {time}, which broke off: {once_more}")
    reading, time = others[0]
    raise RunError(
        f"the test split of {run.location} was read on {time} for another ensemble than the present one; those "
        f"figures are in {reading.folder.location}; {once_more}"
    )


def _read(searched: SearchedRun, ensemble: str, options: EvaluateOptions, console: Console) -> Evaluation:
    """Ask every network about the test images, then hold the answers against the labels."""
    run, seed = searched.run, SEED if options.seed is None else options.seed
    manifest = read_manifest(run.ensemble)
    contestants = find_contestants(searched, manifest)
    decisions = read_decisions(run, manifest)
    with step(console, f"Loading {options.data or searched.options['data']}") as told:
        dataset = searched.load_data(options.data, told)
    images = dataset.split(TEST)
    check_resamples(dataset, images.positions)
    networks = networks_of(contestants)
    with step(console, f"Asking {len(networks)} networks about {len(images)} test images"):
        answers = predict_members(run, manifest, dataset, images, networks)
        predictions = {contestant.name: combine(contestant, answers) for contestant in contestants}
    trained = _on_train(searched, manifest, dataset, contestants, console)
    reading = next_reading(run)
    reading.begin(ensemble, dataset.fingerprint)
    with step(console, f"Measuring {len(contestants)} models, each {measure_models.RESAMPLES} times resampled"):
        metric = searched.space.metric
        found = all_figures(dataset, images.positions, predictions, contestants, decisions, metric, seed)
    leaks = [leak["text"] for leak in searched.data["leaks"]]
    scores = {**reading.begun(), "seed": seed, "metric": metric, "leaks": leaks, **found}
    if trained:
        reading.write_predictions(TRAIN, dataset.split(TRAIN).own_labels, trained)
    reading.write(scores, images.own_labels, predictions)
    return Evaluation(run, scores, reading, stored=False, count=len(readings(run)))


def _on_train(
    searched: SearchedRun, manifest: dict[str, Any], dataset: ImageDataset, contestants: Sequence[Contestant],
    console: Console,
) -> dict[str, Array]:  # fmt: skip
    """What those baselines say of the training images of which a report has published figures there."""
    published = searched.space.published
    if published is None:
        return {}
    wanted = {name for model in published.models if TRAIN in model.figures for name in model.baselines}
    names = {baseline_name(record) for record in searched.records if record.baseline in wanted}
    own = [contestant for contestant in contestants if contestant.name in names]
    if not own:
        return {}
    images, networks = dataset.split(TRAIN), networks_of(own)
    with step(console, f"Asking {len(networks)} baselines about {len(images)} training images"):
        answers = predict_members(searched.run, manifest, dataset, images, networks)
    return {contestant.name: combine(contestant, answers) for contestant in own}

"""The only code that reads the test split: on request, counted over all runs, never to select by it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from rich.console import Console

from medray._types import Array
from medray.console import say, step
from medray.console_tables import interval
from medray.data.dataset import ImageDataset
from medray.ensemble.manifest import Manifest, read_manifest
from medray.errors import ConfigError, RunError, os_error_line
from medray.evaluate.evaluated_models import (
    ENSEMBLE,
    EvaluatedModel,
    evaluated_models,
    network_keys,
    predict_members,
)
from medray.evaluate.measure_models import check_resamples, measure_models
from medray.evaluate.published_scores import PublishedComparison, compare_published
from medray.evaluate.read_count import ReadCount, count_reads
from medray.evaluate.read_registry import register
from medray.evaluate.reviewed_scores import review
from medray.evaluate.scores_document import ReadFacts, ReadScores
from medray.evaluate.test_reads import TestRead, ensemble_fingerprint, new_read, stored_reads
from medray.evaluate.tracked_reads import test_read_entries
from medray.evaluate.without_copies import copied_images, measure_without_copies
from medray.runs.finished_search import FinishedSearch, open_finished_search
from medray.runs.lock import held
from medray.runs.rundir import RunDir
from medray.shown import Shown
from medray.space.published import TEST, TRAIN
from medray.stats.label_set_predictions import predictions_of
from medray.tasks import TASKS
from medray.text import plural
from medray.track.follow import send
from medray.track.trackers import check_trackers

SEED = 0


@dataclass(frozen=True)
class EvaluateOptions:
    """The command line; None where an option was not given."""

    run: str
    again: bool = False
    data: str | None = None
    seed: int | None = None
    track: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_trackers(self.track)


@dataclass(frozen=True)
class Evaluation(Shown):
    """The scores of one read of the test split; `stored` says that it was not read now, `reads` how often ever.

    `published` compares them with a report; None where the search space names none.
    """

    printer = "medray.evaluate.print_evaluation:print_result"

    run: RunDir
    scores: ReadScores
    read: TestRead
    stored: bool
    reads: ReadCount
    published: PublishedComparison | None = None

    def __repr__(self) -> str:
        metric, reads = self.scores.metric, plural(self.reads.total, "time")
        score = f"test {metric} {interval(self.scores.models[0].scores[metric])}"
        units = plural(self.scores.answered, self.scores.unit)
        return f"<Evaluation of {self.run.location}: {score} on {units}, read {reads}>"


def run_evaluate(options: EvaluateOptions, console: Console) -> Evaluation:
    """Read the test split and measure every model on it, or return the stored scores.

    Raises:
        MedrayError: something a person can correct is wrong.
        RunError: the split was read for another ensemble, and `options.again` is not set.
    """
    search = open_finished_search(options.run)
    run = search.run
    with held(run, console):
        try:
            ensemble = ensemble_fingerprint(run)
            evaluation = None if options.again else _stored_evaluation(run, ensemble, options.seed)
            evaluation = evaluation or _read_test_split(search, ensemble, options, console)
            evaluation = replace(evaluation, published=compare_published(search, evaluation.read))
            send(run, options.track, console, partial(test_read_entries, run))
            return evaluation
        except OSError as error:
            raise RunError(os_error_line(error, run.location)) from error


def _stored_evaluation(run: RunDir, ensemble: str, seed: int | None) -> Evaluation | None:
    """Return the last finished read for this ensemble, None where the split has not been read.

    Raises:
        RunError: it was read, but the read was interrupted or was for another ensemble than the present one.
        ConfigError: its intervals are of another seed than `seed`.
    """
    reads, hint = stored_reads(run), "--again reads it once more, and is counted"
    if not reads:
        return None
    others = []
    for read in reversed(reads):  # a damaged one is not in the way of a newer one
        scores = read.scores()
        if scores is None:
            continue
        if scores.ensemble == ensemble:
            if seed not in (None, scores.seed):
                raise ConfigError(f"the stored scores are of --seed {scores.seed}, not {seed}: {hint}")
            return Evaluation(run, scores, read, stored=True, reads=count_reads(run))
        others.append((read, scores.time))
    if not others:
        time = reads[-1].facts().time
        raise RunError(f"the test split of {run.location} was read on {time}, which was interrupted: {hint}")
    read, time = others[0]
    raise RunError(
        f"the test split of {run.location} was read on {time} for another ensemble than the present one; those "
        f"scores are in {read.folder.location}; {hint}"
    )


def _read_test_split(
    search: FinishedSearch, ensemble: str, options: EvaluateOptions, console: Console
) -> Evaluation:
    """Predict the test images with every network, then begin a read and measure the predictions."""
    run, seed = search.run, SEED if options.seed is None else options.seed
    manifest = read_manifest(run.ensemble)
    models = evaluated_models(search, manifest)
    with step(console, f"Loading {options.data or search.options.data}") as progress:
        dataset = search.load_data(options.data, progress)
    images = dataset.split(TEST)
    test = (dataset.original or dataset).split(TEST).fingerprint  # the same for runs at different image sizes
    if warning := count_reads(run, test).warning:
        say(console, warning)
    check_resamples(dataset, images.positions)
    networks = network_keys(models)
    with step(console, f"Predicting {len(images)} test images with {len(networks)} networks"):
        by_network = predict_members(run, manifest, dataset, images, networks)
        answers_of = {key: images.answers(table) for key, table in by_network.items()}
        predictions = {model.name: model.combine(answers_of) for model in models}
        of_images = {key: table.probabilities for key, table in by_network.items()}
        by_image = None if dataset.cases is None else models[0].combine(of_images)
    train_predictions = _predict_train(search, manifest, dataset, models, console)
    copied = np.zeros(len(images), dtype=bool)
    if search.data.leaks:  # else the search has found none
        with step(console, "Looking for copies of test images in other splits") as progress:
            copied = copied_images(dataset, progress)
    read = new_read(run)
    facts = _begin(read, run, (ensemble, dataset.fingerprint, test), console)
    with step(console, f"Measuring {len(models)} models"):
        scores = measure_models(
            dataset, images.positions, predictions, models, search.space.task, search.space.metric, seed,
            points=manifest.operating_points, conformal=manifest.conformal_sets, by_image=by_image,
        )  # fmt: skip
        groups = dataset.answered_groups(images.positions)
        answers = predictions_of(predictions[ENSEMBLE], images.answered_labels, len(dataset.class_names))
        rated = [(point, point.test) for point in scores.operating_points]
        reviewed = review(answers, dataset.class_names, rated, groups, seed, cuts=TASKS[search.space.task].cuts)
        without = measure_without_copies(
            dataset, copied, predictions[ENSEMBLE], models[0], search.space.task, search.space.metric, seed
        )
    leaks = tuple(leak.text for leak in search.data.leaks)
    read_scores = ReadScores(**vars(facts), **vars(scores), leaks=leaks, reviewed=reviewed, without_copies=without)
    if train_predictions:
        read.write_predictions(TRAIN, dataset.split(TRAIN).answered_labels, train_predictions)
    read.write(read_scores, images.answered_labels, predictions)
    return Evaluation(run, read_scores, read, stored=False, reads=count_reads(run))


def _begin(read: TestRead, run: RunDir, digests: tuple[str, str, str], console: Console) -> ReadFacts:
    """Begin a read of the ensemble, data and test split of these digests, and register it on this machine."""
    facts = read.begin(*digests)
    try:
        register(facts, run)
    except RunError as error:
        say(console, f"Runs that do not lie beside this one will not know of this read: {error}")
    return facts


def _predict_train(
    search: FinishedSearch, manifest: Manifest, dataset: ImageDataset, models: Sequence[EvaluatedModel],
    console: Console,
) -> dict[str, Array]:  # fmt: skip
    """Return predictions of the training images by the baselines of which a report has figures there, by name."""
    published = search.space.published
    if published is None:
        return {}
    names = {name for model in published.models if TRAIN in model.figures for name in model.baselines}
    baselines = [model for model in models if model.baseline in names]
    if not baselines:
        return {}
    images, networks = dataset.split(TRAIN), network_keys(baselines)
    with step(console, f"Predicting {len(images)} training images with {len(networks)} baselines"):
        by_network = {
            key: images.answers(table)
            for key, table in predict_members(search.run, manifest, dataset, images, networks).items()
        }
    return {model.name: model.combine(by_network) for model in baselines}

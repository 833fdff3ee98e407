"""Read another hospital's images once: measure the ensemble on them as it is. The test split is not read by it."""

from dataclasses import dataclass

import numpy as np
from rich.console import Console

from medray._types import Array
from medray.console import say, step
from medray.console_tables import interval
from medray.data.dataset import ImageDataset
from medray.decisions.ood import OodDetector
from medray.ensemble.ensemble import Ensemble
from medray.ensemble.manifest import Manifest
from medray.errors import DataError, RunError, os_error_line
from medray.evaluate.external.class_map import parse_map
from medray.evaluate.external.comparison import compare_with_internal
from medray.evaluate.external.copies import Copies, CopyCounts, find_copies
from medray.evaluate.external.documents import ExternalComparison, ExternalScores
from medray.evaluate.external.external_labels import none_label
from medray.evaluate.external.external_reads import ExternalRead, new_external_read, stored_external, times_read
from medray.evaluate.external.figures import figures_at, measure_figures
from medray.evaluate.external.load_external import ExternalImages, load_external
from medray.evaluate.external.recalibration import recalibrate_locally
from medray.evaluate.external.shifts import Shifts, class_shifts, column_shifts, look_shifts, median_size
from medray.evaluate.read_registry import register
from medray.evaluate.scores_document import ReadScores
from medray.evaluate.test_reads import ensemble_fingerprint, stored_reads
from medray.runs.finished_search import FinishedSearch, open_finished_search
from medray.runs.lock import held
from medray.runs.rundir import RunDir
from medray.shown import Shown
from medray.stats.patients import group_numbers
from medray.stats.rates import share_of
from medray.text import plural

SEED = 0


@dataclass(frozen=True)
class ExternalOptions:
    """The command line; `class_map` are THEIRS=OURS texts, `data` is where the run's own data have moved."""

    run: str
    source: str
    class_map: tuple[str, ...] = ()
    again: bool = False
    data: str | None = None
    seed: int | None = None


@dataclass(frozen=True)
class ExternalEvaluation(Shown):
    """The figures of one reading; `stored` says that the images were not read now.

    `by_run` and `by_others` are how often they were read. `internal` is the last read of the run's own test split
    by the same ensemble, None where there is none.
    """

    printer = "medray.evaluate.external.print_external:print_external"

    run: RunDir
    scores: ExternalScores
    read: ExternalRead
    stored: bool
    by_run: int
    by_others: int
    internal: ReadScores | None

    def __repr__(self) -> str:
        figures, metric, reads = (
            self.scores.figures,
            self.scores.metric,
            plural(self.by_run + self.by_others, "time"),
        )
        score = f"{metric} {interval(figures.scores[metric])} on {self.scores.sample} of {self.scores.source}"
        return f"<ExternalEvaluation of {self.run.location}: {score}, read {reads}>"

    @property
    def comparison(self) -> ExternalComparison | None:
        """The figures beside those of the run's own test split."""
        return None if self.internal is None else compare_with_internal(self.scores, self.internal)


def run_external(options: ExternalOptions, console: Console) -> ExternalEvaluation:
    """Read other images and measure the run's ensemble on them, or return the stored figures.

    Raises:
        MedrayError: something a person can correct is wrong.
    """
    search = open_finished_search(options.run)
    run, seed = search.run, SEED if options.seed is None else options.seed
    with held(run, console):
        try:
            digest = ensemble_fingerprint(run)
            ensemble = Ensemble.load(run.ensemble.location)
            none = none_label(search.space.preparation.labels, ensemble.class_names, search.space.task)
            class_map = parse_map(options.class_map, [*([none] if none else []), *ensemble.class_names])
            with step(console, f"Loading {options.source}") as progress:
                external = load_external(
                    options.source, ensemble.manifest, search.space.preparation, class_map, progress
                )
            mapped = {row.theirs: row.ours for row in external.classes}
            digests = (digest, external.dataset.fingerprint, external.content)
            stored = None if options.again else stored_external(run, digests, mapped, seed)
            read, scores = stored or _read_external(search, ensemble, digest, external, options, console)
            by_run, by_others = times_read(run, external.content)
            internal = internal_scores(run, digest)
            return ExternalEvaluation(run, scores, read, stored is not None, by_run, by_others, internal)
        except OSError as error:
            raise RunError(os_error_line(error, run.location)) from error


def internal_scores(run: RunDir, ensemble: str) -> ReadScores | None:
    """Return the last finished read of the test split by the ensemble of this digest, None where there is none."""
    for read in reversed(stored_reads(run)):
        scores = read.scores()
        if scores is not None and scores.ensemble == ensemble:
            return scores
    return None


def _read_external(
    search: FinishedSearch, ensemble: Ensemble, digest: str, external: ExternalImages, options: ExternalOptions,
    console: Console,
) -> tuple[ExternalRead, ExternalScores]:  # fmt: skip
    run, dataset, seed = search.run, external.dataset, SEED if options.seed is None else options.seed
    if dataset.groups is not None:
        group_numbers(dataset.groups, len(dataset))  # a missing patient is an error before anything counts
    answered, groups = dataset.at(np.arange(len(dataset))), dataset.answered_groups(np.arange(len(dataset)))
    numbers = None if dataset.cases is None else dataset.cases.numbers
    with step(console, f"Predicting {len(dataset)} images"):
        probabilities = ensemble.predict(dataset.images, numbers).probabilities
    run_data, copies, problem = _compare_images(search, dataset, options.data, console)
    units = np.arange(len(dataset)) if dataset.clusters is None else group_numbers(dataset.clusters, len(dataset))
    units = units if copies is None else copies.units
    first = np.arange(len(dataset)) if dataset.cases is None else dataset.cases.first
    read = new_external_read(run)
    facts = read.begin((digest, dataset.fingerprint, external.content), options.source, external.classes)
    try:
        register(facts, run)
    except RunError as error:
        say(console, f"Other runs will not know of this reading: {error}")
    manifest, names, task = ensemble.manifest, ensemble.class_names, search.space.task
    with step(console, "Measuring"):
        shifts = None
        if run_data is not None and copies is not None:
            shifts = _shifts(search, run_data, copies, external, ensemble.ood, options)
        scores = ExternalScores(
            **vars(facts),
            seed=seed,
            task=task,
            metric=search.space.metric,
            class_names=names,
            rule=dataset.case_rule,
            figures=measure_figures(
                probabilities, answered.answered_labels, names, task, groups, manifest.operating_points,
                manifest.conformal_sets, None if dataset.cases is None else len(dataset),
            ),
            recalibration=recalibrate_locally(
                probabilities, answered.answered_labels, names, units[first], groups, seed
            ),
            shifts=shifts,
            copies=None if copies is None else _count_copies(copies, external, probabilities, manifest, task),
            problem=problem,
            notes=dataset.notes,
        )  # fmt: skip
    read.write(scores, probabilities, answered.answered_labels)
    return read, scores


def _compare_images(
    search: FinishedSearch, dataset: ImageDataset, source: str | None, console: Console
) -> tuple[ImageDataset | None, Copies | None, str | None]:
    """Return the run's data and the copies between both; else why there is none."""
    with step(console, f"Comparing them with {source or search.options.data}") as progress:
        try:
            run_data = search.load_data(source, progress)
        except DataError as error:
            if source is not None:
                raise
            return None, None, f"{error} (--data says where the run's data are now)"
        try:
            return run_data, find_copies(run_data, dataset, progress), None
        except DataError as error:  # millions of images look the same
            return None, None, str(error)


def _shifts(
    search: FinishedSearch, run_data: ImageDataset, copies: Copies, external: ExternalImages,
    ood: OodDetector | None, options: ExternalOptions,
) -> Shifts:  # fmt: skip
    dataset = external.dataset
    flagged = None if ood is None else share_of(ood.flags(dataset.images), dataset.groups)
    return Shifts(
        images=len(copies.rows),
        classes=class_shifts(run_data, copies.rows, dataset),
        looks=look_shifts(copies.run, copies.external),
        run_size=median_size(options.data or search.options.data, run_data),
        external_size=external.size or median_size(options.source, external.dataset),
        columns=column_shifts(run_data, copies.rows, dataset),
        out_of_distribution=flagged,
        expected=None if ood is None else ood.facts.false_alarms,
    )


def _count_copies(
    copies: Copies, external: ExternalImages, probabilities: Array, manifest: Manifest, task: str
) -> CopyCounts:
    dataset, kept, left_out = external.dataset, np.arange(len(external.dataset)), copies.left_out
    labels, groups = dataset.at(kept).answered_labels, dataset.answered_groups(kept)
    kept = kept[~left_out]
    figures = None
    if left_out.any():
        rows = kept if dataset.cases is None else np.flatnonzero(~left_out[dataset.cases.first])
        figures = figures_at(
            rows, probabilities, labels, manifest.class_names, task, groups, manifest.operating_points,
            manifest.conformal_sets, None if dataset.cases is None else len(kept),
        )  # fmt: skip
    examples = tuple(f"{external.names[i]} is image {position} of the run" for i, position in copies.examples)
    return CopyCounts(
        seen=int(copies.seen.sum()),
        in_test=int(copies.in_test.sum()),
        left_out=int(left_out.sum()),
        images=len(kept),
        examples=examples,
        figures=figures,
    )

"""Build the ensemble of a run: compare selections of members, calibrate one, and set its operating points."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console

from medray.config import check_counts
from medray.console import say, step
from medray.decisions.ood import FEWEST
from medray.decisions.thresholds import Rule
from medray.ensemble.calibrate_ensemble import calibrate_selections
from medray.ensemble.candidates import FOLDS, SELECTED_ON, TRIALS, fold_pool, trial_pool
from medray.ensemble.looks_file import measure_run_looks
from medray.ensemble.manifest import Manifest
from medray.ensemble.ood_file import fit_run_ood
from medray.ensemble.selection import STRATEGIES, Selection, all_selections, compare_selections
from medray.ensemble.set_decisions import calibrate_sets, set_points
from medray.ensemble.strategies import LIBRARY
from medray.ensemble.write_ensemble import write_ensemble
from medray.errors import ConfigError, DataError, RunError, os_error_line, unknown_choice_line
from medray.runs.finished_search import FinishedSearch, open_finished_search
from medray.runs.fold_results import read_crossval_trials
from medray.runs.lock import held
from medray.runs.rundir import RunDir
from medray.runs.selection_facts import ALL_FOLDS, DEFAULT_K, TOP_K
from medray.shown import Shown
from medray.stats.events import Event
from medray.tasks import TASKS
from medray.text import plural

DEFAULT_COVERAGES = (0.9, 0.95)


@dataclass(frozen=True)
class EnsembleOptions:
    """The options of the command line, None where one was not given.

    Raises:
        ConfigError: `top_k` is below 1, the strategy or source is unknown, or a positive class is named without a
            rule for an operating point of it.
    """

    run: str
    strategy: str | None = None
    source: str | None = None
    top_k: int | None = None
    rules: tuple[Rule, ...] = ()
    positive: str | None = None
    coverages: tuple[float, ...] = ()
    data: str | None = None

    def __post_init__(self) -> None:
        check_counts(self, top_k=1)
        for kind, word, valid in (("strategy", self.strategy, STRATEGIES), ("source", self.source, SELECTED_ON)):
            if word is not None and word not in valid:
                raise ConfigError(unknown_choice_line(kind, word, valid))
        if self.positive is not None and not self.rules:
            raise ConfigError(
                "--positive says what an operating point calls: "
                "give --sensitivity, --youden or --cost-ratio with it"
            )


@dataclass(frozen=True)
class EnsembleResult(Shown):
    """The selections that were compared, and the one that the ensemble was made of.

    `without_point` are labels that an operating point was asked for and that no image tells.
    """

    printer = "medray.ensemble.print_ensemble:print_result"

    run: RunDir
    metric: str
    selections: list[Selection]
    selected: Selection
    manifest: Manifest
    without_point: list[str]

    def __repr__(self) -> str:
        members = plural(len(self.manifest.members), "member")
        points = ", ".join(point.name for point in self.manifest.operating_points) or "no operating point"
        return f"<EnsembleResult of {self.run.location}: {self.manifest.strategy}, {members}; {points}>"


def make_rules(sensitivities: Iterable[float], youden: bool, cost_ratios: Iterable[float]) -> tuple[Rule, ...]:
    """Return the rules of the operating points to set, each once.

    Raises:
        ConfigError: a sensitivity or a cost ratio is out of range.
    """
    rules = [
        *(Rule("sensitivity", value) for value in sensitivities),
        *([Rule("youden")] if youden else []),
        *(Rule("cost", value) for value in cost_ratios),
    ]
    return tuple(dict.fromkeys(rules))


def run_ensemble(options: EnsembleOptions, console: Console) -> EnsembleResult:
    """Select, calibrate and write the ensemble of a run whose search has finished.

    Raises:
        MedrayError: something a person can mend is wrong; the ensemble that was there is then as it was.
    """
    search = open_finished_search(options.run)
    with held(search.run, console):
        try:
            return _build(search, options, console)
        except OSError as error:
            raise RunError(os_error_line(error, search.run.location)) from error


def _build(search: FinishedSearch, options: EnsembleOptions, console: Console) -> EnsembleResult:
    run, metric, task = search.run, search.space.metric, TASKS[search.space.task]
    if options.rules and (options.positive is not None or not task.label_sets):
        Event.named(
            options.positive, search.data.class_names, cut=task.cuts
        )  # a slip is said before the networks are asked
    with step(console, "Comparing selections of members"):
        k = options.top_k or DEFAULT_K
        cases = search.data.cases
        trials = trial_pool(run, search.records, search.space.mode, max(k, LIBRARY), task.name, cases)
        if not trials.candidates:
            raise RunError(f"{run.location} has no trial to average: all of them failed")
        settings = read_crossval_trials(run, cases)
        selections = all_selections([trials, fold_pool(run, settings, task.name)], metric, k)
    index = _selected(options, selections)
    calibrated = calibrate_selections(search, selections, options.data, console)
    selections, answers = [c.selection for c in calibrated], calibrated[index]
    selected, names = answers.selection, search.data.class_names
    points, skipped = set_points(options.rules, options.positive, answers, names)
    conformal = calibrate_sets(options.coverages or DEFAULT_COVERAGES, answers, names)
    _measure_images(search, options, console)
    manifest = write_ensemble(run, selected, data=search.data, metric=metric, points=points, conformal=conformal)
    run.write_json(run.SELECTION, compare_selections(metric, selections, selected).to_dict())
    return EnsembleResult(run, metric, selections, selected, manifest, skipped)


def _measure_images(search: FinishedSearch, options: EnsembleOptions, console: Console) -> None:
    """Fit the run's out-of-distribution detector and measure its looks where its search left none.

    Too few images have no detector.
    """
    images = min(search.data.splits[split].images for split in ("train", "val"))
    run = search.run
    if run.exists(run.LOOKS) and (run.exists(run.OOD) or images < FEWEST):
        return
    try:
        with step(console, "Measuring what the images look like") as progress:
            dataset = search.load_data(options.data, progress)
            fit_run_ood(run, dataset)
            measure_run_looks(run, dataset)
    except DataError as error:
        if options.data is not None:
            raise
        say(console, f"Nothing will tell images unlike the study's: {error}; --data says where the data lies now")


def _selected(options: EnsembleOptions, selections: Sequence[Selection]) -> int:
    """Return the index of the selection that was asked for; folds rather than trials where both are there."""
    sources = {selection.source for selection in selections}
    source = options.source or (FOLDS if FOLDS in sources else TRIALS)
    strategy = options.strategy or TOP_K
    crossval_first = f"first: medray crossval {options.run}"
    if source not in sources:
        raise RunError(f"--from folds: {options.run} has no finished cross-validation; {crossval_first}")
    for index, selection in enumerate(selections):
        if (selection.strategy, selection.source) == (strategy, source):
            return index
    assert strategy == ALL_FOLDS
    needs = "--strategy folds averages the folds of one setting: it needs"
    if FOLDS in sources:
        raise ConfigError(f"{needs} --from folds")
    raise RunError(f"{needs} a cross-validation; {crossval_first}")

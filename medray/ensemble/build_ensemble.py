"""From a run to its ensemble: every way of choosing, the chosen one calibrated, and its operating points."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from medray.console import say, step
from medray.decisions.conformal import ConformalSets, calibrate
from medray.decisions.thresholds import OperatingPoint, Rule, set_point
from medray.ensemble.candidates import CHOSEN_ON, FOLDS, TRIALS, Pool, fold_pool, trial_pool
from medray.ensemble.manifest import write_ensemble
from medray.ensemble.ood_file import FACTS, learn_novelty
from medray.ensemble.selection import ALL_FOLDS, TOP_K, WAYS, Way, all_ways
from medray.ensemble.strategies import LIBRARY
from medray.errors import ConfigError, DataError, RunError, unknown_choice_line
from medray.runs.finished_search import SearchedRun, open_searched
from medray.runs.fold_results import PLAN, read_settings
from medray.runs.lock import held
from medray.runs.rundir import RunDir

DEFAULT_COVERAGES = (0.9, 0.95)
DEFAULT_K = 4


@dataclass(frozen=True)
class EnsembleOptions:
    """The command line, None where an option was not given."""

    run: str
    way: str | None = None
    source: str | None = None
    top_k: int | None = None
    rules: tuple[Rule, ...] = ()
    positive: str | None = None
    coverages: tuple[float, ...] = ()
    data: str | None = None


@dataclass(frozen=True)
class EnsembleResult:
    """Every way, the one that was chosen, and what was written of it."""

    run: RunDir
    metric: str
    ways: list[Way]
    chosen: Way
    manifest: dict[str, Any]
    points: list[OperatingPoint]
    conformal: list[ConformalSets]


def run_ensemble(options: EnsembleOptions, console: Console) -> EnsembleResult:
    """Choose, calibrate and write an ensemble of a run whose search has finished.

    Raises:
        MedrayError: something a person can mend is wrong; the ensemble that was there is then as it was.
    """
    searched = open_searched(options.run)
    run, space = searched.run, searched.space
    names: Sequence[str] = searched.data["class_names"]
    with held(run, console), _writing(run):
        with step(console, "Comparing ways to choose the members"):
            k = options.top_k or DEFAULT_K
            ways = all_ways(_pools(searched, k), space.metric, k)
        chosen = _chosen(options, ways)
        points = [
            set_point(rule, chosen.calibrated, chosen.labels, names, options.positive, chosen.chosen_on)
            for rule in options.rules
        ]
        _learn_novelty(searched, options, console)
        coverages = dict.fromkeys(options.coverages or DEFAULT_COVERAGES)
        conformal = [calibrate(chosen.calibrated, chosen.labels, coverage) for coverage in coverages]
        manifest = write_ensemble(
            run, chosen, data=searched.data, metric=space.metric, points=points, conformal=conformal
        )
        written = {"metric": space.metric, "chosen": [chosen.name, chosen.source]}
        run.write_json(run.WAYS, {**written, "ways": [way.to_dict() for way in ways]})
    return EnsembleResult(run, space.metric, ways, chosen, manifest, points, conformal)


def _learn_novelty(searched: SearchedRun, options: EnsembleOptions, console: Console) -> None:
    """Have the run know what its images look like; a search leaves that behind, unless an older medray ran it."""
    if searched.run.exists(FACTS):
        return
    try:
        with step(console, "Learning what the training images look like") as told:
            learn_novelty(searched.run, searched.load_data(options.data, told))
    except DataError as error:
        if options.data is not None:
            raise
        say(console, f"No image will be called out of distribution: {error}; --data says where the data lies now")


def _pools(searched: SearchedRun, k: int) -> list[Pool]:
    """As many trials as some way looks at, and every whole setting."""
    run, limit = searched.run, max(k, LIBRARY)
    pools = [trial_pool(run, searched.records, searched.space.mode, limit), fold_pool(run, read_settings(run))]
    if not pools[0].candidates:
        raise RunError(f"{run.location} has no trial to average: all of them failed")
    return pools


def _chosen(options: EnsembleOptions, ways: Sequence[Way]) -> Way:
    """The way that was asked for; folds rather than trials where both are there."""
    sources = {way.source for way in ways}
    source = options.source or (FOLDS if FOLDS in sources else TRIALS)
    name = options.way or TOP_K
    for what, word, valid in (("way", name, WAYS), ("source", source, CHOSEN_ON)):
        if word not in valid:
            raise ConfigError(unknown_choice_line(what, word, valid))
    if source not in sources:
        raise RunError(
            f"--from folds: {options.run} has no whole cross-validation ({PLAN}); "
            f"first: python -m medray.crossval {options.run}"
        )
    found = next((way for way in ways if (way.name, way.source) == (name, source)), None)
    if found is None:
        missing = "--way folds averages the folds of one setting: it needs "
        if FOLDS in sources:
            raise ConfigError(f"{missing}--from folds")
        raise RunError(f"{missing}a cross-validation; first: python -m medray.crossval {options.run}")
    assert name != ALL_FOLDS or source == FOLDS
    return found


@contextlib.contextmanager
def _writing(run: RunDir) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(f"{run.location}: {error.strerror or error}") from error

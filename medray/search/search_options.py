"""The options of a search: as given, with every blank filled in, and which may change when it is resumed."""

import dataclasses
from dataclasses import dataclass

from medray.cluster.runners import RAY
from medray.config import check_counts
from medray.data.source import parse_source
from medray.errors import ConfigError, RunError
from medray.runs.folder import locate
from medray.runs.run_facts import ResolvedOptions
from medray.runs.rundir import RunDir
from medray.runs.selection_facts import DEFAULT_K
from medray.space.combinations import check_combinations
from medray.space.search_space import HOURS, Budget, SearchSpace
from medray.space.yaml_fields import at
from medray.track.trackers import check_trackers


@dataclass(frozen=True)
class SearchOptions:
    """The options of the command line, None where one was not given.

    Raises:
        ConfigError: a number is too small or too large; a tracker is unknown, or its package missing.
    """

    space: str
    data: str | None = None
    trials: int | None = None
    hours: float | None = None
    stop_when_flat: bool | None = None
    max_epochs: int | None = None
    top_k: int | None = None
    seed: int | None = None
    concurrency: int | None = None
    out: str | None = None
    storage: str | None = None
    resume: bool = False
    baselines_only: bool = False
    allow_leaks: bool = False
    warm_start: tuple[str, ...] = ()
    address: str | None = None
    min_gpus: int | None = None
    runner: str = RAY
    track: tuple[str, ...] = ()
    verbose: bool = False

    def __post_init__(self) -> None:
        check_trackers(self.track)
        check_counts(self, trials=1, max_epochs=1, top_k=1, seed=0, concurrency=1, min_gpus=1)
        if self.hours is not None:
            with at("hours"):
                HOURS.check(self.hours)


def resolve_options(options: SearchOptions, space: SearchSpace) -> ResolvedOptions:
    """Return the options of a new search, blanks filled in from the search space.

    Raises:
        ConfigError: --baselines-only where there are none, or with --trials or --warm-start; --max-epochs too few
            for the settings that trials may draw.
    """
    if options.max_epochs is not None:
        try:
            check_combinations(space, options.max_epochs)
        except ConfigError as error:
            raise error.within(file=space.path).within(key=f"--max-epochs {options.max_epochs}") from None
    trials, hours = replaced_amount(options, space.budget)
    if options.baselines_only:
        if not space.baselines:
            raise ConfigError(f"--baselines-only: {space.path} has no baselines")
        if options.trials is not None:
            raise ConfigError("--baselines-only runs each baseline once; it can't be given with --trials")
        if options.warm_start:
            raise ConfigError("--baselines-only runs nothing else; it can't be given with --warm-start")
        trials = len(space.baselines)
    return ResolvedOptions(
        data=str(parse_source(options.data or space.data).absolute()),
        trials=trials,
        max_epochs=options.max_epochs or space.budget.max_epochs,
        top_k=options.top_k or DEFAULT_K,
        seed=options.seed or 0,
        concurrency=options.concurrency,
        baselines_only=options.baselines_only,
        hours=hours,
        stop_when_flat=space.budget.stop_when_flat if options.stop_when_flat is None else options.stop_when_flat,
        warm_start=tuple(dict.fromkeys(locate(run) for run in options.warm_start)),
    )


def replaced_amount(options: SearchOptions, before: Budget | ResolvedOptions) -> tuple[int | None, float | None]:
    """Return trials and hours: the options' where one of the two is given, else those of `before`.

    So `--hours` alone is bounded by time only, and `--trials` alone by their number only.
    """
    if options.trials is None and options.hours is None:
        return before.trials, before.hours
    return options.trials, options.hours


def resolve_resumed(options: SearchOptions, run: RunDir) -> ResolvedOptions:
    """Return the options of a run that is resumed.

    --trials, --hours, --stop-when-flat, --top-k, --concurrency and --data may change; hours are the total of all
    commands.

    Raises:
        RunError: another option differs from the run's, so many hours are used already, or the run's file is
            damaged.
    """
    before, used = run.read_facts().options, run.read_state().seconds / 3600
    if options.hours is not None and options.hours != before.hours and options.hours <= used:
        raise RunError(
            f"--hours {options.hours:g}: {run.location} has used {used:.2g} hours already, and --hours is the "
            "total: give more, or --trials"
        )
    warm_start = tuple(dict.fromkeys(locate(earlier) for earlier in options.warm_start))
    if warm_start and warm_start != before.warm_start:
        raise RunError(
            f"--warm-start: {run.location} was started with {', '.join(before.warm_start) or 'none'}, which can't "
            "change on --resume"
        )
    for flag, value, started_with in (
        ("--max-epochs", options.max_epochs, before.max_epochs),
        ("--seed", options.seed, before.seed),
    ):
        if value is not None and value != started_with:
            raise RunError(
                f"{flag} {value}: {run.location} was started with {started_with}, which can't change on --resume"
            )
    if options.baselines_only and not before.baselines_only:
        raise RunError(f"--baselines-only: {run.location} was started without it, which can't change on --resume")
    trials, hours = replaced_amount(options, before)
    if before.baselines_only and options.trials is None:
        trials = before.trials
    return dataclasses.replace(
        before,
        data=str(parse_source(options.data or before.data).absolute()),  # its content is compared by fingerprint
        trials=trials,
        hours=hours,
        stop_when_flat=before.stop_when_flat if options.stop_when_flat is None else options.stop_when_flat,
        top_k=options.top_k or before.top_k,
        concurrency=options.concurrency or before.concurrency,
    )

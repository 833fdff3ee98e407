"""What a search was asked for, and what of it may change when it is resumed."""

import dataclasses
from dataclasses import dataclass

from medray.cluster.runners import RAY
from medray.data.source import parse_source
from medray.errors import ConfigError, RunError
from medray.runs.documents import ResolvedOptions
from medray.runs.rundir import RunDir
from medray.space.combinations import check_combinations
from medray.space.search_space import SearchSpace

TOP_K = 4


@dataclass(frozen=True)
class SearchOptions:
    """The command line, None where an option was not given."""

    space: str
    data: str | None = None
    trials: int | None = None
    max_epochs: int | None = None
    top_k: int | None = None
    seed: int | None = None
    concurrency: int | None = None
    out: str | None = None
    storage: str | None = None
    resume: bool = False
    baselines_only: bool = False
    allow_leaks: bool = False
    address: str | None = None
    min_gpus: int | None = None
    runner: str = RAY
    verbose: bool = False


@dataclass(frozen=True)
class Plan:
    """What a search was asked for: `trials` in all, baselines among them."""

    trials: int
    max_epochs: int
    seed: int
    baselines: tuple[str, ...]


def make_plan(options: ResolvedOptions, space: SearchSpace) -> Plan:
    """Return what the ledger is to do: baselines first, on at most half of the trials."""
    names = tuple(space.baselines)
    baselines = names if options.baselines_only else names[: options.trials // 2]
    return Plan(options.trials, options.max_epochs, options.seed, baselines)


def resolve_options(options: SearchOptions, space: SearchSpace) -> ResolvedOptions:
    """Fill in the blanks from the search space.

    Raises:
        ConfigError: --baselines-only where there are none, or with --trials; --max-epochs within which a trial
            could not do what it is to do.
    """
    if options.max_epochs is not None:
        try:
            check_combinations(space, options.max_epochs)
        except ConfigError as error:
            raise error.within(file=space.path).within(key=f"--max-epochs {options.max_epochs}") from None
    trials = options.trials or space.budget.trials
    if options.baselines_only:
        if not space.baselines:
            raise ConfigError(f"--baselines-only: {space.path} has no baselines")
        if options.trials is not None:
            raise ConfigError("--baselines-only runs each baseline once; it can't be given with --trials")
        trials = len(space.baselines)
    return ResolvedOptions(
        data=str(parse_source(options.data or space.data).absolute()),
        trials=trials,
        max_epochs=options.max_epochs or space.budget.max_epochs,
        top_k=options.top_k or TOP_K,
        seed=options.seed or 0,
        concurrency=options.concurrency,
        baselines_only=options.baselines_only,
    )


def resolve_resumed(options: SearchOptions, run: RunDir) -> ResolvedOptions:
    """Take up the options of a run; --trials, --top-k, --concurrency and the place of the data may change.

    Raises:
        RunError: another option differs from the run's, or the run's file is damaged.
    """
    before = run.read_facts().options
    fixed = ("max_epochs", "seed")
    for name in fixed:
        given = getattr(options, name)
        if given is not None and given != getattr(before, name):
            flag = "--" + name.replace("_", "-")
            raise RunError(
                f"{flag} {given}: {run.location} was started with {getattr(before, name)}, "
                "which can't change on --resume"
            )
    if options.baselines_only and not before.baselines_only:
        raise RunError(f"--baselines-only: {run.location} was started without it, which can't change on --resume")
    return dataclasses.replace(
        before,
        data=str(
            parse_source(options.data or before.data).absolute()
        ),  # the content is compared by its fingerprint
        trials=options.trials or before.trials,
        top_k=options.top_k or before.top_k,
        concurrency=options.concurrency or before.concurrency,
    )

"""The run of a search: a new one or one to resume, and what is refused."""

import shlex
from dataclasses import replace

from medray.cluster.runners import LOCAL
from medray.errors import ConfigError, RunError
from medray.files import UNFINISHED
from medray.runs.folder import locate
from medray.runs.lock import CLAIM, LOCK
from medray.runs.run_facts import ResolvedOptions
from medray.runs.rundir import RunDir
from medray.search.search_options import SearchOptions, resolve_options, resolve_resumed
from medray.search.without_weights import backbones_without_weights
from medray.space.loading import load_space
from medray.space.search_space import SearchSpace
from medray.space.shipped import shipped_spaces
from medray.track.trackers import track_flags


def open_run(options: SearchOptions) -> tuple[RunDir, SearchSpace, ResolvedOptions]:
    """Return the run's folder, its search space and the options with every blank filled in.

    The space lacks backbones whose published weights can't be had, unless it would have none left.

    Raises:
        ConfigError: the space or an option is wrong.
        WeightsError: $MEDRAY_WEIGHTS names no folder.
        RunError: the folder holds something else, or there is no run to resume, or one of another space; a run for
            a warm start is none, or can't be used.
    """
    if options.resume:
        run = run_dir(options, options.space)
        if not run.begun() and not options.out:
            run = run_dir(options, load_space(options.space).name)
        if not run.begun():
            raise RunError(f"{run.location} holds no run to resume; start one without --resume")
        space = run.read_space()
        is_own = options.space == run.path(run.SPACE)
        if not is_own and (options.space != space.name or options.space in shipped_spaces()):
            named = load_space(options.space)
            if named.trained() != space.trained():
                raise RunError(
                    f"{named.path} is not the search space that {run.location} was started with: go on with that "
                    f"one, `--resume` with {run.path(run.SPACE)}, or start anew with another --out"
                )
        resumed = resolve_resumed(options, run)
        return run, space.without(resumed.without), resumed
    space = load_space(options.space)
    run = run_dir(options, space.name)
    if run.begun():
        raise RunError(
            f"{run.location} already holds a run: go on with it by --resume, or choose another by --out"
        )
    ours = {run.SPACE, run.DATA, run.SPLITS, run.RUN, run.STATE, run.WARM_START, run.STUDY, LOCK, CLAIM}
    foreign = {name for name in run.names() if name.partition(UNFINISHED)[0] not in ours}
    if foreign:
        raise RunError(f"{run.location} is not empty ({sorted(foreign)[0]}): choose another folder by --out")
    resolved = resolve_options(options, space)
    resolved = replace(resolved, without=backbones_without_weights(space))
    space = space.without(resolved.without)
    if resolved.warm_start:
        from medray.search.warm_start import check_earlier_runs  # imports Optuna

        check_earlier_runs(resolved.warm_start, space)
    return run, space, resolved


def run_dir(options: SearchOptions, name: str) -> RunDir:
    """Return the folder of a run: --out, or the folder `name` in --storage or in runs/.

    Raises:
        ConfigError: --out and --storage are both set.
        RunError: one of them is no location.
    """
    if options.out and options.storage:
        raise ConfigError("--out and --storage both set the run's location; give only one")
    if options.out:
        return RunDir(locate(options.out))
    return RunDir(RunDir(locate(options.storage or "runs")).child(name).location)


def resume_command(options: SearchOptions) -> str:
    """Return the command that goes on with this search."""
    locations = {"--out": options.out, "--storage": options.storage}
    location = "".join(f" {flag} {shlex.quote(value)}" for flag, value in locations.items() if value)
    local = " --local" if options.runner == LOCAL else ""
    return f"medray search {shlex.quote(options.space)} --resume{location}{local}{track_flags(options.track)}"

"""The run that a search works in: a new one, or one to go on with; and what is refused."""

import shlex

from medray.cluster.runners import LOCAL
from medray.errors import ConfigError, RunError
from medray.runs.documents import ResolvedOptions
from medray.runs.folder import locate
from medray.runs.lock import CLAIM, LOCK
from medray.runs.rundir import RunDir
from medray.search.search_options import SearchOptions, resolve_options, resolve_resumed
from medray.space.loading import load_space
from medray.space.search_space import SearchSpace
from medray.space.shipped import shipped_spaces


def open_run(options: SearchOptions) -> tuple[RunDir, SearchSpace, ResolvedOptions]:
    """Find the space and the run's folder, and refuse a folder that holds something else."""
    if options.resume:
        run = run_dir(options, options.space)
        if not run.begun() and not options.out:
            run = run_dir(options, load_space(options.space).name)
        if not run.begun():
            raise RunError(f"{run.location} holds no run to resume; start one without --resume")
        space = run.read_space()
        _check_same_space(options.space, run, space)
        return run, space, resolve_resumed(options, run)
    space = load_space(options.space)
    run = run_dir(options, space.name)
    if run.begun():
        raise RunError(
            f"{run.location} already holds a run: go on with it by --resume, or choose another by --out"
        )
    ours = {run.SPACE, run.DATA, run.SPLITS, run.RUN, run.STUDY, LOCK, CLAIM}
    foreign = {name for name in run.names() if name.partition(".partial")[0] not in ours}
    if foreign:
        raise RunError(f"{run.location} is not empty ({sorted(foreign)[0]}): choose another folder by --out")
    return run, space, resolve_options(options, space)


def _check_same_space(name_or_path: str, run: RunDir, space: SearchSpace) -> None:
    """The space that a resume names must draw and train as the run's own does."""
    if name_or_path == space.name and name_or_path not in shipped_spaces():
        return
    named = load_space(name_or_path)
    if named.trained() != space.trained():
        raise RunError(
            f"{named.path} is not the search space that {run.location} was started with: go on with that one, "
            f"`--resume` with {run.path(run.SPACE)}, or start anew with another --out"
        )


def run_dir(options: SearchOptions, name: str) -> RunDir:
    """The folder of a run: --out, or the one of the space's name in --storage, or in runs/.

    Raises:
        ConfigError: both are given.
        RunError: one of them is no location.
    """
    if options.out and options.storage:
        raise ConfigError("--out and --storage say in two ways where the run lies: give one of them")
    if options.out:
        return RunDir(locate(options.out))
    return RunDir(RunDir(locate(options.storage or "runs")).child(name).location)


def resume_command(options: SearchOptions) -> str:
    """The command that goes on with this search."""
    given = {"--out": options.out, "--storage": options.storage}
    where = "".join(f" {flag} {shlex.quote(value)}" for flag, value in given.items() if value)
    local = " --local" if options.runner == LOCAL else ""
    return f"medray search {shlex.quote(options.space)} --resume{where}{local}"

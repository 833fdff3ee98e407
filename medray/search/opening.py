"""The run that a search works in: a new one, or one to go on with; and what is refused."""

import shlex
from pathlib import Path

from medray.errors import RunError
from medray.runs import RunDir
from medray.search.options import SearchOptions, Settled, settle, settle_again
from medray.space import SearchSpace
from medray.space_file import parse, shipped_spaces


def open_run(options: SearchOptions) -> tuple[RunDir, SearchSpace, Settled]:
    """Find the space and the run's folder, and refuse a folder that holds something else."""
    if options.resume:
        run = run_dir(options, options.space)
        if not run.exists(run.RUN) and not options.out:
            run = run_dir(options, SearchSpace.load(options.space).name)
        if not run.exists(run.RUN):
            raise RunError(f"{run.location} holds no run to resume; start one without --resume")
        space = parse(run.read(run.SPACE).decode(), run.path(run.SPACE))
        _check_same_space(options.space, run, space)
        return run, space, settle_again(options, run)
    space = SearchSpace.load(options.space)
    run = run_dir(options, space.name)
    if run.exists(run.RUN):
        raise RunError(
            f"{run.location} already holds a run: go on with it by --resume, or choose another by --out"
        )
    ours = {run.SPACE, run.DATA, run.SPLITS, run.RUN, run.STUDY, ".lock"}
    foreign = {name for name in run.names() if name.partition(".partial")[0] not in ours}
    if foreign:
        raise RunError(f"{run.location} is not empty ({sorted(foreign)[0]}): choose another folder by --out")
    return run, space, settle(options, space)


def _check_same_space(name_or_path: str, run: RunDir, space: SearchSpace) -> None:
    """The space that a resume names must draw and train as the run's own does."""
    if name_or_path == space.name and name_or_path not in shipped_spaces():
        return
    named = SearchSpace.load(name_or_path)
    if named.trained() != space.trained():
        raise RunError(
            f"{named.path} is not the search space that {run.location} was started with: go on with that one, "
            f"`--resume` with {run.path(run.SPACE)}, or start anew with another --out"
        )


def run_dir(options: SearchOptions, name: str) -> RunDir:
    """The folder of a run: --out, or runs/ and the space's name."""
    location = options.out or f"runs/{name}"
    if "://" not in location:
        location = str(Path(location).expanduser().absolute())
    return RunDir(location)


def resume_command(options: SearchOptions) -> str:
    """The command that goes on with this search."""
    out = f" --out {shlex.quote(options.out)}" if options.out else ""
    return f"python -m medray.search {shlex.quote(options.space)} --resume{out}"

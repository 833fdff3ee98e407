"""Before the first trial: load the data, check the space against it, start Ray, describe the run on disk."""

import contextlib
import dataclasses
import datetime
import platform
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version

from rich.console import Console

from medray import __version__
from medray.cluster.capacity import Capacity, find_capacity, wait_for_gpus
from medray.cluster.connect import connected
from medray.cluster.runners import LOCAL
from medray.console import note, say, step
from medray.data.dataset import ImageDataset
from medray.data.smaller_images import keep_smaller
from medray.errors import RunError
from medray.runs.run_data import load_run_data
from medray.runs.run_facts import DataFacts, ResolvedOptions, RunFacts
from medray.runs.rundir import RunDir
from medray.search.leaks import check_leaks
from medray.search.search_options import SearchOptions
from medray.space.loading import parse
from medray.space.search_space import SearchSpace

PACKAGES = ("ray", "torch", "torchvision", "timm", "optuna", "albumentations", "numpy")


def prepare_run(
    options: SearchOptions, run: RunDir, space: SearchSpace, resolved: ResolvedOptions, console: Console,
    stack: contextlib.ExitStack,
) -> tuple[ImageDataset, Capacity | None]:  # fmt: skip
    """Load the data and check the space against it while Ray starts, then write what describes the run.

    Ray is left when `stack` ends. Returns no capacity for the local runner, which starts no Ray.

    Raises:
        MedrayError: the data can't be loaded, has leaks or is not the resumed run's; the space does not fit it;
            Ray can't be started or joined, or has no room for a trial.
    """
    local = options.runner == LOCAL
    task = f"{'Loading' if local else 'Starting Ray and loading'} {resolved.data}"
    with step(console, task) as progress, ThreadPoolExecutor(1) as pool:
        # First the data: a slip in --data need not wait for Ray.
        dataset = keep_smaller(load_run_data(resolved.data, space, progress), space.image_sizes, progress)

        def check() -> None:
            from medray.training.check import check_space  # imports torch and timm, while Ray starts

            check_space(parse(space.text, space.path), dataset)  # also what this search does without

        checking = pool.submit(check)
        allowed = options.allow_leaks or options.resume  # leaks were looked for when the run began
        # Not beside Ray's start, which forks: OpenBLAS may then wait for ever for another thread's call of it.
        leaks = check_leaks(dataset, resolved.data, console, allowed=allowed, progress=progress)
        capacity = None
        started_here = not local and stack.enter_context(
            connected(options.address, verbose=options.verbose, report=partial(note, console))
        )
        checking.result()
        if not local:
            if options.min_gpus:
                wait_for_gpus(options.min_gpus, progress)
            capacity = find_capacity(space.resources, space.path, started_here=started_here)
    if capacity is not None and capacity.nodes > 1 and run.local is not None:
        say(
            console,
            f"  {capacity.nodes} nodes: each must see {run.location}; where they share no disk, give --storage s3://…",
        )
    if not options.resume:
        run.write(run.SPACE, space.text.encode())
        data = DataFacts.of(dataset, leaks)
        run.write_json(run.DATA, data.to_dict())
        run.write_json(run.SPLITS, {name: positions.tolist() for name, positions in dataset.splits.items()})
        if resolved.warm_start:
            from medray.search.warm_start import read_earlier_runs  # imports Optuna

            earlier = read_earlier_runs(resolved.warm_start, space, resolved.max_epochs, data)
            run.write_json(run.WARM_START, earlier.to_dict())
    elif run.read_data().fingerprint != dataset.fingerprint:
        raise RunError(
            f"{resolved.data} is not the data that {run.location} was started with: its content differs"
        )
    if options.resume and amount_of(run.read_facts().options) != amount_of(resolved):
        run.write_json(run.STATE, dataclasses.replace(run.read_state(), ended_by=None).to_dict())
    write_facts(run, space, resolved)
    return dataset, capacity


def amount_of(options: ResolvedOptions) -> tuple[int | None, float | None, bool]:
    """Return what bounds a search: where it changes, one that has ended may go on."""
    return options.trials, options.hours, options.stop_when_flat


def write_facts(run: RunDir, space: SearchSpace, resolved: ResolvedOptions) -> None:
    """Write run.json: the options, and the versions of the packages that the search uses."""
    facts = RunFacts(
        medray=__version__,
        space=space.name,
        metric=space.metric,
        options=resolved,
        written=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        python=platform.python_version(),
        packages={name: version(name) for name in PACKAGES},
    )
    run.write_json(run.RUN, facts.to_dict())

"""A search from its options to its ensemble.

prepare   check the search space, claim the run's folder, start Ray and load the data side by side
search    Ray Tune asks the ledger for trials until there are none left
finish    leaderboard.csv and ensemble/, of whatever has ended
"""

import contextlib
import datetime
import platform
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from rich.console import Console

from medray import __version__
from medray.cluster import connect
from medray.cluster.runners import LOCAL, LOCAL_LINE, RAY, check_runner
from medray.console import say, step
from medray.data.dataset import ImageDataset
from medray.data.load_data import load_data
from medray.ensemble.candidates import trial_pool
from medray.ensemble.manifest import Manifest, read_manifest
from medray.ensemble.ood_file import fit_run_ood
from medray.ensemble.selection import make_selection
from medray.ensemble.strategies import top_k
from medray.ensemble.write_ensemble import write_ensemble
from medray.errors import MedrayError, RunError
from medray.runs.documents import TOP_K, DataFacts, ResolvedOptions, RunFacts, TrialRecord
from medray.runs.leaderboard import usable
from medray.runs.lock import held
from medray.runs.rundir import RunDir
from medray.search.leaks import check_leaks
from medray.search.open_run import open_run, resume_command
from medray.search.run_tune import tune
from medray.search.search_options import SearchOptions, make_plan
from medray.search.search_progress import SearchProgress
from medray.signals import ends_like_ctrl_c
from medray.space.combinations import freezes_less
from medray.space.search_space import SearchSpace, longer_baselines
from medray.text import first_names

if TYPE_CHECKING:
    from medray.search.ledger import Ledger


@dataclass(frozen=True)
class SearchResult:
    """What a search left behind."""

    run: RunDir
    space: SearchSpace
    records: list[TrialRecord]
    ensemble: Manifest | None
    val_images: int
    left: int
    resume_command: str

    @property
    def interrupted(self) -> bool:
        """Whether trials are left that the search was asked for."""
        return self.left > 0


def run_search(options: SearchOptions, console: Console) -> SearchResult:
    """Run or resume a search; progress goes to `console`.

    Raises:
        MedrayError: something a person can mend is wrong; nothing that was done is lost.
    """
    check_runner(options)
    run, space, resolved = open_run(options)
    with held(run, console), contextlib.ExitStack() as until_the_end:
        try:
            dataset, room = _prepare(options, run, space, resolved, console, until_the_end)
            return _search(options, run, space, resolved, dataset, room, console)
        except OSError as error:
            raise RunError(
                f"{run.location}: {error.strerror or error}; go on with: {resume_command(options)}"
            ) from error


# -- prepare


def _prepare(
    options: SearchOptions, run: RunDir, space: SearchSpace, resolved: ResolvedOptions, console: Console,
    until_the_end: contextlib.ExitStack,
) -> tuple[ImageDataset, connect.Room | None]:  # fmt: skip
    """Load the data, check the space against it while Ray starts, then describe the run on disk.

    Returns no room where there is to be no Ray.
    """
    doing = "Loading" if options.runner == LOCAL else "Starting Ray and loading"
    with step(console, f"{doing} {resolved.data}") as told, ThreadPoolExecutor(1) as pool:
        # First the data: a slip in --data need not wait for Ray.
        dataset = load_data(resolved.data, phantom=space.name, preparation=space.preparation, progress=told)
        checking = pool.submit(_check, space, dataset)
        allowed = options.allow_leaks or options.resume  # it was looked for when the run began
        # Not beside Ray's start, which forks: OpenBLAS may then wait for ever for another thread's call of it.
        leaks = check_leaks(dataset, resolved.data, console, allowed=allowed, progress=told)
        own = options.runner == RAY and until_the_end.enter_context(
            connect.connected(options.address, verbose=options.verbose)
        )
        checking.result()
        if options.min_gpus:
            connect.wait_for_gpus(options.min_gpus, told)
        room = connect.find_room(space.resources, space.path, own=own) if options.runner == RAY else None
        if run.local is not None and room is not None and room.nodes > 1:
            say(
                console,
                f"  {room.nodes} nodes: each must see {run.location}; where they share no disk, give --storage s3://…",
            )
    if options.resume:
        if run.read_data().fingerprint != dataset.fingerprint:
            raise RunError(
                f"{resolved.data} is not the data that {run.location} was started with: its content differs"
            )
    else:
        run.write(run.SPACE, space.text.encode())
        run.write_json(run.DATA, DataFacts.of(dataset, leaks).to_dict())
        run.write_json(run.SPLITS, {name: positions.tolist() for name, positions in dataset.splits.items()})
    run.write_json(run.RUN, _facts(space, resolved).to_dict())
    return dataset, room


def _check(space: SearchSpace, dataset: ImageDataset) -> None:
    from medray.training.check import check_space  # torch, and timm where a backbone is its: while Ray starts

    check_space(space, dataset)


def _facts(space: SearchSpace, resolved: ResolvedOptions) -> RunFacts:
    packages = ("ray", "torch", "torchvision", "timm", "optuna", "albumentations", "numpy")
    return RunFacts(
        medray=__version__,
        space=space.name,
        metric=space.metric,
        options=resolved,
        written=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        python=platform.python_version(),
        packages={name: version(name) for name in packages},
    )


# -- search


def _search(
    options: SearchOptions, run: RunDir, space: SearchSpace, resolved: ResolvedOptions, dataset: ImageDataset,
    room: connect.Room | None, console: Console,
) -> SearchResult:  # fmt: skip
    from medray.search.asha import Rungs
    from medray.search.ledger import Ledger
    from medray.search.optuna_study import StudyFile

    progress = SearchProgress(console, space.metric, resolved.trials, resolved.max_epochs)
    file = StudyFile(run)
    ledger = Ledger(run, space, make_plan(resolved, space), file, file.open(space.mode), progress)
    ledger.enqueue_baselines()
    ledger.reconcile()
    before = len(ledger.records)
    progress.begin(list(ledger.records.values()), room.slots if room else 1)
    _introduce(console, run, space, resolved, dataset, room, ledger)
    if ledger.left():
        rungs = Rungs(space.budget, resolved.max_epochs, space.mode)
        rungs.replay(ledger.epochs_reported())
        with ends_like_ctrl_c(signal.SIGTERM), progress.showing():
            if room is None:
                from medray.search.run_local import run_local

                run_local(ledger, dataset, rungs)
            else:
                tune(ledger, dataset, rungs, room, resolved.concurrency, verbose=options.verbose)
    return _finish(options, run, space, resolved, dataset, ledger, before)


def _introduce(
    console: Console, run: RunDir, space: SearchSpace, resolved: ResolvedOptions, dataset: ImageDataset,
    room: connect.Room | None, ledger: "Ledger",
) -> None:  # fmt: skip
    train, val = len(dataset.splits["train"]), len(dataset.splits["val"])
    height, width, channels = dataset.shape
    say(
        console,
        f"{dataset.source}: {train} training and {val} validation images of {height}×{width}×{channels}, "
        f"{len(dataset.class_names)} classes; the test split is not used",
    )
    for note in dataset.notes:
        say(console, f"  {note}")
    say(console, f"{room.words() if room else LOCAL_LINE}; results go to {run.location}")
    if space.budget.grace_epochs >= resolved.max_epochs:
        say(console, f"  no trial is stopped early: ASHA's first rung is at epoch {space.budget.grace_epochs}")
    cut = [f"{name} ({asked})" for name, asked in longer_baselines(space, resolved.max_epochs).items()]
    if cut:
        say(console, f"  {resolved.max_epochs} epochs at most, though baselines ask for more: {first_names(cut)}")
    if freezes_less(space, resolved.max_epochs):
        epochs = resolved.max_epochs
        say(console, f"  {epochs} epochs leave none after freeze_epochs: half of a trial's are frozen")
    if ledger.records or ledger.unfinished:
        say(
            console,
            f"Resuming: {len(ledger.records)} trials have ended, {len(ledger.unfinished)} go on, "
            f"{ledger.left()} are left",
        )


# -- finish


def _finish(
    options: SearchOptions,
    run: RunDir,
    space: SearchSpace,
    resolved: ResolvedOptions,
    dataset: ImageDataset,
    ledger: "Ledger",
    before: int,
) -> SearchResult:
    """Write the leaderboard and the ensemble of whatever has ended; `before` trials had ended already.

    An ensemble that `medray ensemble` has made since is kept where no trial has come to it.
    """
    ledger.write_leaderboard()
    records = [ledger.records[number] for number in sorted(ledger.records)]
    manifest = None
    if run.exists(run.SELECTION) and len(records) == before:
        manifest = read_manifest(run.ensemble)
    elif usable(records):
        run.delete(run.SELECTION)
        pool = trial_pool(run, records, space.mode, limit=resolved.top_k)
        selection = make_selection(TOP_K, pool, top_k(pool.candidates, resolved.top_k), calibrate=False)
        fit_run_ood(run, dataset)
        manifest = write_ensemble(run, selection, data=DataFacts.of(dataset), metric=space.metric)
    elif records and not ledger.left():
        raise MedrayError(
            f"all {len(records)} trials failed; the first: {records[0].reason} (see {run.location}/trials)"
        )
    val_images = len(dataset.splits["val"])
    return SearchResult(run, space, records, manifest, val_images, ledger.left(), resume_command(options))

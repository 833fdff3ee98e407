"""A search from its options to its ensemble.

prepare   check the search space, claim the run's folder, start Ray and load the data side by side
search    Ray Tune asks the ledger for trials until there are none left
finish    leaderboard.csv and ensemble/, of whatever has ended
"""

import contextlib
import dataclasses
import datetime
import os
import platform
import shlex
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from medray import __version__
from medray.data.dataset import ImageDataset
from medray.data.sources import load_data
from medray.ensemble import choose_top, write_ensemble
from medray.errors import MedrayError, RunError
from medray.leaderboard import usable
from medray.runs import RunDir, TrialRecord
from medray.search import cluster
from medray.search.options import SearchOptions, Settled, settle, settle_again
from medray.search.progress import Progress
from medray.space import SearchSpace
from medray.space_file import find_space, parse, shipped_spaces

if TYPE_CHECKING:
    from medray.search.ledger import Ledger

WORKER_DEATHS = 3


@dataclass(frozen=True)
class SearchResult:
    """What a search left behind."""

    run: RunDir
    space: SearchSpace
    records: list[TrialRecord]
    ensemble: dict[str, Any] | None
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
    run, space, settled = _open(options)
    with _claimed(run), contextlib.ExitStack() as until_the_end:
        try:
            dataset, room = _prepare(options, run, space, settled, console, until_the_end)
            return _search(options, run, space, settled, dataset, room, console)
        except OSError as error:
            raise RunError(
                f"{run.location}: {error.strerror or error}; go on with: {resume_command(options)}"
            ) from error


# -- prepare


def _open(options: SearchOptions) -> tuple[RunDir, SearchSpace, Settled]:
    """Find the space and the run's folder, and refuse a folder that holds something else."""
    if options.resume:
        run = _run_dir(options, options.space)
        if not run.exists(run.RUN) and not options.out:
            run = _run_dir(options, SearchSpace.load(options.space).name)
        if not run.exists(run.RUN):
            raise RunError(f"{run.location} holds no run to resume; start one without --resume")
        space = parse(run.read(run.SPACE).decode(), run.path(run.SPACE))
        _check_same_space(options.space, run, space)
        return run, space, settle_again(options, run)
    space = SearchSpace.load(options.space)
    run = _run_dir(options, space.name)
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
    """The space that a resume names must be the run's own, unchanged."""
    if name_or_path == space.name and name_or_path not in shipped_spaces():
        return
    named = find_space(name_or_path)
    if named.read_text(encoding="utf-8") != space.text:
        raise RunError(
            f"{named} is not the search space that {run.location} was started with: go on with that one, "
            f"`--resume` with {run.path(run.SPACE)}, or start anew with another --out"
        )


def _run_dir(options: SearchOptions, name: str) -> RunDir:
    location = options.out or f"runs/{name}"
    if "://" not in location:
        location = str(Path(location).expanduser().absolute())
    return RunDir(location)


def resume_command(options: SearchOptions) -> str:
    """The command that goes on with this search."""
    out = f" --out {shlex.quote(options.out)}" if options.out else ""
    return f"python -m medray.search {shlex.quote(options.space)} --resume{out}"


@contextlib.contextmanager
def _claimed(run: RunDir) -> Iterator[None]:
    """Hold the run's folder, so that two drivers never write to it; the lock ends with the process."""
    if run.local is None:
        yield
        return
    import fcntl

    try:
        run.local.mkdir(parents=True, exist_ok=True)
        lock = (run.local / ".lock").open("w")
    except OSError as error:
        raise RunError(f"{run.location} can't be written: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RunError(f"another search is running in {run.location}") from None
        yield


def _prepare(
    options: SearchOptions, run: RunDir, space: SearchSpace, settled: Settled, console: Console,
    until_the_end: contextlib.ExitStack,
) -> tuple[ImageDataset, cluster.Room]:  # fmt: skip
    """Load the data, check the space against it while Ray starts, then describe the run on disk."""
    with _step(console, f"Starting Ray and loading {settled.data}"), ThreadPoolExecutor(1) as pool:
        dataset = load_data(settled.data, phantom=space.name)  # first: a slip in --data need not wait for Ray
        checking = pool.submit(_check, space, dataset)
        until_the_end.enter_context(cluster.connected(options.address, verbose=options.verbose))
        checking.result()
        room = cluster.find_room(space.resources, space.path)
        if run.local is not None and room.nodes > 1:
            console.print(
                f"  {room.nodes} nodes: each must see {run.location}; where they share no disk, give --out s3://…",
                soft_wrap=True, highlight=False, markup=False,
            )  # fmt: skip
    if options.resume:
        stored = run.read_json(run.DATA)
        if stored["fingerprint"] != dataset.fingerprint:
            raise RunError(
                f"{settled.data} is not the data that {run.location} was started with: its content differs"
            )
    else:
        run.write(run.SPACE, space.text.encode())
        run.write_json(run.DATA, dataset.facts())
        run.write_json(run.SPLITS, {name: positions.tolist() for name, positions in dataset.splits.items()})
    run.write_json(run.RUN, _facts(space, settled))
    return dataset, room


def _check(space: SearchSpace, dataset: ImageDataset) -> None:
    from medray.training.check import check_space  # torch, and timm where a backbone is its: while Ray starts

    check_space(space, dataset)


def _facts(space: SearchSpace, settled: Settled) -> dict[str, Any]:
    packages = ("ray", "torch", "torchvision", "timm", "optuna", "albumentations", "numpy")
    return {
        "medray": __version__,
        "space": space.name,
        "metric": space.metric,
        "options": dataclasses.asdict(settled),
        "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
    }


@contextlib.contextmanager
def _step(console: Console, text: str) -> Iterator[None]:
    """Say what is being waited for."""
    if console.is_terminal:
        with console.status(f"{text} …"):
            yield
    else:
        console.print(f"{text} ...", soft_wrap=True, highlight=False)
        yield


# -- search


def _search(
    options: SearchOptions, run: RunDir, space: SearchSpace, settled: Settled, dataset: ImageDataset,
    room: cluster.Room, console: Console,
) -> SearchResult:  # fmt: skip
    from medray.search.ledger import Ledger
    from medray.search.study import StudyFile
    from medray.search.tuning import StudySearch

    progress = Progress(console, space.metric, settled.trials, settled.max_epochs)
    file = StudyFile(run)
    search = StudySearch(space, file.storage())
    plan = settled.plan(space)
    ledger = search.ledger = Ledger(run, space, plan, file, search.study, progress)
    ledger.enqueue_baselines()
    ledger.reconcile()
    progress.begin(list(ledger.records.values()), room.slots)
    _introduce(console, run, space, settled, dataset, room, ledger)
    if ledger.left():
        with _termination_as_interrupt(), progress.showing():
            _tune(run, space, settled, dataset, room, ledger, search, verbose=options.verbose)
    return _finish(options, run, space, settled, dataset, ledger)


def _introduce(
    console: Console, run: RunDir, space: SearchSpace, settled: Settled, dataset: ImageDataset,
    room: cluster.Room, ledger: "Ledger",
) -> None:  # fmt: skip
    def say(text: str) -> None:
        console.print(text, soft_wrap=True, highlight=False, markup=False)

    train, val = len(dataset.splits["train"]), len(dataset.splits["val"])
    height, width, channels = dataset.shape
    say(
        f"{dataset.source}: {train} training and {val} validation images of {height}×{width}×{channels}, "
        f"{len(dataset.class_names)} classes; the test split is not used"
    )
    for note in dataset.notes:
        say(f"  {note}")
    say(f"{room.words()}; results go to {run.location}")
    if space.budget.grace_epochs >= settled.max_epochs:
        say(f"  no trial is stopped early: ASHA's first rung is at epoch {space.budget.grace_epochs}")
    if ledger.records or ledger.unfinished:
        say(
            f"Resuming: {len(ledger.records)} trials have ended, {len(ledger.unfinished)} go on, "
            f"{ledger.left()} are left"
        )


def _tune(
    run: RunDir, space: SearchSpace, settled: Settled, dataset: ImageDataset, room: cluster.Room, ledger: "Ledger",
    search: Any, *, verbose: bool,
) -> None:  # fmt: skip
    from ray import tune

    from medray.search.tuning import TrialRunner, Watch, make_scheduler

    cpu, gpu = room.resources.cpu, room.resources.gpu
    runner = tune.with_parameters(TrialRunner, dataset=dataset, run=run, threads=max(1, int(cpu)), gpu=gpu > 0)
    concurrency = settled.concurrency
    search.count_slots = lambda: min(cluster.find_room(space.resources, space.path).slots, concurrency or 10**9)
    tuner = tune.Tuner(
        tune.with_resources(runner, {"cpu": cpu, "gpu": gpu}),
        tune_config=tune.TuneConfig(
            search_alg=search,
            scheduler=make_scheduler(space.budget, settled.max_epochs, space.mode, ledger.rungs()),
            num_samples=ledger.left(),
            # Above the slots a limit changes nothing, but it would keep Tune from asking one trial ahead.
            max_concurrent_trials=concurrency if concurrency and concurrency < room.slots else None,
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            name=f"start-{len(run.tune.names())}",
            storage_path=run.tune.location,
            failure_config=tune.FailureConfig(max_failures=WORKER_DEATHS),
            # Trials keep their own checkpoints, in the run's folder: Tune's would each force a snapshot.
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            callbacks=[Watch(search)],
            verbose=3 if verbose else 0,
        ),
    )
    with _tune_silenced(verbose):
        tuner.fit()


def _trial_name(trial: Any) -> str:
    return f"{trial.config['trial']:04d}"


@contextlib.contextmanager
def _tune_silenced(verbose: bool) -> Iterator[None]:
    """Drop what Tune prints past its own verbosity."""
    if verbose:
        yield
        return
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):  # noqa: PTH123
        yield


@contextlib.contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Let SIGTERM end a search as Ctrl-C does: with what has been reached so far."""
    before = {name: signal.getsignal(name) for name in (signal.SIGTERM, signal.SIGINT)}
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


# -- finish


def _finish(
    options: SearchOptions,
    run: RunDir,
    space: SearchSpace,
    settled: Settled,
    dataset: ImageDataset,
    ledger: "Ledger",
) -> SearchResult:
    """Write the leaderboard and the ensemble of whatever has ended."""
    ledger.write_leaderboard()
    records = [ledger.records[number] for number in sorted(ledger.records)]
    manifest = None
    if usable(records):
        chosen = choose_top(run, records, space.mode, settled.top_k)
        labels = dataset.split("val").own_labels
        manifest = write_ensemble(run, chosen, data=dataset.facts(), labels=labels, metric=space.metric)
    elif records and not ledger.left():
        raise MedrayError(
            f"all {len(records)} trials failed; the first: {records[0].reason} (see {run.location}/trials)"
        )
    val_images = len(dataset.splits["val"])
    return SearchResult(run, space, records, manifest, val_images, ledger.left(), resume_command(options))

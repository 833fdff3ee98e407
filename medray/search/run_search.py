"""A search from its options to its ensemble.

prepare   check the search space, claim the run's folder, start Ray and load the data side by side
search    Ray Tune asks the ledger for trials until there are none left
finish    leaderboard.csv and ensemble/, of whatever has ended
"""

import contextlib
import dataclasses
import datetime
import platform
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from rich.console import Console

from medray import __version__
from medray.cluster import connect
from medray.console import say, step
from medray.data.dataset import ImageDataset
from medray.data.sources import load_data
from medray.ensemble.candidates import trial_pool
from medray.ensemble.manifest import read_manifest, write_ensemble
from medray.ensemble.ood_file import learn_novelty
from medray.ensemble.selection import TOP_K, make_way
from medray.ensemble.strategies import top_k
from medray.errors import MedrayError, RunError
from medray.runs.leaderboard import usable
from medray.runs.lock import held
from medray.runs.rundir import RunDir, TrialRecord
from medray.search.leaks import check_leaks
from medray.search.open_run import open_run, resume_command
from medray.search.run_tune import tune
from medray.search.search_options import SearchOptions, Settled
from medray.search.search_progress import SearchProgress
from medray.signals import ends_like_ctrl_c
from medray.space.combinations import freezes_less
from medray.space.search_space import SearchSpace, longer_baselines

if TYPE_CHECKING:
    from medray.search.ledger import Ledger


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
    run, space, settled = open_run(options)
    with held(run, console), contextlib.ExitStack() as until_the_end:
        try:
            dataset, room = _prepare(options, run, space, settled, console, until_the_end)
            return _search(options, run, space, settled, dataset, room, console)
        except OSError as error:
            raise RunError(
                f"{run.location}: {error.strerror or error}; go on with: {resume_command(options)}"
            ) from error


# -- prepare


def _prepare(
    options: SearchOptions, run: RunDir, space: SearchSpace, settled: Settled, console: Console,
    until_the_end: contextlib.ExitStack,
) -> tuple[ImageDataset, connect.Room]:  # fmt: skip
    """Load the data, check the space against it while Ray starts, then describe the run on disk."""
    with step(console, f"Starting Ray and loading {settled.data}") as told, ThreadPoolExecutor(1) as pool:
        # First the data: a slip in --data need not wait for Ray.
        dataset = load_data(settled.data, phantom=space.name, preparation=space.preparation, progress=told)
        checking = pool.submit(_check, space, dataset)
        allowed = options.allow_leaks or options.resume  # it was looked for when the run began
        # Not beside Ray's start, which forks: OpenBLAS may then wait for ever for another thread's call of it.
        leaks = check_leaks(dataset, settled.data, console, allowed=allowed, progress=told)
        own = until_the_end.enter_context(connect.connected(options.address, verbose=options.verbose))
        checking.result()
        if options.min_gpus:
            connect.wait_for_gpus(options.min_gpus, told)
        room = connect.find_room(space.resources, space.path, own=own)
        if run.local is not None and room.nodes > 1:
            say(
                console,
                f"  {room.nodes} nodes: each must see {run.location}; where they share no disk, give --storage s3://…",
            )
    if options.resume:
        stored = run.read_json(run.DATA)
        if stored["fingerprint"] != dataset.fingerprint:
            raise RunError(
                f"{settled.data} is not the data that {run.location} was started with: its content differs"
            )
    else:
        run.write(run.SPACE, space.text.encode())
        run.write_json(run.DATA, {**dataset.facts(), "leaks": leaks})
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


# -- search


def _search(
    options: SearchOptions, run: RunDir, space: SearchSpace, settled: Settled, dataset: ImageDataset,
    room: connect.Room, console: Console,
) -> SearchResult:  # fmt: skip
    from medray.search.ledger import Ledger
    from medray.search.optuna_study import StudyFile
    from medray.search.tune_adapters import StudySearch

    progress = SearchProgress(console, space.metric, settled.trials, settled.max_epochs)
    file = StudyFile(run)
    search = StudySearch(space, file.storage())
    plan = settled.plan(space)
    ledger = search.ledger = Ledger(run, space, plan, file, search.study, progress)
    ledger.enqueue_baselines()
    ledger.reconcile()
    before = len(ledger.records)
    progress.begin(list(ledger.records.values()), room.slots)
    _introduce(console, run, space, settled, dataset, room, ledger)
    if ledger.left():
        with ends_like_ctrl_c(signal.SIGTERM), progress.showing():
            tune(run, space, settled, dataset, room, ledger, search, verbose=options.verbose)
    return _finish(options, run, space, settled, dataset, ledger, before)


def _introduce(
    console: Console, run: RunDir, space: SearchSpace, settled: Settled, dataset: ImageDataset,
    room: connect.Room, ledger: "Ledger",
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
    say(console, f"{room.words()}; results go to {run.location}")
    if space.budget.grace_epochs >= settled.max_epochs:
        say(console, f"  no trial is stopped early: ASHA's first rung is at epoch {space.budget.grace_epochs}")
    cut = [f"{name} ({asked})" for name, asked in longer_baselines(space, settled.max_epochs).items()]
    if cut:
        from medray.audit.findings import few

        say(console, f"  {settled.max_epochs} epochs at most, though baselines ask for more: {few(cut)}")
    if freezes_less(space, settled.max_epochs):
        say(console, f"  {settled.max_epochs} epochs leave none after freeze_epochs: half of a trial's are frozen")
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
    settled: Settled,
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
    if run.exists(run.WAYS) and len(records) == before:
        manifest = read_manifest(run.ensemble)
    elif usable(records):
        run.delete(run.WAYS)
        pool = trial_pool(run, records, space.mode, limit=settled.top_k)
        way = make_way(TOP_K, pool, top_k(pool.candidates, settled.top_k), calibrate=False)
        learn_novelty(run, dataset)
        manifest = write_ensemble(run, way, data=dataset.facts(), metric=space.metric)
    elif records and not ledger.left():
        raise MedrayError(
            f"all {len(records)} trials failed; the first: {records[0].reason} (see {run.location}/trials)"
        )
    val_images = len(dataset.splits["val"])
    return SearchResult(run, space, records, manifest, val_images, ledger.left(), resume_command(options))

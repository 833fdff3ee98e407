"""Ray Tune around the ledger: it asks for trials, places them, and keeps no state of its own."""

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from medray.cluster import connect
from medray.data.dataset import ImageDataset
from medray.search.asha import Rungs

if TYPE_CHECKING:
    from medray.search.ledger import Ledger

WORKER_DEATHS = 3


def tune(
    ledger: "Ledger", dataset: ImageDataset, rungs: Rungs, room: connect.Room, concurrency: int | None, *,
    verbose: bool,
) -> None:  # fmt: skip
    """Ask the ledger for trials until there are none left."""
    from ray import tune as ray_tune

    from medray.search.tune_adapters import Asha, StudySearch, TrialRunner, Watch

    run, cpu, gpu = ledger.run, room.resources.cpu, room.resources.gpu
    runner = ray_tune.with_parameters(
        TrialRunner,
        dataset=dataset if room.own else dataset.unmapped(),
        run=run,
        threads=max(1, int(cpu)),
        gpu=gpu > 0,
    )
    search = StudySearch(ledger, lambda: min(connect.count_slots(room.resources), concurrency or 10**9))
    tuner = ray_tune.Tuner(
        ray_tune.with_resources(runner, {"cpu": cpu, "gpu": gpu}),
        tune_config=ray_tune.TuneConfig(
            search_alg=search,
            scheduler=Asha(rungs),
            num_samples=ledger.left(),
            # Above the slots a limit changes nothing, but it would keep Tune from asking one trial ahead.
            max_concurrent_trials=concurrency if concurrency and concurrency < room.slots else None,
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=ray_tune.RunConfig(
            name=f"start-{len(run.tune.names())}",
            storage_path=run.tune.location,
            failure_config=ray_tune.FailureConfig(max_failures=WORKER_DEATHS),
            # Trials keep their own checkpoints, in the run's folder: Tune's would each force a snapshot.
            checkpoint_config=ray_tune.CheckpointConfig(checkpoint_at_end=False),
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

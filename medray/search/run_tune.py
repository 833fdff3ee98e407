"""The Ray runner of a search: Ray Tune places the trials that the ledger draws, and keeps no state of its own."""

import contextlib
import functools
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from medray.cluster.capacity import Capacity, count_slots
from medray.data.dataset import ImageDataset
from medray.search.asha import Rungs

if TYPE_CHECKING:
    from medray.search.ledger import Ledger

WORKER_DEATHS = 3  # in a row, without an epoch between them, before a trial is given up


def run_tune(
    ledger: "Ledger", dataset: ImageDataset, rungs: Rungs, capacity: Capacity, concurrency: int | None, *,
    verbose: bool,
) -> None:  # fmt: skip
    """Run all trials that are left, as many side by side as fit, or `concurrency` of them."""
    import ray
    from ray import tune

    from medray.search.tune_adapters import Asha, SearchCallback, StudySearch, TrialRunner

    run, cpu, gpu = ledger.run, capacity.resources.cpu, capacity.resources.gpu
    trainable = tune.with_parameters(
        TrialRunner,
        # In a list, as a worker may hand it on to a group of them.
        dataset=[ray.put(dataset if capacity.started_here else dataset.unmapped())],
        run=run,
        resources=capacity.resources,
    )
    search = StudySearch(ledger, lambda: min(count_slots(capacity.resources), concurrency or 10**9))
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": cpu, "gpu": gpu}),
        tune_config=tune.TuneConfig(
            search_alg=search,
            scheduler=Asha(rungs, search.lacks_time),
            num_samples=-1,  # the searcher says when there are no more: trials that are put back count once
            # Above the slots a limit changes nothing, but it would keep Tune from asking one trial ahead.
            max_concurrent_trials=concurrency if concurrency and concurrency < capacity.slots else None,
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
            callbacks=[SearchCallback(search)],
            verbose=3 if verbose else 0,
        ),
    )
    with _tune_silenced(verbose), _trainable_remembered():
        tuner.fit()


def _trial_name(trial: Any) -> str:
    return f"{trial.config['trial']:04d}"


@contextlib.contextmanager
def _trainable_remembered() -> Iterator[None]:
    """Let Tune ask Ray's store for the trainable's class once: it asks four times a trial, a millisecond each."""
    from ray.tune.experiment import trial

    names = ("get_trainable_cls", "validate_trainable")
    asking = {name: getattr(trial, name) for name in names}
    for name in names:
        setattr(trial, name, functools.cache(asking[name]))
    try:
        yield
    finally:
        for name in names:
            setattr(trial, name, asking[name])


@contextlib.contextmanager
def _tune_silenced(verbose: bool) -> Iterator[None]:
    """Drop what Tune prints in spite of its verbosity of 0."""
    if verbose:
        yield
        return
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):  # noqa: PTH123
        yield

"""Runs as tidy frames, as an Optuna study, as a Tune ResultGrid; `medray analyze` prints tables.

    import medray.analyze

    trials = medray.analyze.trials("runs/organs")
    epochs = medray.analyze.epochs("runs/organs", "runs/more")     # several: the first column is `run`

A run may be finished, running or interrupted, in a folder or at a URI. docs/analysis.md lists all columns. What
can't be read is left out and named in `frame.attrs["notes"]`. Nothing here reads the test split.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optuna
    import pandas as pd
    from ray.tune import ResultGrid

__all__ = ["epochs", "folds", "predictions", "result_grid", "study", "trials"]


def trials(*runs: str) -> "pd.DataFrame":
    """Return one row a trial: state, objective, validation metrics at the best epoch, time, and all settings.

    Raises:
        RunError: one of `runs` is no run.
    """
    from medray.analyze.frames import trials_frame
    from medray.analyze.open_runs import open_runs

    return trials_frame(open_runs(list(runs)))


def epochs(*runs: str) -> "pd.DataFrame":
    """Return one row an epoch of a trial: loss, validation metrics, learning rate, seconds.

    Raises:
        RunError: one of `runs` is no run.
    """
    from medray.analyze.frames import epochs_frame
    from medray.analyze.open_runs import open_runs

    return epochs_frame(open_runs(list(runs)))


def folds(*runs: str) -> "pd.DataFrame":
    """Return one row a fold of a cross-validated trial: metrics on the images that it holds out.

    Raises:
        RunError: one of `runs` is no run.
    """
    from medray.analyze.frames import folds_frame
    from medray.analyze.open_runs import open_runs

    return folds_frame(open_runs(list(runs)))


def predictions(*runs: str) -> "pd.DataFrame":
    """Return one row an image and network: true class and probabilities on validation and held-out images.

    Raises:
        RunError: one of `runs` is no run.
    """
    from medray.analyze.open_runs import open_runs
    from medray.analyze.predictions_frame import predictions_frame

    return predictions_frame(open_runs(list(runs)))


def study(run: str) -> "optuna.Study":
    """Return a copy of the run's Optuna study as it is now; changes to it don't reach the run.

    Raises:
        RunError: there is no run, or its journal is missing or damaged.
    """
    from medray.analyze.journal import open_study
    from medray.runs.finished_search import find_run

    return open_study(find_run(run))


def result_grid(run: str) -> "ResultGrid":
    """Return all of the run's trials as a Tune ResultGrid with all metrics, also where the search was resumed.

    It is made from the run's own files.

    Raises:
        RunError: there is no run.
    """
    from medray.analyze.grid import make_grid
    from medray.analyze.open_runs import open_runs

    (snapshot,) = open_runs([run])
    return make_grid(snapshot.run, snapshot.mode, snapshot.trials)

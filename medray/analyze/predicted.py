"""The frame of predictions: what networks say of images that they were not trained on, never of the test split."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from medray._types import Array
from medray.analyze.frame_columns import NUMBER, PREDICTIONS, Column
from medray.analyze.frames import make_frame
from medray.analyze.open_runs import SeenRun
from medray.analyze.partial import RUNNING, Training, one_line
from medray.data.folds import Folds
from medray.errors import DataError, RunError
from medray.runs.fold_results import FOLDS as FOLDS_FILE
from medray.runs.folder import read_arrays
from medray.runs.rundir import TrialDir
from medray.stats.validate import check_labelled

if TYPE_CHECKING:
    import pandas as pd

VAL, OUT_OF_FOLD = "val", "out-of-fold"


def predictions_frame(runs: Sequence[SeenRun]) -> "pd.DataFrame":
    """One row an image and network: of every trial on validation images, of every fold on those it holds out.

    Columns are `columns.PREDICTIONS` and `p[CLASS]` of every class of any of the runs. What a file lacks or tells
    wrongly is said in `frame.attrs["notes"]`.

    Raises:
        RunError: images of the test split are among those of a file.
    """
    import pandas as pd

    parts = [part for run in runs for part in _of_run(run)]
    classes = list(dict.fromkeys(name for part in parts for name in part if name.startswith("p[")))
    columns = [*PREDICTIONS, *(Column(name, NUMBER, "") for name in classes)]
    empty = make_frame([], columns, runs)
    frames = [pd.DataFrame(part, columns=empty.columns).astype(dict(empty.dtypes)) for part in parts]
    frame = pd.concat(frames, ignore_index=True) if frames else empty
    frame.attrs["notes"] = [note for run in runs for note in run.notes]
    return frame


def _of_run(run: SeenRun) -> list[dict[str, Any]]:
    splits = _splits(run)
    places = {None: splits.get("val")} | _held_out(run, splits)
    parts = []
    for training in [*run.trials, *run.folds]:
        if not training.record.best_epoch:
            continue  # it has no epoch yet
        try:
            parts.append(_of_training(run, training, places.get(training.fold)))
        except (RunError, DataError) as error:
            run.notes.append(f"left out of the predictions: {one_line(error)}")
    return parts


def _splits(run: SeenRun) -> dict[str, Array]:
    """The positions of each split; without them images have no position."""
    name = run.run.SPLITS
    try:
        given = run.run.read_json(name)
        return {str(split): np.array(own, dtype=np.int64).reshape(-1) for split, own in given.items()}
    except (RunError, OSError, AttributeError, TypeError, ValueError, OverflowError) as error:
        run.notes.append(f"{run.run.path(name)} can't be read, images have no position: {one_line(error)}")
        return {}


def _held_out(run: SeenRun, splits: dict[str, Array]) -> dict[int | None, Array]:
    if not run.folds:
        return {}
    name = run.run.crossval.path(FOLDS_FILE)
    try:
        folds = Folds.from_dict(run.run.crossval.read_json(FOLDS_FILE), name)
    except (RunError, OSError) as error:
        run.notes.append(f"images of folds have no position: {one_line(error)}")
        return {}
    if np.intersect1d(folds.held_out, splits.get("test", np.empty(0))).size:
        raise RunError(f"{name} is damaged: it holds out images of the test split, which nothing here may show")
    return {number: fold.val for number, fold in enumerate(folds.folds)}


def _of_training(run: SeenRun, training: Training, positions: Array | None) -> dict[str, Any]:
    """The columns of one file of predictions."""
    probabilities, labels, epoch = _read(training)
    path = training.folder.path(TrialDir.PREDICTIONS)
    classes = run.class_names or [str(i) for i in range(probabilities.shape[1])]
    if len(classes) != probabilities.shape[1]:
        raise RunError(
            f"{path} is damaged: it is of {probabilities.shape[1]} classes, the data have {len(classes)}"
        )
    if positions is not None and len(positions) != len(labels):
        raise RunError(f"{path} is of {len(labels)} images, not of the {len(positions)} that were set aside")
    names = np.array(classes, dtype=object)
    return {
        "run": run.name,
        "trial": training.record.number,
        "fold": training.fold,
        "source": VAL if training.fold is None else OUT_OF_FOLD,
        "position": positions,
        "epoch": epoch,
        "label": names[labels],
        "predicted": names[probabilities.argmax(axis=1)],
        **{f"p[{name}]": probabilities[:, i] for i, name in enumerate(classes)},
    }


def _read(training: Training) -> tuple[Array, Array, int]:
    """Probabilities, labels and epoch; a running trial's file may be one epoch ahead of what is known of it."""
    folder, record = training.folder, training.record
    path = folder.path(TrialDir.PREDICTIONS)
    probabilities, labels, epoch = read_arrays(folder, TrialDir.PREDICTIONS, "probabilities", "labels", "epoch")
    if epoch.shape or epoch.dtype.kind not in "iu":
        raise RunError(f"{path} is damaged: it does not say of which epoch it is")
    if record.state != RUNNING and epoch != record.best_epoch:
        raise RunError(f"{path} is damaged: it is of epoch {epoch}, the trial's best is {record.best_epoch}")
    try:
        check_labelled(probabilities, labels)
    except DataError as error:
        raise RunError(f"{path} is damaged: {error}") from None
    return probabilities, labels, int(epoch)

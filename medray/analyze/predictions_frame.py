"""The frame of predictions: networks on images that they were not trained on, never those of the test split."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from medray._types import Array
from medray.analyze.frame_columns import NUMBER, PREDICTIONS, RUN, TRUTH, Column
from medray.analyze.frames import epochs_frame, folds_frame, make_frame, trials_frame
from medray.analyze.open_runs import RunSnapshot
from medray.analyze.read_training import RUNNING, Training
from medray.data.members import UNKNOWN
from medray.ensemble.candidates import FOLDS, SELECTED_ON, TRIALS
from medray.errors import DataError, RunError, one_line
from medray.runs.folder import read_arrays
from medray.runs.rundir import TrialDir, check_predictions
from medray.stats.label_set_predictions import LabelSetPredictions

if TYPE_CHECKING:
    import pandas as pd

VAL, OUT_OF_FOLD = SELECTED_ON[TRIALS], SELECTED_ON[FOLDS]
SEPARATOR = "|"  # between the labels of an image


def predictions_frame(runs: Sequence[RunSnapshot]) -> "pd.DataFrame":
    """Return one row an image and network: trials on validation images, folds on those that they hold out.

    Columns are `frame_columns.PREDICTIONS` and `p[CLASS]` of every class of any of the runs. Where images may have
    several labels, `label` and `predicted` (from a probability of one half) join their names by "|", empty for
    none, and `has[LABEL]` of each is boolean, NA where it is unknown: the AUC of a label is that of `p[LABEL]`
    against `has[LABEL]`, on the rows where that is known. Missing or damaged files are named in
    `frame.attrs["notes"]`.

    Raises:
        RunError: images of the test split are among those of a file.
    """
    import pandas as pd

    parts = [part for run in runs for part in _parts(run)]
    fixed = {RUN.name, *(column.name for column in PREDICTIONS)}
    classes = dict.fromkeys(name for part in parts for name in part if name not in fixed)
    columns = [*PREDICTIONS, *(Column(name, TRUTH if name.startswith("has[") else NUMBER, "") for name in classes)]
    empty = make_frame([], columns, runs)
    frames = [pd.DataFrame(part, columns=empty.columns).astype(dict(empty.dtypes)) for part in parts]
    frame = pd.concat(frames, ignore_index=True) if frames else empty
    frame.attrs["notes"] = [note for run in runs for note in run.notes]
    return frame


def _parts(run: RunSnapshot) -> list[dict[str, Any]]:
    """Return the columns of each file of predictions of a run."""
    splits: dict[str, Array] = {}
    try:
        splits = run.run.read_splits()
    except (RunError, OSError) as error:
        path = run.run.path(run.run.SPLITS)
        run.notes.append(f"{path} can't be read, images have no position: {one_line(error)}")
    positions = {None: splits.get("val")} | _held_out(run, splits.get("test", np.empty(0)))
    parts = []
    for training in [*run.trials, *run.folds]:
        if not training.record.best_epoch:
            continue  # it has no epoch yet
        try:
            parts.append(_part(run, training, positions.get(training.fold)))
        except (RunError, DataError) as error:
            run.notes.append(f"left out of the predictions: {one_line(error)}")
    return parts


def _held_out(run: RunSnapshot, test: Array) -> dict[int | None, Array]:
    """Return the positions of the images that each fold holds out, by the fold's number."""
    if not run.folds:
        return {}
    crossval = run.run.crossval
    try:
        folds = crossval.read_folds()
    except (RunError, OSError) as error:
        run.notes.append(f"images of folds have no position: {one_line(error)}")
        return {}
    if np.intersect1d(folds.held_out, test).size:
        path = crossval.path(crossval.FOLDS)
        raise RunError(f"{path} is damaged: it holds out images of the test split, which nothing here may show")
    return {number: fold.val for number, fold in enumerate(folds.folds)}


def _part(run: RunSnapshot, training: Training, positions: Array | None) -> dict[str, Any]:
    """Return the columns of one training's predictions; `positions` are those of its images."""
    probabilities, labels, epoch = _read_arrays(training)
    path = training.folder.path(TrialDir.PREDICTIONS)
    classes = run.class_names or tuple(map(str, range(probabilities.shape[1])))
    if len(classes) != probabilities.shape[1]:
        raise RunError(
            f"{path} is damaged: it is of {probabilities.shape[1]} classes, the data have {len(classes)}"
        )
    if positions is not None and len(positions) != len(labels):
        raise RunError(f"{path} is of {len(labels)} images, not of the {len(positions)} that were set aside")
    return {
        "run": run.name,
        "trial": training.record.number,
        "fold": training.fold,
        "source": VAL if training.fold is None else OUT_OF_FOLD,
        "position": positions,
        "epoch": epoch,
        **_answers(probabilities, labels, np.array(classes, dtype=object)),
    }


def _answers(probabilities: Array, labels: Array, names: Array) -> dict[str, Any]:
    """Return the columns of what is true and what is predicted of each image, by the `names` of the classes."""
    by_class = {f"p[{name}]": probabilities[:, i] for i, name in enumerate(names)}
    if labels.ndim == 1:
        return {"label": names[labels], "predicted": names[probabilities.argmax(axis=1)], **by_class}
    called = LabelSetPredictions(probabilities, labels, len(names)).called
    having = {
        f"has[{name}]": [None if mark == UNKNOWN else bool(mark) for mark in labels[:, i]]
        for i, name in enumerate(names)
    }
    return {
        "label": [SEPARATOR.join(names[row]) for row in labels == 1],
        "predicted": [SEPARATOR.join(names[row]) for row in called],
        **by_class,
        **having,
    }


def _read_arrays(training: Training) -> tuple[Array, Array, int]:
    """Return probabilities, labels and epoch; a running trial's file may be an epoch ahead of its record."""
    folder, record = training.folder, training.record
    path = folder.path(TrialDir.PREDICTIONS)
    probabilities, labels, epoch = read_arrays(folder, TrialDir.PREDICTIONS, "probabilities", "labels", "epoch")
    if epoch.shape or epoch.dtype.kind not in "iu":
        raise RunError(f"{path} is damaged: it has no number of an epoch")
    if record.state != RUNNING and epoch != record.best_epoch:
        raise RunError(f"{path} is damaged: it is of epoch {epoch}, the trial's best is {record.best_epoch}")
    check_predictions(path, probabilities, labels)
    return probabilities, labels, int(epoch)


#: What makes the frame of each name.
FRAMES: dict[str, Callable[[Sequence[RunSnapshot]], "pd.DataFrame"]] = {
    "trials": trials_frame,
    "epochs": epochs_frame,
    "folds": folds_frame,
    "predictions": predictions_frame,
}

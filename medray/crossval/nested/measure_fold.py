"""Measure one outer fold: make the ensemble of its search, and predict the images that the fold holds out."""

import io
from collections.abc import Sequence

import numpy as np

from medray._types import Array
from medray.crossval.nested.plan_nested import OuterFold
from medray.data.listing.listing import CALIBRATION, TRAIN, VAL
from medray.decisions.temperature import apply_temperatures
from medray.ensemble.averaging import average
from medray.ensemble.calibrate_ensemble import calibrate_selection
from medray.ensemble.candidates import trial_pool
from medray.ensemble.predict_networks import predict_networks
from medray.ensemble.selection import make_selection
from medray.ensemble.strategies import LIBRARY, top_k
from medray.errors import MedrayError
from medray.runs.crossval_documents import NestedFold
from medray.runs.rundir import NestedDir, RunDir
from medray.runs.selection_facts import TOP_K
from medray.runs.trial_record import TrialRecord
from medray.space.search_space import SearchSpace


def measure_fold(
    run: RunDir, fold: OuterFold, records: Sequence[TrialRecord], space: SearchSpace, k: int
) -> NestedFold:
    """Measure the ensemble of a fold's search in `run`, on its val split and on the images that it holds out.

    The ensemble is that of the `k` best trials, as a search makes it, with a temperature as `medray ensemble` fits
    it: on the calibration split where there is one. All is by case where there are cases. The held-out predictions
    are written, then the scores; then the weights of the fold's networks are deleted.

    Raises:
        MedrayError: all trials of the search failed.
        WeightsError: weights are missing or damaged.
    """
    pool = trial_pool(run, records, space.mode, max(k, LIBRARY), space.task, fold.dataset.case_rule)
    if not pool.candidates:
        raise MedrayError(
            f"outer fold {fold.number}: all {len(records)} trials failed; the first: {records[0].reason} (see "
            f"{run.location}/trials)"
        )
    selection = make_selection(TOP_K, pool, top_k(pool.candidates, pool.labels, space.metric, k))
    members, shares = zip(*selection.members, strict=True)
    dataset, held_out = fold.dataset, fold.held_out
    aside = dataset.splits.get(CALIBRATION, np.empty(0, dtype=np.int64))
    images, aside_images, held_out_images = (
        dataset.at(positions) for positions in (np.concatenate([aside, held_out]), aside, held_out)
    )
    by_network = predict_networks(run, dataset, images, [member.key for member in members])
    on_held_out = {
        key: held_out_images.answers(table.at(slice(len(aside), None))) for key, table in by_network.items()
    }
    label_sets = pool.task.label_sets
    answers = average([on_held_out[member.key] for member in members], shares, label_sets=label_sets)
    if len(aside):
        on_aside = [aside_images.answers(by_network[member.key].at(slice(len(aside)))) for member in members]
        mean = average(on_aside, shares, label_sets=label_sets)
        labels = aside_images.answered_labels
        calibrated = calibrate_selection(selection, CALIBRATION, mean, labels, None).selection
    else:
        calibrated = calibrate_selection(selection, VAL, selection.probabilities, pool.labels, None).selection
    probabilities = apply_temperatures(answers, calibrated.temperatures)
    labels = held_out_images.answered_labels
    best, measure = pool.candidates[0], pool.task.measure_defined
    result = NestedFold(
        fold=fold.number,
        train=len(dataset.splits[TRAIN]),
        val=len(dataset.splits[VAL]),
        images=len(held_out),
        best_trial=best.number,
        members=tuple(member.record.number for member in members),
        temperatures=calibrated.temperatures,
        calibrated_on=str(calibrated.calibrated_on),
        val_scores=calibrated.calibrated_scores,
        held_out_scores=measure(probabilities, labels),
        best_trial_val_scores=measure(best.probabilities, pool.labels),
        best_trial_held_out_scores=measure(on_held_out[best.members[0].key], labels),
    )
    first = slice(None) if dataset.cases is None else dataset.cases.at(held_out).first
    _write(run, result, positions=held_out[first], labels=labels, probabilities=probabilities)
    return result


def _write(run: RunDir, result: NestedFold, **predictions: Array) -> None:
    """Write the held-out predictions, then the document that says that the fold is whole, and delete weights."""
    stream = io.BytesIO()
    np.savez(stream, **predictions)  # type: ignore[arg-type]
    run.write(NestedDir.PREDICTIONS, stream.getvalue())
    run.write_json(NestedDir.FOLD, result.to_dict())
    for number in run.trial_numbers():
        run.trial(number).delete(run.trial(number).WEIGHTS)
    for name in run.trunks.names():
        run.trunks.delete(name)

"""Calibrate selections of members: fit each one's temperature on images that neither trained nor selected it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.console import Console

from medray._types import Array
from medray.console import step
from medray.decisions.promises import CALIBRATION
from medray.decisions.temperature import apply_temperatures, fit_temperatures
from medray.ensemble.averaging import average
from medray.ensemble.predict_networks import predict_networks
from medray.ensemble.selection import Selection
from medray.runs.finished_search import FinishedSearch
from medray.text import plural


@dataclass(frozen=True)
class CalibratedSelection:
    """A selection with its temperature, and its answers to the images that decisions are set on.

    `probabilities` (n, classes) are those after the temperature, of images of the split `set_on`, or their cases,
    with `labels` (n,), and the patients `groups` (n,) where known.
    """

    selection: Selection
    set_on: str
    probabilities: Array
    labels: Array
    groups: Array | None


def calibrate_selections(
    search: FinishedSearch, selections: Sequence[Selection], data: str | None, console: Console
) -> list[CalibratedSelection]:
    """Return the selections with a temperature each, by their networks' answers to the calibration split.

    Where the data set has none, they are calibrated by the predictions that the members were selected on: then
    nothing is promised about new images.

    Raises:
        DataError: the run's data can't be loaded.
        WeightsError: weights are missing or damaged.
    """
    if CALIBRATION not in search.data.splits:
        return [calibrate_selection(s, s.selected_on, s.probabilities, s.labels, None) for s in selections]
    with step(console, f"Loading {data or search.options.data}") as progress:
        dataset = search.load_data(data, progress)
    images = dataset.split(CALIBRATION)
    groups = dataset.answered_groups(images.positions)
    keys = list(dict.fromkeys(m.key for selection in selections for m, _ in selection.members))
    networks = plural(len(keys), "network")
    with step(console, f"Predicting {len(images)} calibration images with {networks}"):
        by_network = {
            key: images.answers(table)
            for key, table in predict_networks(search.run, dataset, images, keys).items()
        }
    calibrated = []
    for selection in selections:
        members, weights = zip(*selection.members, strict=True)
        mean = average([by_network[m.key] for m in members], weights, label_sets=selection.task.label_sets)
        calibrated.append(calibrate_selection(selection, CALIBRATION, mean, images.answered_labels, groups))
    return calibrated


def calibrate_selection(
    selection: Selection, set_on: str, probabilities: Array, labels: Array, groups: Array | None
) -> CalibratedSelection:
    """Fit a selection's temperature to its mean `probabilities` (n, classes) of the images that `set_on` names."""
    temperatures = fit_temperatures(probabilities, labels)
    selection = replace(selection, temperatures=temperatures, calibrated_on=set_on)
    return CalibratedSelection(selection, set_on, apply_temperatures(probabilities, temperatures), labels, groups)

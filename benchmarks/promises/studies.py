"""Simulated studies: a search's networks, their folds, and every ensemble of them, by medray's own code."""

from collections.abc import Iterator

import numpy as np

from medray._types import Array
from medray.data.calibration_split import calibration_share
from medray.data.group_assignment import assign_groups
from medray.decisions.promises import CALIBRATION
from medray.decisions.temperature import apply_temperatures
from medray.ensemble.averaging import average
from medray.ensemble.calibrate_ensemble import CalibratedSelection, calibrate_selection
from medray.ensemble.candidates import FOLDS, TRIALS, Candidate, Member, Pool
from medray.ensemble.selection import Selection, all_selections
from medray.errors import DataError
from medray.runs.rundir import TrialDir
from medray.runs.selection_facts import SINGLE
from medray.runs.trial_record import FINISHED, TrialRecord
from medray.stats.metrics import roc_auc

from .population import FEATURES, Condition, Images, Network, Population

NEW = 20_000  # images that a study is asked about afterwards
TRIALS_PER_STUDY, FOLDED, FOLD_COUNT = 12, 3, 5
Networks = dict[tuple[int, int | None], Network]  # by trial, and by fold where it is one of a fold


def study(
    population: Population, condition: Condition, rng: np.random.Generator
) -> Iterator[tuple[CalibratedSelection, Array, Images]]:
    """Run one study by medray's own rules and yield each kind of ensemble.

    Beside the ensemble stand its probabilities (NEW, 2) of new images, and these images.
    """
    pool = population.draw(condition, condition.images, rng, condition.per_patient)
    new = population.draw(condition, NEW, rng, 1)
    groups = pool.patients if condition.per_patient > 1 else None
    units = np.arange(len(pool.labels)) if groups is None else groups
    try:
        assigned = assign_groups(pool.labels, units, np.array([0.8, 0.2]))
        train, val = np.flatnonzero(assigned == 0), np.flatnonzero(assigned == 1)
        share = calibration_share(pool.labels[train], pool.patients[train], 2)
        aside = train[:0]
        if share:
            assigned = assign_groups(pool.labels[train], units[train], np.array([1 - share, share]))
            train, aside = train[assigned == 0], train[assigned == 1]
        networks, pools = train_networks(pool, train, val, groups, rng)
        selections = all_selections(pools, "auc", 4)
    except (ValueError, DataError):  # a class has too few images to be divided: no study
        return
    answers = {key: network.predict(new.features) for key, network in networks.items()}
    for selection in selections:
        if selection.strategy == SINGLE:
            continue
        if share:
            mean = combine(selection, {key: n.predict(pool.features[aside]) for key, n in networks.items()})
            patients = None if groups is None else groups[aside]
            calibrated = calibrate_selection(selection, CALIBRATION, mean, pool.labels[aside], patients)
        else:
            calibrated = calibrate_selection(
                selection, selection.selected_on, selection.probabilities, selection.labels, None
            )
        temperatures = calibrated.selection.temperatures
        yield calibrated, apply_temperatures(combine(selection, answers), temperatures), new


def search(pool: Images, train: Array, val: Array, rng: np.random.Generator) -> tuple[Networks, Pool]:
    """Return the networks of a search, trained on the rows `train`, and the candidates, best on `val` first."""
    networks: Networks = {}
    candidates = []
    for number in range(TRIALS_PER_STUDY):
        columns = rng.choice(FEATURES, size=rng.integers(8, FEATURES + 1), replace=False)
        network = Network(columns, float(10 ** rng.uniform(-1.5, 1))).fit(pool.at(train))
        probabilities = network.predict(pool.features[val])
        networks[number, None] = network
        score = roc_auc(probabilities[:, 1], pool.labels[val] == 1)
        candidates.append(Candidate(number, (member(number, None),), probabilities, score))
    candidates.sort(key=lambda candidate: -candidate.objective)
    return networks, Pool(TRIALS, candidates, pool.labels[val])


def train_networks(
    pool: Images, train: Array, val: Array, groups: Array | None, rng: np.random.Generator
) -> tuple[Networks, list[Pool]]:
    """Return all networks of a search and of the folds of its best, and the candidates for an ensemble."""
    networks, trials = search(pool, train, val, rng)
    rows = np.sort(np.concatenate([train, val]))
    folds = split_folds(pool.labels[rows], None if groups is None else groups[rows])
    folded = []
    for best in trials.candidates[:FOLDED]:
        held_out = np.zeros((len(rows), 2), dtype=np.float32)
        scores = []
        for fold, (inside, outside) in enumerate(folds):
            network = networks[best.number, None].fit(pool.at(rows[inside]))
            networks[best.number, fold] = network
            held_out[outside] = network.predict(pool.features[rows[outside]])
            scores.append(roc_auc(held_out[outside, 1], pool.labels[rows[outside]] == 1))
        members = tuple(member(best.number, fold) for fold in range(FOLD_COUNT))
        folded.append(Candidate(best.number, members, held_out, float(np.mean(scores))))
    folded.sort(key=lambda candidate: -candidate.objective)
    return networks, [trials, Pool(FOLDS, folded, pool.labels[rows])]


def split_folds(labels: Array, groups: Array | None) -> list[tuple[Array, Array]]:
    """Return each fold's training and held-out rows; stratified, and with `groups` (n,) by patient.

    Raises:
        ValueError: a class has too few images to be divided.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    splitter = (StratifiedKFold if groups is None else StratifiedGroupKFold)(
        FOLD_COUNT, shuffle=True, random_state=0
    )
    return list(splitter.split(labels, labels, groups))


def member(number: int, fold: int | None) -> Member:
    """Return the member that a trial, or its fold, is."""
    return Member(TrialRecord(number, FINISHED, objective=0.0, best_epoch=1), TrialDir("/nowhere"), fold)


def combine(selection: Selection, predictions: dict[tuple[int, int | None], Array]) -> Array:
    """Return the mean of a selection's members, before its temperature."""
    members, weights = zip(*selection.members, strict=True)
    return average([predictions[m.key] for m in members], weights)

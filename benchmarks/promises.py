"""Whether medray's promises hold: simulated studies from the images to the answers for new ones.

A study draws a pool of images, trains networks (logistic regressions of pixels: fast, and as lucky on validation
images as larger ones), selects members, sets temperature, operating points and conformal sets by
medray's own code, and is then asked about 20,000 new images. What was promised stands beside what was true.

    uv run python benchmarks/promises.py [--data FILE.npz] [--studies 200] [--quick] [--seed 0] [--write FILE]

`--data` is an .npz of two classes in MedMNIST's form, whose pixels are the features; without it they are drawn.
Exits with 1 where a promise is broken.
"""

import argparse
import itertools
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from medray._types import Array
from medray.data.calibration_split import calibration_share
from medray.data.group_assignment import assign_groups
from medray.decisions.conformal import calibrate, summarize_sets
from medray.decisions.promises import CALIBRATION, independent_number
from medray.decisions.temperature import apply_temperature
from medray.decisions.thresholds import Rule, set_point
from medray.ensemble.averaging import average
from medray.ensemble.calibrate_ensemble import CalibratedSelection, calibrate_selection
from medray.ensemble.candidates import FOLDS, TRIALS, Candidate, Member, Pool
from medray.ensemble.selection import Selection, all_selections
from medray.errors import DataError
from medray.runs.rundir import TrialDir
from medray.runs.selection_facts import SINGLE
from medray.runs.trial_record import FINISHED, TrialRecord
from medray.stats.metrics import roc_auc

FEATURES = 40
NEW = 20_000  # images that a study is asked about afterwards
TRIALS_PER_STUDY, FOLDED, FOLD_COUNT = 12, 3, 5
WITHIN_PATIENT = 0.6  # share of the noise's variance that all images of a patient have in common
TARGETS = (0.9, 0.95)  # of sensitivities and of coverages
FEWEST = 10  # studies, for a promise to be judged by
NAMES = ("other", "case")
MARKS = ("<!-- promises -->", "<!-- end of promises -->")


@dataclass(frozen=True)
class Condition:
    """The kind of study: AUC that much training would reach, images, share of cases, images of each patient."""

    auc: float
    images: int
    cases: float
    per_patient: int


@dataclass(frozen=True)
class Images:
    """Features (n, FEATURES), labels int64 (n,), and the patient of each image, int64 (n,)."""

    features: Array
    labels: Array
    patients: Array

    def at(self, rows: Array) -> "Images":
        """Return the images at `rows`."""
        return Images(self.features[rows], self.labels[rows], self.patients[rows])


class Population:
    """Images of two classes, from which patients are drawn; noise makes them as hard as a condition says."""

    def __init__(self, data: str | None, seed: int) -> None:
        rng = np.random.default_rng(seed)
        if data is None:
            self.labels = np.arange(6000) % 2
            shift = rng.normal(size=FEATURES) * 0.5
            self.features = rng.normal(size=(6000, FEATURES)) + shift * (2 * self.labels[:, None] - 1)
        else:
            from sklearn.decomposition import PCA

            with np.load(data) as arrays:
                parts = [arrays[f"{split}_images"].reshape(len(arrays[f"{split}_images"]), -1) / 255
                         for split in ("train", "val", "test")]  # fmt: skip
                labels = [arrays[f"{split}_labels"].ravel() for split in ("train", "val", "test")]
            self.labels = np.concatenate(labels).astype(np.int64)
            if self.labels.max() != 1:
                sys.exit(f"{data}: {self.labels.max() + 1} classes; two are needed")
            whitened = PCA(FEATURES, whiten=True, random_state=0).fit_transform(np.concatenate(parts))
            self.features = whitened
        self._by_class = [np.flatnonzero(self.labels == label) for label in (0, 1)]
        self._noise: dict[float, float] = {}

    def draw(self, condition: Condition, images: int, rng: np.random.Generator, per_patient: int) -> Images:
        """Draw at least `images` images of patients of one class each."""
        patients = -(-images // per_patient)
        labels = (rng.random(patients) < condition.cases).astype(np.int64)
        other, case = (rng.choice(rows, size=patients) for rows in self._by_class)
        rows = np.where(labels == 1, case, other)
        shared = rng.normal(size=(patients, FEATURES)) * WITHIN_PATIENT**0.5
        repeat = np.repeat(np.arange(patients), per_patient)
        alone = rng.normal(size=(len(repeat), FEATURES)) * (1 - WITHIN_PATIENT) ** 0.5
        noise = self._noise_for(condition.auc)
        return Images(self.features[rows[repeat]] + noise * (shared[repeat] + alone), labels[repeat], repeat)

    def _noise_for(self, auc: float) -> float:
        """Return the noise with which a network trained on many images has the AUC, or none if it never has it."""
        if auc not in self._noise:
            low, high = 0.0, 20.0
            for _ in range(12):
                self._noise[auc] = (low + high) / 2
                rng = np.random.default_rng(1)
                even = Condition(auc, 0, 0.5, 1)
                train, new = (self.draw(even, 6000, rng, 1) for _ in range(2))
                network = Network(np.arange(FEATURES), 0.1).fit(train)
                reached = roc_auc(network.predict(new.features)[:, 1], new.labels == 1)
                low, high = ((low + high) / 2, high) if reached > auc else (low, (low + high) / 2)
        return self._noise[auc]


@dataclass
class Network:
    """A logistic regression of some of the features; `strength` is scikit-learn's C: high ones overfit."""

    columns: Array
    strength: float
    _model: object = field(default=None, repr=False)

    def fit(self, images: Images) -> "Network":
        """Return another one, trained on the images."""
        from sklearn.linear_model import LogisticRegression

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of fits that end early, as training does
            model = LogisticRegression(C=self.strength, max_iter=60)
            model.fit(images.features[:, self.columns], images.labels)
        return Network(self.columns, self.strength, model)

    def predict(self, features: Array) -> Array:
        """Return probabilities float32 (n, 2)."""
        logits = features[:, self.columns] @ self._model.coef_[0] + self._model.intercept_[0]  # type: ignore[attr-defined]
        positive = 1 / (1 + np.exp(-logits.clip(-30, 30)))
        return np.stack([1 - positive, positive], axis=1).astype(np.float32)


@dataclass(frozen=True)
class Result:
    """What one ensemble of one study promised, and what was true of it on the new images."""

    condition: Condition
    ensemble: str
    set_on: str
    images: int
    cases: float
    promised: dict[float, bool]
    sensitivity: dict[float, float]
    specificity: dict[float, float]
    covered: dict[float, float]
    size: dict[float, float]
    accuracy: float
    slope: float
    auc: float


def study(population: Population, condition: Condition, rng: np.random.Generator) -> Iterator[Result]:
    """Run one study by medray's own rules and yield a result for each kind of ensemble."""
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
    known = {key: network.predict(new.features) for key, network in networks.items()}
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
        yield judge(condition, calibrated, apply_temperature(combine(selection, known),
                                                             calibrated.selection.temperature), new)  # fmt: skip


def train_networks(
    pool: Images, train: Array, val: Array, groups: Array | None, rng: np.random.Generator
) -> tuple[dict[tuple[int, int | None], Network], list[Pool]]:
    """Return all networks of a search and of the folds of its best, and the candidates for an ensemble."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    networks: dict[tuple[int, int | None], Network] = {}
    candidates = []
    for number in range(TRIALS_PER_STUDY):
        columns = rng.choice(FEATURES, size=rng.integers(8, FEATURES + 1), replace=False)
        network = Network(columns, float(10 ** rng.uniform(-1.5, 1))).fit(pool.at(train))
        probabilities = network.predict(pool.features[val])
        networks[number, None] = network
        score = roc_auc(probabilities[:, 1], pool.labels[val] == 1)
        candidates.append(Candidate(number, (member(number, None),), probabilities, score))
    candidates.sort(key=lambda candidate: -candidate.objective)
    pools = [Pool(TRIALS, candidates, pool.labels[val])]
    rows = np.sort(np.concatenate([train, val]))
    splitter = (StratifiedKFold if groups is None else StratifiedGroupKFold)(
        FOLD_COUNT, shuffle=True, random_state=0
    )
    folds = list(splitter.split(rows, pool.labels[rows], None if groups is None else groups[rows]))
    folded = []
    for best in candidates[:FOLDED]:
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
    return networks, [*pools, Pool(FOLDS, folded, pool.labels[rows])]


def member(number: int, fold: int | None) -> Member:
    """Return the member that a trial, or its fold, is."""
    return Member(TrialRecord(number, FINISHED, objective=0.0, best_epoch=1), TrialDir("/nowhere"), fold)


def combine(selection: Selection, predictions: dict[tuple[int, int | None], Array]) -> Array:
    """Return the mean of a selection's members, before its temperature."""
    members, weights = zip(*selection.members, strict=True)
    return average([predictions[m.key] for m in members], weights)


def judge(condition: Condition, calibrated: CalibratedSelection, answers: Array, new: Images) -> Result:
    """Set points and sets on the calibrated images, and measure them on the new ones."""
    positive = new.labels == 1
    accuracy = float((answers.argmax(axis=1) == new.labels).mean())
    slope, auc = calibration_slope(answers, new.labels), roc_auc(answers[:, 1], positive)
    title, set_on, images = calibrated.selection.title, calibrated.set_on, len(calibrated.labels)
    scores = calibrated.probabilities[calibrated.labels == 1, 1]
    groups = None if calibrated.groups is None else calibrated.groups[calibrated.labels == 1]
    cases = independent_number(scores, groups)
    result = Result(condition, title, set_on, images, cases, {}, {}, {}, {}, {}, accuracy, slope, auc)
    for target in TARGETS:
        point = set_point(
            Rule("sensitivity", target), calibrated.probabilities, calibrated.labels, NAMES, NAMES[1],
            calibrated.set_on, calibrated.groups,
        )  # fmt: skip
        called = point.decide(answers)
        result.promised[target] = point.promised is not None
        result.sensitivity[target] = float(called[positive].mean())
        result.specificity[target] = float((~called[~positive]).mean())
        sets = calibrate(
            calibrated.probabilities, calibrated.labels, target, set_on=calibrated.set_on, groups=calibrated.groups
        )
        summary = summarize_sets(sets.sets(answers), new.labels)
        result.covered[target] = summary.covered.value or 0.0
        result.size[target] = summary.mean_size
    return result


def calibration_slope(answers: Array, labels: Array) -> float:
    """Return the slope of a logistic regression of the labels on the answers' log-odds: 1 is right (Cox 1958)."""
    from sklearn.linear_model import LogisticRegression

    positive = answers[:, 1].astype(np.float64).clip(1e-6, 1 - 1e-6)
    odds = np.log(positive / (1 - positive))[:, None]
    return float(LogisticRegression(C=np.inf).fit(odds, labels).coef_[0, 0])


def conditions(quick: bool) -> list[Condition]:
    """Return the kinds of studies."""
    if quick:
        return [Condition(0.92, 400, 0.3, 1), Condition(0.79, 1500, 0.1, 1), Condition(0.92, 1500, 0.3, 5)]
    return [
        Condition(*values)
        for values in itertools.product((0.97, 0.92, 0.79), (150, 400, 1500), (0.1, 0.3, 0.5), (1, 5))
    ]


def table(results: list[Result]) -> tuple[list[str], list[str]]:
    """Return the rows of the table in Markdown, and the promises that are broken.

    The sensitivity of a target is that of the studies that promise it, where any does. Rows of fewer than
    `FEWEST` studies are shown and not judged.
    """
    rows, broken = [], []
    for (condition, ensemble, set_on), own in grouped(results).items():
        kind = [str(condition.auc), str(condition.images), f"{condition.cases:g}", str(condition.per_patient)]
        name = " ".join([*kind, ensemble])
        cells = [*kind, ensemble, set_on, str(len(own))]
        cells += [f"{mean(own, 'cases'):.0f}", f"{mean(own, 'auc'):.3f}"]
        judged = set_on == CALIBRATION and len(own) >= FEWEST
        for target in TARGETS:
            promised = [r for r in own if r.promised[target]]
            true = np.array([r.sensitivity[target] for r in promised or own])
            cells.append(f"{true.mean():.3f}")
            lowest, highest = (target, target + 0.02) if mean(own, "cases") >= 40 else (target - 0.01, 1.0)
            if len(promised) >= FEWEST and not within(true, lowest, highest):
                broken.append(f"{name}: sensitivity {target} is {true.mean():.3f} ± {twice_error(true):.3f}")
        cells.append(f"{np.mean([r.specificity[0.95] for r in own]):.3f}")
        for target in TARGETS:
            covered = np.array([r.covered[target] for r in own])
            cells.append(f"{covered.mean():.3f} ({np.mean([r.size[target] for r in own]):.2f})")
            if judged and not within(covered, target - 0.01, highest_coverage(own, target)):
                broken.append(f"{name}: coverage {target} is {covered.mean():.3f} ± {twice_error(covered):.3f}")
        slopes = np.log([max(r.slope, 1e-3) for r in own])
        slope = float(np.exp(slopes.mean()))
        cells.append(f"{slope:.2f}")
        if judged and not within(slopes, float(np.log(0.9)), float(np.log(1.1))):
            broken.append(f"{name}: calibration slope {slope:.2f}")
        rows.append("| " + " | ".join(cells) + " |")
    return rows, broken


def mean(results: list[Result], name: str) -> float:
    """Return the mean of one of the numbers of `results`."""
    return float(np.mean([getattr(result, name) for result in results]))


def twice_error(values: Array) -> float:
    """Return twice the standard error of the mean of `values` (n,)."""
    return float(2 * values.std() / np.sqrt(len(values)))


def within(values: Array, low: float, high: float) -> bool:
    """Return whether the mean of `values` (n,) lies in `low`..`high`, give or take twice its standard error."""
    return bool(low - twice_error(values) <= values.mean() <= high + twice_error(values))


def highest_coverage(results: list[Result], target: float) -> float:
    """Return the mean coverage that sets may have at most.

    It is 0.01 above the target, or above the accuracy, as no set is empty. Of n images the rank of the quantile is
    whole, so that the coverage is up to 1 / (n + 1) above the target: more than 0.01 below a hundred images.
    """
    return max(target, mean(results, "accuracy")) + max(0.01, 1 / (mean(results, "images") + 1))


def grouped(results: list[Result]) -> dict[tuple[Condition, str, str], list[Result]]:
    """Return the results by condition, ensemble and the images that set it, in their order.

    By chance one study of a kind has enough cases for a calibration split, and another has not.
    """
    groups: dict[tuple[Condition, str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.condition, result.ensemble, result.set_on), []).append(result)
    return groups


HEADER = """| AUC | images | cases | of each patient | ensemble | set on | studies | cases there | AUC on new | \
sens. 0.9 | sens. 0.95 | spec. at 0.95 | sets 0.9 (size) | sets 0.95 (size) | slope |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"""


def main() -> None:
    """Run the studies, print the table, and exit with 1 where a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="An .npz of two classes whose pixels are used; drawn features without it")
    parser.add_argument("--studies", type=int, help="Studies of each kind  [200, or 60 with --quick]")
    parser.add_argument("--quick", action="store_true", help="Three kinds of studies only")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", metavar="FILE", help="Put the table between this page's two marks")
    given = parser.parse_args()
    population, start = Population(given.data, given.seed), time.perf_counter()
    results: list[Result] = []
    count = given.studies or (60 if given.quick else 200)
    kinds = conditions(given.quick)
    for index, condition in enumerate(kinds):
        for number in range(count):
            rng = np.random.default_rng([given.seed, index, number])
            results += study(population, condition, rng)
        elapsed = time.perf_counter() - start
        print(f"{index + 1} of {len(kinds)} kinds of studies, {elapsed:.0f} s", file=sys.stderr)
    rows, broken = table(results)
    text = "\n".join([HEADER, *rows])
    print(text)
    if given.write:
        page = Path(given.write)
        before, _, rest = page.read_text().partition(MARKS[0])
        lines = "\n".join(f"- {line}" for line in broken) or "- nothing"
        text += f"\n\n{count} studies of each kind. Broken:\n\n{lines}"
        page.write_text(f"{before}{MARKS[0]}\n\n{text}\n\n{MARKS[1]}{rest.partition(MARKS[1])[2]}")
    for line in broken:
        print(f"broken: {line}")
    print(f"{len(results)} ensembles of {count * len(kinds)} studies; {len(broken)} promises broken")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()

"""How much better a held-out fold's best epoch scores than new images do, which folds are said to be.

Each fold trains a small network by epochs and keeps the best by the images that it holds out, as `medray crossval`
does. Held-out images may by chance be easier than new ones. By as much the last epoch, which nothing selected,
scores higher on them too, so its difference is subtracted.
"""

import itertools
import warnings
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.stats.metrics import log_loss, roc_auc

from .judging import FEWEST, twice_error
from .population import Condition, Images, Population
from .studies import NEW, split_folds
from .table import KIND, Section

EPOCHS = 30


@dataclass(frozen=True)
class Optimism:
    """Mean AUC over a study's folds: of the best epoch and the last, held out and on new images."""

    best_held_out: float
    best_new: float
    last_held_out: float
    last_new: float

    @property
    def optimism(self) -> float:
        """How much more the best epoch gains on the held-out images than the last, which nothing selected."""
        return (self.best_held_out - self.best_new) - (self.last_held_out - self.last_new)


def conditions(quick: bool) -> list[Condition]:
    """Return the kinds of studies."""
    if quick:
        return [Condition(0.92, 400, 0.3, 1), Condition(0.79, 400, 0.3, 1)]
    return [
        Condition(auc, images, 0.3, per_patient)
        for auc, (images, per_patient) in itertools.product(
            (0.97, 0.92, 0.79), ((150, 1), (400, 1), (400, 5), (1500, 1))
        )
    ]


def run(population: Population, seed: int, quick: bool, studies: int | None) -> Iterator[str | Section]:
    """Yield a line of progress after each kind of studies, and the table at the end."""
    kinds, count = conditions(quick), studies or 20
    section = Section([*KIND, "studies", "best epoch, held out", "on new", "difference", "less the last epoch's"])
    means = []
    for index, condition in enumerate(kinds):
        drawn = (
            measure_study(population, condition, np.random.default_rng([seed, 3, index, number]))
            for number in range(count)
        )
        results = [result for result in drawn if result is not None]
        yield f"{index + 1} of {len(kinds)} kinds of folds"
        if len(results) < FEWEST:
            continue
        scores = [f"{np.mean([getattr(r, name) for r in results]):.3f}" for name in ("best_held_out", "best_new")]
        difference = np.array([result.best_held_out - result.best_new for result in results])
        optimism = np.array([result.optimism for result in results])
        section.rows.append([*condition.cells, str(len(results)), *scores, signed(difference), signed(optimism)])
        means.append(float(optimism.mean()))
    if means:
        section.notes.append(f"From {min(means):+.3f} to {max(means):+.3f}, {np.mean(means):+.3f} on average.")
    section.notes.append(f"{count} studies of each kind; ± is twice the standard error.")
    yield section


def measure_study(population: Population, condition: Condition, rng: np.random.Generator) -> Optimism | None:
    """Train the folds of one study; None where a class has too few images to be divided."""
    pool = population.draw(condition, condition.images, rng, condition.per_patient)
    new = population.draw(condition, NEW, rng, 1)
    rate, hidden = float(10 ** rng.uniform(-2.5, -1.5)), int(rng.integers(4, 33))
    try:
        folds = split_folds(pool.labels, pool.patients if condition.per_patient > 1 else None)
    except ValueError:
        return None
    scores = []
    for fold, (inside, outside) in enumerate(folds):
        if len(np.unique(pool.labels[inside])) < 2 or len(np.unique(pool.labels[outside])) < 2:
            return None
        scores.append(train_fold(pool.at(inside), pool.at(outside), new, rate, hidden, fold))
    return Optimism(*np.mean(scores, axis=0).tolist())


def train_fold(
    train: Images, held_out: Images, new: Images, rate: float, hidden: int, seed: int
) -> tuple[float, float, float, float]:
    """Return the AUC of the best epoch on held-out and on new images, and of the last epoch.

    The best has the highest AUC of the held-out images; of equals the lowest log loss.
    """
    from sklearn.neural_network import MLPClassifier

    network = MLPClassifier((hidden,), learning_rate_init=rate, batch_size=32, random_state=seed)
    best, kept = (-1.0, 0.0), network
    for _ in range(EPOCHS):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network.partial_fit(train.features, train.labels, classes=[0, 1])  # one epoch
        answers = network.predict_proba(held_out.features)
        rank = (roc_auc(answers[:, 1], held_out.labels == 1), -log_loss(answers, held_out.labels))
        if rank > best:
            best, kept = rank, deepcopy(network)
    return best[0], new_auc(kept, new), rank[0], new_auc(network, new)


def new_auc(network: object, new: Images) -> float:
    """Return the AUC of a network's answers to the new images."""
    answers: Array = network.predict_proba(new.features)  # type: ignore[attr-defined]
    return roc_auc(answers[:, 1], new.labels == 1)


def signed(values: Array) -> str:
    """Return the mean of `values` (n,) with its sign and twice its standard error."""
    return f"{values.mean():+.3f} ± {twice_error(values):.3f}"

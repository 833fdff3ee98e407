"""A report's figures beside the scores of the same baselines in this run.

They are computed from what the run has stored whenever they are asked for; an evaluation stores what they need.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.errors import MedrayError
from medray.evaluate.same_data import same_data
from medray.evaluate.stored_predictions import StoredPredictions
from medray.evaluate.test_reads import TestRead
from medray.json_document import JsonDocument
from medray.runs.finished_search import FinishedSearch
from medray.runs.fold_results import MeanStd
from medray.space.published import FOLDS, POSITIVE_CLASS_METRICS, TEST, TRAIN, VAL, PublishedModel
from medray.stats.label_set_predictions import predictions_of
from medray.stats.metrics import recall_precision_f1
from medray.stats.scores import Predictions


@dataclass(frozen=True)
class ComparedFigure(JsonDocument):
    """A published figure and the one here, each with its standard deviation over folds; None where unknown."""

    published: float
    published_sd: float | None
    here: float | None
    here_sd: float | None


@dataclass(frozen=True)
class ComparedModel(JsonDocument):
    """One model's figures by metric; `note` says why there are none here, `folds` counts those averaged here."""

    name: str
    average_of: tuple[str, ...]
    folds: int | None
    figures: dict[str, ComparedFigure]
    note: str | None


@dataclass(frozen=True)
class ImageCounts(JsonDocument):
    """The numbers of images of a split in the report and here, None where unknown."""

    published: int | None
    here: int | None


@dataclass(frozen=True)
class ComparedSplit(JsonDocument):
    """The figures of one split, or of folds: all metrics that were published of any model, and the models."""

    split: str
    images: ImageCounts
    metrics: tuple[str, ...]
    models: tuple[ComparedModel, ...]


@dataclass(frozen=True)
class PublishedComparison(JsonDocument):
    """A report and the comparison with it, for each split of which it has figures.

    `here` is the source of the run's data. `comparable` says whether both are of the same images, None where that
    is unknown; `warning` is the sentence on it. `positive` is the class that some figures are of.
    """

    report: str
    data: str
    source: str | None
    positive: str | None
    note: str | None
    comparable: bool | None
    warning: str | None
    here: str
    tables: tuple[ComparedSplit, ...]


def compare_published(search: FinishedSearch, read: TestRead) -> PublishedComparison | None:
    """Return the comparison with the report that the search space names, None where it names none."""
    published = search.space.published
    if published is None:
        return None
    comparable, warning = same_data(published, search.data)
    stored = StoredPredictions(search, read)
    tables = []
    for split in (TEST, VAL, TRAIN, FOLDS):
        models = [model for model in published.models if split in model.figures]
        here = search.data.splits.get(split)
        if models:
            images = ImageCounts(published.images.get(split), here.images if here else None)
            metrics = dict.fromkeys(metric for model in models for metric in model.figures[split])
            rows = [
                _compare_model(model, split, stored, search.data.class_names, published.positive)
                for model in models
            ]
            tables.append(ComparedSplit(split, images, tuple(metrics), tuple(rows)))
    return PublishedComparison(
        report=published.report,
        data=published.data,
        source=published.source,
        positive=published.positive,
        note=published.note,
        comparable=comparable,
        warning=warning,
        here=search.data.source,
        tables=tuple(tables),
    )


def _compare_model(
    model: PublishedModel, split: str, stored: StoredPredictions, names: Sequence[str], positive: str | None
) -> ComparedModel:
    """Compare a model's figures with those here: means over what is stored, of scores that all folds have."""
    spreads: dict[str, MeanStd] = {}
    note, folds = None, None
    try:
        predicted = stored.of_model(model, split)
        folds = len(predicted) if split == FOLDS else None
        scores = [_scores(*arrays, names, positive) for arrays in predicted]
        shared = [metric for metric in scores[0] if all(np.isfinite(others[metric]) for others in scores)]
        spreads = {metric: MeanStd.of([others[metric] for others in scores]) for metric in shared}
    except MedrayError as error:  # a damaged file concerns this model only
        note = str(error)
    published = model.figures[split]
    if note is None and any(metric in POSITIVE_CLASS_METRICS and metric not in spreads for metric in published):
        note = f"no class '{positive}' here"
    figures = {}
    for metric, figure in published.items():
        here = spreads.get(metric)
        figures[metric] = ComparedFigure(
            published=figure.mean,
            published_sd=figure.sd,
            here=here.mean if here else None,
            here_sd=here.std if here and folds else None,
        )
    return ComparedModel(model.name, tuple(model.average_of), folds, figures, note)


def _scores(probabilities: Array, labels: Array, names: Sequence[str], positive: str | None) -> dict[str, float]:
    """Return all scores, and those of the class `positive`, its name compared without case, if there is one."""
    predictions = predictions_of(probabilities, labels, len(names))
    scores = predictions.scores()
    if not isinstance(predictions, Predictions):
        return scores
    recall, precision, f1 = recall_precision_f1(predictions.confusion.astype(np.float64))
    of_key = {"recall": recall, "precision": precision, "f1": f1}
    for c, name in enumerate(names):
        if name.casefold() == (positive or "").casefold():
            scores |= {metric: float(of_key[key][c]) for metric, key in POSITIVE_CLASS_METRICS.items()}
    return scores

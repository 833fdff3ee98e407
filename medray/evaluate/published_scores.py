"""A report's figures beside those of the same baselines here.

They are worked out from what the run has stored, whenever they are asked for; an evaluation stores what they need.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from medray.errors import MedrayError
from medray.evaluate.same_data import same_data
from medray.evaluate.stored_predictions import Answer, OwnAnswers
from medray.evaluate.test_reads import Reading
from medray.runs.finished_search import SearchedRun
from medray.runs.fold_results import Spread
from medray.space.published import FOLDS, OF_POSITIVE, TEST, TRAIN, VAL, Figure, Published, PublishedModel
from medray.stats.scores import Measure


def beside(searched: SearchedRun, reading: Reading) -> dict[str, Any] | None:
    """What the report says, what was measured here, and whether the two can be compared; None without a report.

    There is a table for each of test, val, train and folds that has published figures, with a row for each model.
    A row whose model has no figures here has a `note` that says why.
    """
    published = searched.space.published
    if published is None:
        return None
    comparable, warning = same_data(published, searched.data)
    answers, names = OwnAnswers(searched, reading), list(searched.data["class_names"])
    return {
        "report": published.report,
        "data": published.data,
        "source": published.source,
        "positive": published.positive,
        "note": published.note,
        "comparable": comparable,
        "warning": warning,
        "here": searched.data["source"],
        "tables": [
            _table(published, split, searched, answers, names)
            for split in (TEST, VAL, TRAIN, FOLDS)
            if any(split in model.figures for model in published.models)
        ],
    }


def _table(
    published: Published, split: str, searched: SearchedRun, answers: OwnAnswers, names: Sequence[str]
) -> dict[str, Any]:
    models = [model for model in published.models if split in model.figures]
    here = searched.data["splits"].get(split)
    return {
        "split": split,
        "images": {"published": published.images.get(split), "here": here and here["images"]},
        "metrics": list(dict.fromkeys(metric for model in models for metric in model.figures[split])),
        "rows": [_row(model, split, answers, names, published.positive) for model in models],
    }


def _row(
    model: PublishedModel, split: str, answers: OwnAnswers, names: Sequence[str], positive: str | None
) -> dict[str, Any]:
    own: dict[str, Spread] = {}
    note, folds = None, None
    try:
        found = answers.of(model, split)
        folds = len(found) if split == FOLDS else None
        own = _spreads(found, names, positive)
    except MedrayError as error:  # one damaged file takes no other figure along
        note = str(error)
    wanted = model.figures[split]
    if note is None and any(metric in OF_POSITIVE and metric not in own for metric in wanted):
        note = f"no class '{positive}' here"
    return {
        "name": model.name,
        "average_of": list(model.average_of),
        "folds": folds,
        "figures": {metric: _pair(figure, own.get(metric), folds) for metric, figure in wanted.items()},
        "note": note,
    }


def _pair(published: Figure, own: Spread | None, folds: int | None) -> dict[str, float | None]:
    return {
        "published": published.mean,
        "published_sd": published.sd,
        "here": own.mean if own else None,
        "here_sd": own.std if own and folds else None,
    }


def _spreads(answers: Sequence[Answer], names: Sequence[str], positive: str | None) -> dict[str, Spread]:
    """Every score that is defined in all answers: mean and standard deviation over them."""
    scores = [_scores(answer, names, positive) for answer in answers]
    shared = [metric for metric in scores[0] if all(np.isfinite(own[metric]) for own in scores)]
    return {metric: Spread.of([own[metric] for own in scores]) for metric in shared}


def _scores(answer: Answer, names: Sequence[str], positive: str | None) -> dict[str, float]:
    probabilities, labels = answer
    measure = Measure(probabilities, labels, len(names))
    own = {row["name"].casefold(): row for row in measure.per_class(names)}.get((positive or "").casefold())
    of_positive = {} if own is None else {metric: own[key] for metric, key in OF_POSITIVE.items()}  # type: ignore[literal-required]
    return {**measure.scores(), **of_positive}

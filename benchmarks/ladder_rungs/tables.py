"""The tables of the results, in Markdown, and which rung the other sets would have selected for each."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from search_quality.data_sets import SETS
from search_quality.tables import MISSING, table

from medray.config import POOLINGS
from medray.init.ladder import MANY
from medray.init.ladder import STRENGTHS as LADDER
from medray.stats.score_names import METRICS

from .measure import Result
from .rungs import IMAGES, PROBE, SIDES, STRENGTHS, WEIGHTS, Rung

FEWEST_SETS = 3  # of a comparison that leaves one out
SCORES = {"auc": "AUC", "log_loss": "log loss"}
Scores = dict[Rung, dict[str, Result]]  # by rung, then by set


def by_rung(results: Iterable[Result], *, probes: bool, normalisation: str = WEIGHTS) -> Scores:
    """Return the results of linear heads with a normalisation, or of all other rungs."""
    scores: Scores = {}
    for result in results:
        rung = result.rung
        if (rung.kind == PROBE) == probes and rung.normalisation == normalisation:
            scores.setdefault(rung, {})[result.set] = result
    return scores


def names_of(scores: Scores) -> list[str]:
    """Return the names of the sets that have results, in the order of all sets."""
    return [name for name in SETS if any(name in each for each in scores.values())]


def title(name: str) -> str:
    """Return a set's short title."""
    return SETS[name].title.split(",")[0]


def cell(result: Result | None) -> str:
    """Return AUC, accuracy and log loss."""
    if result is None:
        return MISSING
    return f"{result.mean('auc'):.3f} / {result.mean('accuracy'):.3f} / {result.mean('log_loss'):.3f}"


def best(scores: Scores, name: str, rungs: Iterable[Rung], metric: str) -> Rung | None:
    """Return the rung that is best for a set by a metric, of those that it has."""
    known = [rung for rung in rungs if name in scores[rung]]
    sign = 1 if METRICS[metric] == "max" else -1
    return max(known, key=lambda rung: sign * scores[rung][name].mean(metric), default=None)


def size_table(scores: Scores, normalisation: str = WEIGHTS) -> str:
    """Return scores by size and pooling, each at the strength with the least log loss, which is in brackets."""
    sets, rows = names_of(scores), []
    for side in SIDES:
        for pooling in POOLINGS:
            rungs = [rung for rung in scores if (rung.side, rung.pooling) == (side, pooling)]
            picked = [(name, best(scores, name, rungs, "log_loss")) for name in sets]
            if any(rung for _, rung in picked):
                cells = [f"{cell(scores[r][n])} ({r.weight_decay:g})" if r else MISSING for n, r in picked]
                rows.append([f"{side}, {pooling}", *cells])
    head = f"AUC / accuracy / log loss (weight decay), normalised by the {normalisation}"
    return table([head, *map(title, sets)], rows)


def strength_table(scores: Scores, side: int, pooling: str) -> str:
    """Return AUC and log loss by strength, at one size and pooling."""
    sets = names_of(scores)
    rungs = sorted((r for r in scores if (r.side, r.pooling) == (side, pooling)), key=lambda r: r.weight_decay)
    rows = [
        [
            f"{rung.weight_decay:g}",
            *(
                f"{r.mean('auc'):.3f} / {r.mean('log_loss'):.3f}" if (r := scores[rung].get(name)) else MISSING
                for name in sets
            ),
        ]
        for rung in rungs
    ]
    return table([f"weight decay at {side}, {pooling}: AUC / log loss", *map(title, sets)], rows)


def slow_table(scores: Scores) -> str:
    """Return the scores of small networks and of fine-tuning after their last epoch, and the seconds of a fold."""
    sets = names_of(scores)
    rows = []
    for rung, each in scores.items():
        cells = [f"{cell(each[n])}; {np.mean(each[n].seconds):.0f} s" if n in each else MISSING for n in sets]
        rows.append([f"{rung.kind}, {rung.side or 'own size'}", *cells])
    return table(["AUC / accuracy / log loss; seconds of a fold", *map(title, sets)], rows)


def complete(scores: Scores, largest: int) -> tuple[list[str], list[Rung]]:
    """Return the sets that have every linear head up to a size, and these heads."""
    rungs = [rung for rung in scores if rung.side <= largest]
    if not any(rung.side == largest for rung in rungs):
        return [], []
    return [name for name in names_of(scores) if all(name in scores[rung] for rung in rungs)], rungs


def selected_elsewhere(scores: Scores, name: str, sets: Sequence[str], rungs: Sequence[Rung], metric: str) -> Rung:
    """Return the rung with the least mean rank by a metric on all sets but one."""
    from scipy.stats import rankdata

    sign = -1 if METRICS[metric] == "max" else 1
    ranks = [
        rankdata([sign * scores[rung][other].mean(metric) for rung in rungs]) for other in sets if other != name
    ]
    return rungs[int(np.argmin(np.mean(ranks, axis=0)))]


def ladder_rungs(rungs: Iterable[Rung], images: int) -> list[Rung]:
    """Return the rungs that the ladder has with so many training images, whatever sizes the machine affords.

    Of strengths those nearest to the ladder's count.
    """
    nearest = {min(STRENGTHS, key=lambda s: abs(math.log(s / own))) for own in LADDER[images > MANY]}
    return [rung for rung in rungs if rung.pooling == POOLINGS[-1] and rung.weight_decay in nearest]


def left_out_table(scores: Scores, sets: Sequence[str], rungs: Sequence[Rung], metric: str) -> str:
    """Return what the other sets select for each set, and what it loses against the best in hindsight.

    Beside it the best of the ladder's own heads at these sizes.
    """
    rows = []
    for name in sets:
        hindsight = best(scores, name, rungs, metric)
        assert hindsight is not None
        ladder = best(scores, name, ladder_rungs(rungs, scores[hindsight][name].images), metric)
        elsewhere = selected_elsewhere(scores, name, sets, rungs, metric)
        top = scores[hindsight][name].mean(metric)
        cells = [
            f"{scores[rung][name].mean(metric):.3f} ({short(rung)})" if rung else MISSING
            for rung in (elsewhere, hindsight, ladder)
        ]
        loss = abs(top - scores[elsewhere][name].mean(metric))
        rows.append([title(name), cells[0], cells[1], f"{loss:.3f}", cells[2]])
    columns = [SCORES[metric], "selected by the other sets", "best in hindsight", "lost", "best of the ladder's"]
    return table(columns, rows)


def short(rung: Rung) -> str:
    """Return a linear head in few words."""
    return f"{rung.side}, {rung.pooling}, {rung.weight_decay:g}"


def all_tables(results: Sequence[Result]) -> str:
    """Return all tables."""
    probes, loads = by_rung(results, probes=True), [result.load for result in results]
    folds = sorted({len(result.seconds) for result in results})
    parts = [
        f"Means over {' or '.join(map(str, folds))} folds of train and val, no image of test; "
        f"load average of the machine: median {np.median(loads):.1f}."
    ]
    if probes:
        parts.append(size_table(probes))
    own = by_rung(results, probes=True, normalisation=IMAGES)
    if own:
        parts.append(size_table(own, IMAGES))
    parts += [
        strength_table(probes, side, POOLINGS[-1])
        for side in SIDES
        if any((rung.side, rung.pooling) == (side, POOLINGS[-1]) for rung in probes)
    ]
    for largest in SIDES:
        sets, rungs = complete(probes, largest)
        if len(sets) >= FEWEST_SETS:
            parts.append(f"Each set left out in turn, sizes up to {largest}:")
            parts += [left_out_table(probes, sets, rungs, metric) for metric in SCORES]
    others = by_rung(results, probes=False)
    return "\n\n".join([*parts, *([slow_table(others)] if others else [])])

"""The tables of the recipes, in Markdown: each one's difference to the base, fold by fold."""

from collections.abc import Sequence

import numpy as np
from search_quality.data_sets import SETS
from search_quality.tables import MISSING, table

from .arms import ARMS, KINDS, PLAIN
from .results import RecipeResult

MIRRORED = "one cycle, mirror image averaged in"


def all_tables(results: Sequence[RecipeResult]) -> str:
    """Return a table of each kind of training."""
    return "\n\n".join(_of_kind(kind, results) for kind in KINDS if any(r.kind == kind for r in results))


def _of_kind(kind: str, results: Sequence[RecipeResult]) -> str:
    by_key = {(r.set, r.arm): r for r in results if r.kind == kind}
    sets = [name for name in SETS if (name, PLAIN) in by_key]
    rows = []
    for arm in ARMS:
        if not any((name, arm.name) in by_key for name in sets):
            continue
        cells = [_cell(by_key, name, arm.name) for name in sets]
        rows.append([arm.name, *cells, *_means(by_key, sets, arm.name)])
        if arm.name == PLAIN:
            rows.append(
                [MIRRORED, *(_mirrored_cell(by_key[name, PLAIN]) for name in sets), *_mirror_means(by_key, sets)]
            )
    titles = [f"{SETS[name].title.split(',')[0]}, {by_key[name, PLAIN].images} images" for name in sets]
    return table([f"{KINDS[kind]}: AUC / log loss", *titles, "mean AUC", "mean log loss"], rows)


def _cell(by_key: dict[tuple[str, str], RecipeResult], name: str, arm: str) -> str:
    result, base = by_key.get((name, arm)), by_key[name, PLAIN]
    if result is None:
        return MISSING
    if arm == PLAIN:
        return f"{np.mean(base.scores['auc']):.3f} / {np.mean(base.scores['log_loss']):.3f}"
    return _difference(result.scores, base.scores)


def _mirrored_cell(base: RecipeResult) -> str:
    return _difference(base.mirrored, base.scores)


def _difference(scores: dict[str, tuple[float, ...]], base: dict[str, tuple[float, ...]]) -> str:
    auc = np.subtract(scores["auc"], base["auc"])
    loss = np.subtract(scores["log_loss"], base["log_loss"])
    return f"{auc.mean():+.3f} ± {auc.std(ddof=1) / len(auc) ** 0.5:.3f} / {loss.mean():+.3f}"


def _means(by_key: dict[tuple[str, str], RecipeResult], sets: Sequence[str], arm: str) -> list[str]:
    known = [(by_key[n, arm], by_key[n, PLAIN]) for n in sets if (n, arm) in by_key]
    if len(known) < len(sets):
        return [MISSING, MISSING]
    means = {
        metric: [(np.mean(r.scores[metric]), np.mean(b.scores[metric])) for r, b in known]
        for metric in ("auc", "log_loss")
    }
    if arm == PLAIN:
        return [f"{np.mean([own for own, _ in means[metric]]):.3f}" for metric in means]
    return [f"{np.mean([own - base for own, base in means[metric]]):+.4f}" for metric in means]


def _mirror_means(by_key: dict[tuple[str, str], RecipeResult], sets: Sequence[str]) -> list[str]:
    bases = [by_key[name, PLAIN] for name in sets]
    return [
        f"{np.mean([np.mean(b.mirrored[m]) - np.mean(b.scores[m]) for b in bases]):+.4f}"
        for m in ("auc", "log_loss")
    ]

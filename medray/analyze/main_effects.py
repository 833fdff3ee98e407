"""Whether a setting has an effect of its own on the objective: a permutation test over all settings at once.

A forest finds importance in noise, too: its shares always sum to what it has fitted. So each setting is tested by
how well a parabola in its rank (or its categories) explains the rank of the objective, beside what it explains
where the objectives are shuffled among the trials. A setting's p is the share of shuffles in which any setting
does as well (Westfall & Young 1993, single-step minP), so it holds for all settings together.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from medray._types import Array

SHUFFLES, SEED = 999, 0


def main_effect_p(
    settings: Mapping[str, Mapping[int, object]],
    objectives: Array,
    categorical: frozenset[str],
    fewest: int,
    shuffles: int = SHUFFLES,
) -> dict[str, float | None]:
    """Return the p of each setting, adjusted for the number of settings.

    `settings` has each setting's value, which may be None, by the index of the trials that have it; `objectives`
    is float (trials,). A setting has no p where fewer than `fewest` trials have it, or all of these have the same
    value.
    """
    from scipy.stats import rankdata

    rng = np.random.default_rng(SEED)
    ranks = rankdata(objectives)
    shuffled = np.stack([ranks, *(rng.permutation(ranks) for _ in range(shuffles))])
    logarithms = {}
    for name, values in settings.items():
        rows = np.array(list(values), dtype=np.int64)
        if len(rows) < fewest:
            continue
        basis = _basis(list(values.values()), name in categorical)
        if 0 < basis.shape[1] < len(rows) - 1:
            logarithms[name] = _log_p(basis, shuffled[:, rows])
    if not logarithms:
        return dict.fromkeys(settings)
    least = np.min(list(logarithms.values()), axis=0)
    adjusted = {name: float((least <= p[0] + 1e-9).mean()) for name, p in logarithms.items()}
    return {name: adjusted.get(name) for name in settings}


def _basis(values: Sequence[object], categorical: bool) -> Array:
    """Return orthonormal columns (n, k), each of mean 0: the categories, or a number's rank and its square."""
    from scipy.stats import rankdata

    _, codes = np.unique([str(value) for value in values], return_inverse=True)
    if categorical:
        columns = np.eye(codes.max() + 1)[codes]
    else:
        ranks = rankdata(np.array(values, dtype=np.float64))
        columns = np.column_stack([ranks, (ranks - ranks.mean()) ** 2])
    left, sizes, _ = np.linalg.svd(columns - columns.mean(axis=0), full_matrices=False)
    basis: Array = left[:, sizes > 1e-9 * max(1.0, sizes.max(initial=0.0))]
    return basis


def _log_p(basis: Array, objectives: Array) -> Array:
    """Return the logarithm of the p of the F test of each row of objectives (m, n) on a basis (n, k), (m,)."""
    from scipy.stats import f

    trials, columns = basis.shape
    centred = objectives - objectives.mean(axis=1, keepdims=True)
    total = np.square(centred).sum(axis=1)
    explained = np.divide(np.square(centred @ basis).sum(axis=1), total, out=np.zeros_like(total), where=total > 0)
    left = trials - 1 - columns
    ratio = explained / columns / (np.clip(1 - explained, 1e-12, None) / left)
    result: Array = f.logsf(ratio, columns, left)
    return result

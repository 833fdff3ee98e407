"""How long it takes to choose an ensemble's members from a large search.

By default 500 trials' predictions of 10,000 images in 11 classes; nothing is trained. Their skill differs, and
they share some of their mistakes, as networks do.

    uv run python benchmarks/choose_members.py [--candidates 500] [--images 10000] [--classes 11] [--metric auc]
"""

import argparse
import contextlib
import io
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from medray._types import Array
from medray.ensemble.candidates import Pool, trial_pool
from medray.ensemble.selection import all_selections
from medray.ensemble.strategies import LIBRARY, greedy
from medray.runs.rundir import RunDir
from medray.runs.trial_record import FINISHED, TrialRecord
from medray.stats.metrics import all_metrics
from medray.stats.score_names import METRICS

TOP_K = 4


def predictions(candidates: int, images: int, classes: int) -> tuple[Array, Iterator[Array]]:
    """Labels int64 (images,), and probabilities float32 (images, classes), one candidate after the other."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, size=images)
    shared = rng.normal(size=(images, classes))

    def one_by_one() -> Iterator[Array]:
        for skill in rng.uniform(1, 3, size=candidates):
            logits = shared + rng.normal(size=shared.shape)
            logits[np.arange(images), labels] += skill
            exact = np.exp(logits - logits.max(axis=1, keepdims=True))
            yield (exact / exact.sum(axis=1, keepdims=True)).astype(np.float32)

    return labels, one_by_one()


def write_run(run: RunDir, candidates: int, images: int, classes: int, metric: str) -> list[TrialRecord]:
    """Leave the predictions as a search does."""
    labels, parts = predictions(candidates, images, classes)
    records = []
    for number, part in enumerate(parts):
        stream, folder = io.BytesIO(), run.trial(number)
        np.savez(stream, probabilities=part, labels=labels, epoch=1)
        folder.write(folder.PREDICTIONS, stream.getvalue())
        objective = all_metrics(part, labels)[metric]
        records.append(TrialRecord(number, FINISHED, objective=objective, best_epoch=1))
    return records


@contextlib.contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long it took, and how much of that this process was at work."""
    start, busy = time.perf_counter(), time.process_time()
    yield
    print(f"{what}: {time.perf_counter() - start:5.2f} s ({time.process_time() - busy:5.2f} s of the CPU)")


def main() -> None:
    """Print the seconds for reading, for greedy selection, and for every selection."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=500)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--classes", type=int, default=11)
    parser.add_argument("--metric", choices=list(METRICS), action="append", help="Again for more.  [auc]")
    given = parser.parse_args()
    for metric in given.metric or ["auc"]:
        with tempfile.TemporaryDirectory(prefix="medray-bench-") as folder:
            run = RunDir(str(Path(folder) / "run"))
            records = write_run(run, given.candidates, given.images, given.classes, metric)
            with timed(f"{metric}: reading the best"):
                pool = trial_pool(run, records, METRICS[metric], limit=LIBRARY)
        report(pool, metric)


def report(pool: Pool, metric: str) -> None:
    """Time greedy selection alone, then all selections with their scores and temperatures."""
    with timed(f"{metric}: greedy alone"):
        greedy(pool.candidates, pool.labels, metric)
    with timed(f"{metric}: all selections, greedy too, with their scores"):
        selections = all_selections([pool], metric, TOP_K)
        for selection in selections:
            selection.facts()
    for selection in selections:
        score = selection.scores[metric]
        print(f"  {selection.strategy:7} {len(selection.members):3} models  {metric} {score:.5f}")


if __name__ == "__main__":
    main()

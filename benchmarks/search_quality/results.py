"""The results file: one JSON line for each finished run, so that a comparison is continued at will."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medray.json_document import JsonDocument

FINISHED, FAILED = "finished", "failed"


@dataclass(frozen=True)
class Result(JsonDocument):
    """What a contestant made of a data set and a seed in `budget` seconds.

    `curve` has (seconds since the start, best validation AUC so far) at each rise within the budget; `seconds` is
    the time from the start until the model that is handed over was complete. `test_auc` and `test_accuracy` are of
    that model; what measured them came afterwards. `load` is the load average of the machine at the start. Of each
    test image there are a label and a score for each class, where they were kept.
    """

    set: str
    seed: int
    contestant: str
    budget: float
    state: str
    reason: str | None = None
    curve: tuple[tuple[float, float], ...] = ()
    seconds: float | None = None
    trials: int | None = None
    epochs: int | None = None
    test_auc: float | None = None
    test_accuracy: float | None = None
    threads: int = 0
    load: float = 0.0
    time: str = ""
    commit: str | None = None
    versions: dict[str, str] | None = None
    test_labels: tuple[int, ...] = ()
    test_scores: tuple[tuple[float, ...], ...] = ()

    @property
    def key(self) -> tuple[str, int, str, float]:
        """What is run once: set, seed, contestant and budget."""
        return self.set, self.seed, self.contestant, self.budget

    @property
    def final(self) -> float:
        """The best validation AUC within the budget, 0.5 where no epoch was finished in it."""
        return self.curve[-1][1] if self.curve else 0.5

    def best_at(self, seconds: float) -> float | None:
        """Return the best validation AUC after so many seconds, None before the first."""
        values = [best for time, best in self.curve if time <= seconds]
        return values[-1] if values else None

    def time_to(self, value: float) -> float | None:
        """Return the seconds until the best validation AUC was `value` or more, None where it never was."""
        return next((time for time, best in self.curve if best >= value), None)


def rising(points: Sequence[tuple[float, float]], budget: float) -> tuple[tuple[float, float], ...]:
    """Return the best value so far at each rise, of points (seconds, value) in any order within the budget."""
    curve: list[tuple[float, float]] = []
    for time, value in sorted(points):
        if time <= budget and (not curve or value > curve[-1][1]):
            curve.append((round(time, 2), value))
    return tuple(curve)


def read_results(path: Path) -> list[Result]:
    """Return the results of a file in its order, the last of each key; none where there is no file.

    Raises:
        RunError: a line is no result; the error names its number.
    """
    if not path.is_file():
        return []
    results: dict[tuple[Any, ...], Result] = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        result = Result.from_dict(json.loads(line), f"{path}, line {number}")
        results[result.key] = result
    return list(results.values())


def append_result(path: Path, result: Result) -> None:
    """Add a result to the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(result.to_dict()) + "\n")

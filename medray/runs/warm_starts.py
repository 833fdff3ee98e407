"""WarmStart: the content of warm_start.json, what a search takes from earlier runs. It needs them no more then."""

from dataclasses import dataclass
from typing import Any

from medray.json_document import JsonDocument


@dataclass(frozen=True)
class EarlierTrial(JsonDocument):
    """A trial of an earlier run: its number and objective there, and the `params` that draw its settings here."""

    number: int
    objective: float
    params: dict[str, Any]


@dataclass(frozen=True)
class EarlierRun(JsonDocument):
    """An earlier run in the folder `run`, in which so many `trials` have ended.

    Its `best` trials are run again here, first. Those that are `known` inform the draws by their objectives, as
    they are trials that this search could have run: on the same data, with all settings that it would give them.
    `skipped` says of each trial among the best that can't be drawn here why.
    """

    run: str
    same_data: bool
    trials: int
    best: tuple[EarlierTrial, ...]
    known: tuple[EarlierTrial, ...]
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class WarmStart(JsonDocument):
    """What a search takes from all earlier runs that it was given."""

    runs: tuple[EarlierRun, ...] = ()

    def in_turn(self) -> list[tuple[EarlierRun, EarlierTrial]]:
        """Return the best trials, each with its run: the best of every run, then the second of every run, ...

        Of several with the same params only the first is there.
        """
        most = max((len(run.best) for run in self.runs), default=0)
        ranked = [(run, run.best[i]) for i in range(most) for run in self.runs if i < len(run.best)]
        params = [trial.params for _, trial in ranked]
        return [pair for i, pair in enumerate(ranked) if params[i] not in params[:i]]

"""The Optuna study of a run: an ordinary one, in Optuna's journal format.

optuna-dashboard runs/organs/study.journal
optuna.load_study(study_name="medray",
                  storage=JournalStorage(JournalFileBackend("runs/organs/study.journal")))
"""

import hashlib
import tempfile
import warnings
from bisect import insort
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from medray.errors import RunError
from medray.runs.rundir import RunDir
from medray.search.study_journal import StudyJournal, StudyStorage
from medray.training.seeds import draw_seed

NAME = "medray"
STARTUP_TRIALS = 10  # before TPE sets in; baselines count


class StudyFile:
    """The study's journal: in the run's folder, or for a run at a URI in a local copy that is sent there.

    What is done to the study is in the file after `write`, and at the URI after `send`.
    """

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self.journal: StudyJournal | None = None
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        folder = Path(tempfile.mkdtemp(prefix="medray-")) if run.local is None else run.local
        self.path = folder / run.STUDY
        if run.local is None and run.exists(run.STUDY):
            self.path.write_bytes(run.read(run.STUDY))
        # A killed driver may have left its lock and half a last line. Only a driver that holds the run
        # comes here, so the lock is nobody else's.
        self.path.with_name(f"{self.path.name}.lock").unlink(missing_ok=True)
        if self.path.exists():
            content = self.path.read_bytes()
            complete = content[: content.rfind(b"\n") + 1]
            if complete != content:
                self.path.write_bytes(complete)

    def open(self, mode: str) -> Study:
        """Open the study, or create it; `mode` is max or min.

        Raises:
            RunError: the journal is damaged.
        """
        direction = "maximize" if mode == "max" else "minimize"
        try:
            self.journal = StudyJournal(self.path)
            storage = StudyStorage(self.journal)
            return optuna.create_study(storage=storage, study_name=NAME, direction=direction, load_if_exists=True)
        except (ValueError, KeyError) as error:
            raise RunError(f"{self.path} is damaged: {error}") from None

    def write(self) -> None:
        """Write what the study was told since the last time."""
        if self.journal is not None:
            self.journal.write()

    def send(self) -> None:
        """Write what the study was told since the last time, and bring the copy at a URI up to date."""
        self.write()
        if self.run.local is None:
            self.run.write(self.run.STUDY, self.path.read_bytes())


class BestAndLatest:
    """A study reduced to its best complete, its latest ended and its latest running trials, for TPE to learn from.

    `earlier` trials, complete ones of other studies with numbers below 0, come before its own.

    TPE's time grows with the number of trials. Its model of good settings is made of the best 25 at most, which
    are all kept; for its model of the others the latest are enough, of those that have ended and, where hundreds
    run side by side, of those that run. `read` takes in what is new; until then it gives the same trials.
    """

    BEST, LATEST = 25, 150

    def __init__(self, study: Study, earlier: Sequence[FrozenTrial] = ()) -> None:
        self._study, self._earlier = study, len(earlier)
        self._sign = -1 if study.direction == StudyDirection.MAXIMIZE else 1
        #: All trials; the first `_settled` have ended, and the complete ones of these are ranked, best first.
        self._trials, self._settled, self._ranked = list(earlier), 0, list[FrozenTrial]()
        self._picked: dict[tuple[TrialState, ...], list[FrozenTrial]] = {}
        self.read()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def read(self) -> None:
        """Take in what has happened to the study since the last time."""
        self._trials[self._earlier :] = self._study.get_trials(deepcopy=False)
        self._picked = {}
        for trial in self._trials[self._settled :]:
            if not trial.state.is_finished():
                break
            if trial.state == TrialState.COMPLETE:
                insort(self._ranked, trial, key=self._rank)
            self._settled += 1

    def _rank(self, trial: FrozenTrial) -> tuple[float, int]:
        return self._sign * (trial.value or 0.0), trial.number

    def _get_trials(
        self, deepcopy: bool = True, states: Iterable[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        kept = tuple(TrialState) if states is None else tuple(states)
        if kept not in self._picked:
            self._picked[kept] = self._pick(kept)
        return self._picked[kept]

    def _pick(self, states: tuple[TrialState, ...]) -> list[FrozenTrial]:
        newest = list(
            islice((t for t in reversed(self._trials) if t.state in states), self.BEST + self.LATEST + 1)
        )
        if len(newest) <= self.BEST + self.LATEST:
            return newest[::-1]
        unsettled = [t for t in self._trials[self._settled :] if t.state in states]
        running = [t for t in unsettled if not t.state.is_finished()][-self.LATEST :]
        ended = [state for state in states if state.is_finished()]
        latest = list(islice((t for t in reversed(self._trials) if t.state in ended), self.LATEST))
        oldest = latest[-1].number if latest else 0
        ranked = self._ranked if TrialState.COMPLETE in states else []
        best = list(islice((t for t in ranked if t.number < oldest), self.BEST))
        best += [t for t in unsettled if t.state == TrialState.COMPLETE and t.number < oldest]
        return sorted([*sorted(best, key=self._rank)[: self.BEST], *running, *latest], key=lambda t: t.number)


class DistinctSettings:
    """The first trial of each set of names that were drawn: all that TPE's groups of names depend on."""

    def __init__(self, trials: BestAndLatest) -> None:
        self._all = trials

    def __getattr__(self, name: str) -> Any:
        return getattr(self._all, name)

    def _get_trials(self, *args: Any, **options: Any) -> list[FrozenTrial]:
        first: dict[frozenset[str], FrozenTrial] = {}
        for trial in self._all._get_trials(*args, **options):
            first.setdefault(frozenset(trial.distributions), trial)
        return list(first.values())


class SpreadTPE(optuna.samplers.TPESampler):
    """Multivariate TPE whose first draws are spread over the space, for trial `number`.

    Independent first draws leave much unseen: six of them miss a third of six backbones. These are a Latin
    hypercube instead (McKay et al. 1979): a choice of k values is drawn in shuffled rounds of k, a range in
    shuffled rounds of strata. All randomness follows from seed and number, so a resumed search draws what an
    unbroken one would, and not the first trials once more. `drawn_before` counts the drawn trials before this one.
    TPE learns from `trials`, by default the study's own; with trials of earlier studies it sets in the sooner.
    """

    def __init__(self, seed: int, number: int, drawn_before: int, trials: BestAndLatest | None = None) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            super().__init__(
                seed=draw_seed(seed, number) % 2**32,
                multivariate=True,
                group=True,
                constant_liar=True,
                n_startup_trials=STARTUP_TRIALS,
            )
        self.search_seed, self.drawn_before, self.trials = seed, drawn_before, trials

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the distributions that the best and latest trials have drawn from."""
        self.trials = self.trials or BestAndLatest(study)
        self.trials.read()
        distinct: Any = DistinctSettings(self.trials)
        space: dict[str, BaseDistribution] = super().infer_relative_search_space(distinct, trial)
        return space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw values by TPE's model of the best and latest trials."""
        reduced: Any = self.trials
        drawn: dict[str, Any] = super().sample_relative(reduced, trial, search_space)
        return drawn

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw one value where TPE has too few trials: the stratum of this trial, at a random place within it."""
        name = int.from_bytes(hashlib.sha256(param_name.encode()).digest()[:8], "big")
        if isinstance(param_distribution, CategoricalDistribution):
            choices = param_distribution.choices
            return choices[self._stratum(name, len(choices))]
        jitter = np.random.default_rng([self.search_seed, name, self.drawn_before, 1]).random()
        share = (self._stratum(name, STARTUP_TRIALS) + jitter) / STARTUP_TRIALS
        low, high = param_distribution.low, param_distribution.high
        if isinstance(param_distribution, IntDistribution):
            return low + int(share * (high - low + 1))
        if param_distribution.log:
            return float(np.clip(low * (high / low) ** share, low, high))
        return float(np.clip(low + share * (high - low), low, high))

    def _stratum(self, name: int, count: int) -> int:
        """Return the stratum of this trial, 0 to count - 1, in its shuffled round of `count` trials."""
        turn, position = divmod(self.drawn_before, count)
        return int(np.random.default_rng([self.search_seed, name, turn]).permutation(count)[position])

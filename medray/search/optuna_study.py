"""The Optuna study of a run: an ordinary one, in Optuna's journal format.

optuna-dashboard runs/organs/study.journal
optuna.load_study(study_name="medray",
                  storage=JournalStorage(JournalFileBackend("runs/organs/study.journal")))
"""

import hashlib
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from medray.errors import RunError
from medray.runs.rundir import RunDir
from medray.training.seeds import draw_seed

NAME = "medray"
STARTUP_TRIALS = 10  # before TPE sets in; baselines count


class StudyFile:
    """Where the study's journal lies: in the run's folder, or for a run at a URI in a copy that is sent there."""

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self.local = run.local
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        folder = Path(tempfile.mkdtemp(prefix="medray-")) if self.local is None else self.local
        self.path = folder / run.STUDY
        if self.local is None and run.exists(run.STUDY):
            self.path.write_bytes(run.read(run.STUDY))
        _mend(self.path)

    def open(self, mode: str) -> Study:
        """Open the study, or create it; `mode` is max or min.

        Raises:
            RunError: the journal is damaged.
        """
        direction = "maximize" if mode == "max" else "minimize"
        try:
            storage = JournalStorage(JournalFileBackend(str(self.path)))
            return optuna.create_study(storage=storage, study_name=NAME, direction=direction, load_if_exists=True)
        except (ValueError, KeyError) as error:
            raise RunError(f"{self.path} is damaged: {error}") from None

    def send(self) -> None:
        """Bring the run's copy up to date; where the run is a folder there is only one."""
        if self.local is None:
            self.run.write(self.run.STUDY, self.path.read_bytes())


def _mend(path: Path) -> None:
    """Undo what a killed driver may have left: its lock, and half a last line.

    Only the driver that holds the run comes here, so the lock is nobody else's.
    """
    path.with_name(path.name + ".lock").unlink(missing_ok=True)
    if path.exists():
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            path.write_bytes(whole)


class _Memory:
    """A study of which the best complete and the latest trials are remembered.

    TPE's time grows with the trials that it looks at. Its model of good settings is made of the best 25 at most,
    which are all kept; of the others the latest tell what has been tried well enough.
    """

    BEST, LATEST = 25, 150

    def __init__(self, study: Study) -> None:
        self._study = study

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def _get_trials(self, *args: Any, **settings: Any) -> list[FrozenTrial]:
        trials: list[FrozenTrial] = self._study._get_trials(*args, **settings)
        if len(trials) <= self.BEST + self.LATEST:
            return trials
        sign = -1 if self._study.direction == StudyDirection.MAXIMIZE else 1
        older = [t for t in trials[: -self.LATEST] if t.state == TrialState.COMPLETE]
        best = sorted(older, key=lambda t: sign * (t.value or 0.0))[: self.BEST]
        running = [t for t in trials[: -self.LATEST] if t.state == TrialState.RUNNING]
        return sorted([*best, *running, *trials[-self.LATEST :]], key=lambda t: t.number)


class SpreadTPE(optuna.samplers.TPESampler):
    """Multivariate TPE whose first draws are spread over the space, for trial `number`.

    Independent first draws leave much unseen: six of them miss a third of six backbones. These are a Latin
    hypercube instead (McKay et al. 1979): a choice of k values is drawn in shuffled rounds of k, a range in
    shuffled rounds of strata. All randomness follows from seed and number, so a resumed search draws what an
    unbroken one would, and not the first trials once more. `place` counts the searched trials before this one.
    """

    def __init__(self, seed: int, number: int, place: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            super().__init__(
                seed=draw_seed(seed, number) % 2**32,
                multivariate=True,
                group=True,
                constant_liar=True,
                n_startup_trials=STARTUP_TRIALS,
            )
        self.search_seed, self.place = seed, place

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Find what the remembered trials have drawn."""
        remembered: Any = _Memory(study)
        space: dict[str, BaseDistribution] = super().infer_relative_search_space(remembered, trial)
        return space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw by the remembered trials."""
        remembered: Any = _Memory(study)
        drawn: dict[str, Any] = super().sample_relative(remembered, trial, search_space)
        return drawn

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw one value where TPE has too little to go by."""
        name = int.from_bytes(hashlib.sha256(param_name.encode()).digest()[:8], "big")
        if isinstance(param_distribution, CategoricalDistribution):
            choices = param_distribution.choices
            return choices[self._stratum(name, len(choices))]
        jitter = np.random.default_rng([self.search_seed, name, self.place, 1]).random()
        share = (self._stratum(name, STARTUP_TRIALS) + jitter) / STARTUP_TRIALS
        low, high = param_distribution.low, param_distribution.high
        if isinstance(param_distribution, IntDistribution):
            return low + int(share * (high - low + 1))
        if param_distribution.log:
            return float(np.clip(low * (high / low) ** share, low, high))
        return float(np.clip(low + share * (high - low), low, high))

    def _stratum(self, name: int, count: int) -> int:
        """The place of this trial in its shuffled round of `count`."""
        turn, place = divmod(self.place, count)
        return int(np.random.default_rng([self.search_seed, name, turn]).permutation(count)[place])

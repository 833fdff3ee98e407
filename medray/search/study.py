"""The Optuna study of a run: an ordinary one, in Optuna's journal format.

optuna-dashboard runs/organs/study.journal
optuna.load_study(study_name="medray",
                  storage=JournalStorage(JournalFileBackend("runs/organs/study.journal")))
"""

import tempfile
import warnings
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from medray.errors import RunError
from medray.runs import RunDir
from medray.training.seeds import draw_seed

NAME = "medray"
STARTUP_TRIALS = 10


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

    def storage(self) -> JournalStorage:
        """Open the journal.

        Raises:
            RunError: it is damaged.
        """
        try:
            return JournalStorage(JournalFileBackend(str(self.path)))
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


def sampler(seed: int, number: int) -> optuna.samplers.TPESampler:
    """Multivariate TPE for trial `number`.

    Its randomness follows from seed and number alone: a resumed search draws what an unbroken one would, and
    not the first trials once more.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            seed=draw_seed(seed, number) % 2**32,
            multivariate=True,
            group=True,
            constant_liar=True,
            n_startup_trials=STARTUP_TRIALS,
        )

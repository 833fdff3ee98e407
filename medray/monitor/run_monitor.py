"""Monitor a run's service: read its audit log and the outcomes, and measure."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from medray.console import step
from medray.ensemble.looks_file import read_looks
from medray.ensemble.manifest import ensemble_folder, read_manifest, version_of
from medray.errors import RunError
from medray.files import expanded
from medray.monitor.logged_answers import read_answers
from medray.monitor.measure_use import ModelInUse, measure_use
from medray.monitor.outcomes import join_outcomes, read_outcome_log, read_outcomes
from medray.runs.folder import Folder
from medray.runs.rundir import MANIFEST
from medray.serving.deploy.serve_options import home_folder
from medray.serving.engine.audit_log import OUTCOMES
from medray.serving.engine.patient_keys import PatientKeys
from medray.tasks import TASKS

AUDIT = "audit"


@dataclass(frozen=True)
class MonitorOptions:
    """The command line; `home` is another folder than the run's service/, `outcomes` a table of them."""

    location: str
    outcomes: str | None = None
    home: str | None = None


def run_monitor(options: MonitorOptions, console: Console) -> ModelInUse:
    """Measure what the service of a run has answered.

    Raises:
        RunError: there is no ensemble, or no audit log.
        DataError: the table of outcomes can't be read or names another class.
        AuditError: the audit log or the secret of patients' keys can't be read.
    """
    home = _home(options)
    with step(console, f"Reading {home / AUDIT}") as progress:
        log = read_answers(home / AUDIT, progress)
    location = str(home.parent) if Path(options.location).absolute() == home else options.location
    folder = _ensemble_of(log.version, home, location)
    manifest = read_manifest(folder)
    names, label_sets = manifest.class_names, TASKS[manifest.task].label_sets
    if manifest.cases is not None:
        log = log.of_cases()
    outcomes = read_outcome_log(home / OUTCOMES, names)
    if options.outcomes:
        table = expanded(options.outcomes)
        outcomes += read_outcomes(table, names, label_sets=label_sets, key=PatientKeys(home, reads=True).key)
    with step(console, "Measuring"):
        joined = join_outcomes(log.answers, outcomes)
        today = datetime.now(UTC).date().isoformat()
        return measure_use(log, joined, manifest, read_looks(folder, manifest), today)


def _home(options: MonitorOptions) -> Path:
    """Return the folder that a service writes to: `--home`, the given folder itself, or `service` in it.

    Raises:
        RunError: it has no audit log.
    """
    given = Folder(options.location).local
    if options.home is None and given is not None and (given / AUDIT).is_dir():
        return given.absolute()  # then its run is the folder that it lies in
    home = home_folder(options.location, options.home)
    if not (home / AUDIT).is_dir():
        ensemble_folder(options.location)  # a slip in the run's name is said first
        line = f"{home} has no audit log: `medray serve {options.location}` writes one; --home names its folder"
        raise RunError(line)
    return home


def _ensemble_of(version: str | None, home: Path, location: str) -> Folder:
    """Return the folder of the ensemble that gave the last answers: the service's own copy, or the run's.

    Raises:
        RunError: neither is of that version.
    """
    copy = Folder(str(home / "ensembles" / str(version)))
    if version is not None and copy.exists(MANIFEST) and version_of(copy) == version:
        return copy
    ensemble = ensemble_folder(location)
    if version is not None and version_of(ensemble) != version:
        raise RunError(
            f"the last answers in {home / AUDIT} are of version {version}, which is neither in "
            f"{home / 'ensembles'} nor {ensemble.location}: what it promises is not known"
        )
    return ensemble

"""Monitor a run's service: read its audit log and the outcomes, and measure."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from medray.console import step
from medray.ensemble.manifest import Manifest, read_manifest, version_of
from medray.errors import ConfigError, RunError
from medray.files import expanded
from medray.monitor.logged_answers import read_answers
from medray.monitor.measure_use import ModelInUse, measure_use
from medray.monitor.outcomes import join_outcomes, read_outcome_log, read_outcomes
from medray.runs.finished_search import find_run
from medray.runs.folder import Folder
from medray.runs.rundir import MANIFEST
from medray.serving.deploy.serve_options import home_folder
from medray.serving.engine.audit_log import OUTCOMES
from medray.tasks import TASKS


@dataclass(frozen=True)
class MonitorOptions:
    """The command line; `home` is another folder than the run's service/, `outcomes` a table of them."""

    run: str
    outcomes: str | None = None
    home: str | None = None


def run_monitor(options: MonitorOptions, console: Console) -> ModelInUse:
    """Measure what the service of a run has answered.

    Raises:
        RunError: there is no run, no ensemble, or no audit log.
        ConfigError: the ensemble gives several labels an image.
        DataError: the table of outcomes can't be read or names another class.
        AuditError: the audit log can't be read.
    """
    run = find_run(options.run)
    home = home_folder(run.location, options.home)
    if not (home / "audit").is_dir():
        line = f"{home} has no audit log: `medray serve {options.run}` writes one; --home names its folder"
        raise RunError(line)
    with step(console, f"Reading {home / 'audit'}") as progress:
        log = read_answers(home / "audit", progress)
        sent = read_outcome_log(home / OUTCOMES)
    manifest = _manifest_of(log.version, home, run.ensemble)
    if TASKS[manifest.task].label_sets:
        raise ConfigError(f"{run.location} gives images several labels: only ensembles of one class are monitored")
    outcomes = read_outcomes(expanded(options.outcomes), manifest.class_names) if options.outcomes else {}
    earlier = {key: label for key, label in sent.items() if key not in outcomes}
    with step(console, "Measuring"):
        return measure_use(log, join_outcomes(log.answers, {**earlier, **outcomes}), manifest)


def _manifest_of(version: str | None, home: Path, ensemble: Folder) -> Manifest:
    """Return the manifest of the ensemble that gave the last answers: the service's own copy, or the run's.

    Raises:
        RunError: neither is of that version.
    """
    copy = Folder(str(home / "ensembles" / str(version)))
    if version is None or not copy.exists(MANIFEST):
        copy = ensemble
    if version is not None and version_of(copy) != version:
        raise RunError(
            f"the last answers in {home / 'audit'} are of version {version}, which is neither in "
            f"{home / 'ensembles'} nor {ensemble.location}: what it promises is not known"
        )
    return read_manifest(copy)

"""Monitor a run's service: read its audit log and the outcomes, and measure."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from medray.console import step
from medray.ensemble.manifest import read_manifest
from medray.errors import ConfigError, RunError
from medray.files import expanded
from medray.monitor.logged_answers import read_answers
from medray.monitor.measure_use import ModelInUse, measure_use
from medray.monitor.outcomes import join_outcomes, read_outcome_log, read_outcomes
from medray.runs.finished_search import find_run
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
    manifest = read_manifest(run.ensemble)
    if TASKS[manifest.task].label_sets:
        raise ConfigError(f"{run.location} gives images several labels: only ensembles of one class are monitored")
    folder = expanded(options.home) if options.home else _service_of(run.local, run.location)
    if not (folder / "audit").is_dir():
        raise RunError(
            f"{folder} has no audit log: `medray serve {options.run}` writes one; --home names its folder"
        )
    outcomes = read_outcomes(expanded(options.outcomes), manifest.class_names) if options.outcomes else {}
    with step(console, f"Reading {folder / 'audit'}") as progress:
        log = read_answers(folder / "audit", progress)
        told = read_outcome_log(folder / OUTCOMES)
    with step(console, "Measuring"):
        return measure_use(log, join_outcomes(log.answers, {**told, **outcomes}), manifest)


def _service_of(local: Path | None, location: str) -> Path:
    if local is None:
        raise RunError(f"{location} is no folder of this machine: --home names the one that its service writes to")
    return local / "service"

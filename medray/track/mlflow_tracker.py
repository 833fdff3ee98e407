"""MLflow: each entry is a run of its own, nested under its parent's, in the experiment of the search space.

Where it goes is MLflow's own to say: $MLFLOW_TRACKING_URI, $MLFLOW_EXPERIMENT_NAME, and what else it reads.
"""

import os
import time
from typing import Any

from medray.runs.rundir import RunDir
from medray.runs.trial_record import FAILED
from medray.text import without_secrets
from medray.track.entry import INTERRUPTED, PART_TAG, RUN_TAG, RUNNING, Entry
from medray.track.read_entries import run_identity

DIGEST_TAG, EPOCH = "medray.sent", "epoch"
PARENT_TAG = "mlflow.parentRunId"  # mlflow.utils.mlflow_tags.MLFLOW_PARENT_RUN_ID
BATCH = 1000  # metrics of a request, which MLflow allows
STATUS = {FAILED: "FAILED", INTERRUPTED: "KILLED"}
LONGEST = 500  # characters of a tag or a parameter, which all of its stores keep
#: Waiting is no use where the server is away; no counts of use are sent to anybody.
DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20", "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}  # fmt: skip


class MlflowTracker:
    """Writes to MLflow; what it has already is read from there when it is opened."""

    def __init__(self, run: RunDir) -> None:
        for name, value in DEFAULTS.items():
            os.environ.setdefault(name, value)
        from mlflow.tracking import MlflowClient

        self.client = MlflowClient()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or run.read_facts().space
        self.where = f"experiment '{name}' at {without_secrets(self.client.tracking_uri)}"
        experiment = self.client.get_experiment_by_name(name)
        self.experiment = experiment.experiment_id if experiment else self.client.create_experiment(name)
        self.runs = self._find_runs(run_identity(run))
        self.epochs = {key: int(found.data.metrics.get(EPOCH, 0)) for key, found in self.runs.items()}
        self.described = {key for key, found in self.runs.items() if found.data.params}
        self.running: set[str] = set()

    def _find_runs(self, own: str) -> dict[str, Any]:
        """Return the runs of MLflow that are of the medray run of that identity, by key."""
        runs: dict[str, Any] = {}
        token: str | None = None
        while True:
            page = self.client.search_runs(
                [self.experiment], f"tags.`{RUN_TAG}` = '{own}'", max_results=1000, page_token=token
            )
            runs |= {found.data.tags[PART_TAG]: found for found in page}
            token = page.token
            if not token:
                return runs

    def has(self, entry: Entry) -> bool:
        """Return whether the entry's run has this digest."""
        known = self.runs.get(entry.key)
        return known is not None and known.data.tags.get(DIGEST_TAG) == entry.digest

    def write(self, entry: Entry) -> None:
        """Add what the entry's run lacks, in as few requests as MLflow allows."""
        run_id = self._open(entry)
        sent = self.epochs[entry.key]
        if len(entry.epochs) > sent:
            numbered = enumerate(entry.epochs[sent:], start=sent + 1)
            self._log(run_id, [(n, {**metrics, EPOCH: float(n)}) for n, metrics in numbered])
            self.epochs[entry.key] = len(entry.epochs)
        if entry.ended:
            self._end(run_id, entry)
        elif entry.state == INTERRUPTED:
            self.client.set_terminated(run_id, status=STATUS[INTERRUPTED])
            self.running.discard(entry.key)

    def close(self) -> None:
        """Mark runs that have not ended as killed."""
        for key in self.running:
            self.client.set_terminated(self.runs[key].info.run_id, status="KILLED")
        self.running.clear()

    def _open(self, entry: Entry) -> str:
        """Return the id of the entry's run, which is made where there is none."""
        known = self.runs.get(entry.key)
        if known is None:
            tags = self._tags(entry)
            if entry.parent is not None:
                tags[PARENT_TAG] = self.runs[entry.parent].info.run_id
            known = self.runs[entry.key] = self.client.create_run(self.experiment, tags=tags, run_name=entry.name)
            self.epochs[entry.key] = 0
            self.running.add(entry.key)
        elif not entry.ended and entry.state == RUNNING and entry.key not in self.running:
            self.client.update_run(known.info.run_id, status="RUNNING")
            self.running.add(entry.key)
        if entry.key not in self.described:  # of an earlier command that was killed, perhaps
            self._describe(known.info.run_id, entry)
        return str(known.info.run_id)

    def _describe(self, run_id: str, entry: Entry) -> None:
        from mlflow.entities import Param

        params = [Param(name, str(value)[:LONGEST]) for name, value in entry.settings.items()]
        if params:
            self.client.log_batch(run_id, params=params)
        self.described.add(entry.key)

    def _end(self, run_id: str, entry: Entry) -> None:
        """Write scores and files, then the digest, which says that they are there."""
        from mlflow.entities import RunTag

        self._log(run_id, [(entry.step, entry.scores)])
        for name, content in entry.files.items():
            self.client.log_text(run_id, content.decode(), name)
        tags = {**self._tags(entry), DIGEST_TAG: entry.digest}
        self.client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])
        self.client.set_terminated(run_id, status=STATUS.get(entry.state, "FINISHED"))
        self.running.discard(entry.key)

    def _log(self, run_id: str, steps: list[tuple[int, Any]]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, step) for step, values in steps for name, value in values.items()]
        for start in range(0, len(metrics), BATCH):
            self.client.log_batch(run_id, metrics=metrics[start : start + BATCH])

    def _tags(self, entry: Entry) -> dict[str, str]:
        return {name: value[:LONGEST] for name, value in entry.all_tags.items()}

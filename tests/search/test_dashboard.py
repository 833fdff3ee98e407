"""optuna-dashboard, started by the line that the docs show, has the trials of a run's study."""

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

import medray
from medray.runs.rundir import RunDir

pytestmark = pytest.mark.component

SPACE = """
name: small
data: phantom
objective: {metric: auc}
budget: {trials: 2, max_epochs: 1, grace_epochs: 1, reduction_factor: 2, patience: null}
resources: {cpu: 1, gpu: 0}
space: {learning_rate: {log: [0.001, 0.01]}}
fixed: {backbone: lenet5, batch_size: 16}
"""


def test_it_has_the_trials_of_a_run(npz: Path, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SPACE)
    study = medray.Study(tmp_path / "small.yaml", data=npz, out=tmp_path / "run", runner="local", quiet=True)
    study.search()
    words = [str(Path(sys.executable).with_name("optuna-dashboard")), str(tmp_path / "run/study.journal")]
    server = subprocess.Popen([*words, "--port", "0"], stderr=subprocess.PIPE, text=True)
    try:
        url = dashboard_url(server)
        (summary,) = httpx.get(f"{url}/api/studies", timeout=60).json()["study_summaries"]
        assert summary["study_name"] == "medray"
        trials = httpx.get(f"{url}/api/studies/{summary['study_id']}", timeout=60).json()["trials"]
    finally:
        server.kill()
        server.communicate()
    records = list(RunDir(str(tmp_path / "run")).records())
    assert [(trial["number"], trial["state"]) for trial in trials] == [(0, "Complete"), (1, "Complete")]
    assert [trial["values"] for trial in trials] == [[record.objective] for record in records]
    assert [trial["intermediate_values"] for trial in trials] == [
        [{"step": 1, "value": record.objective}] for record in records
    ]


def dashboard_url(server: subprocess.Popen[str]) -> str:
    """Where a server listens that was told to take any free port."""
    import psutil

    assert server.stderr is not None
    for line in server.stderr:
        if re.match(r"Listening on http://", line):
            break
    while server.poll() is None:
        ports = [c.laddr.port for c in psutil.Process(server.pid).net_connections() if c.status == "LISTEN"]
        if ports:
            return f"http://127.0.0.1:{ports[0]}"
    raise AssertionError(server.communicate())

"""medray as a user runs it: `medray init`, `medray search` for the time there is, `medray evaluate`."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medray.evaluate.test_reads import stored_reads
from medray.runs.rundir import RunDir, TrialDir

from .data_sets import AUC
from .handover import EPOCHS, Task

MEDRAY = (sys.executable, "-m", "medray")


def run_medray(*words: str, folder: Path, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run a command of medray with --json and return its document.

    Raises:
        SystemExit: it failed; its error's line has been printed.
    """
    print("$ medray", *words, flush=True)
    command = [*MEDRAY, *words, "--json"]
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"medray {words[0]}: exit status {done.returncode}: {done.stdout[-500:]}")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def init(data: Path, folder: Path, objective: str | None, environment: Mapping[str, str] | None = None) -> Path:
    """Return the search space that `medray init` writes for the arrays; None: it chooses the objective."""
    words = ["init", "study", "--data", str(data), *(["--metric", objective] if objective else [])]
    print("$ medray", *words, flush=True)
    subprocess.run([*MEDRAY, *words], cwd=folder, env=environment, check=True)
    return folder / "study.yaml"


def search(
    run: RunDir, task: Task, arguments: str, environment: Mapping[str, str] | None = None,
    objective: str | None = AUC,
) -> None:  # fmt: skip
    """Search into `run` in what is left of the time, or with `arguments` in its place."""
    space = init(task.data, task.folder, objective, environment)
    within = arguments.split() or ["--hours", f"{task.left / 3600:.5f}"]
    if os.cpu_count() != task.threads:  # Ray counts the machine's cores, also those that this process may not use
        within += ["--concurrency", str(task.threads)]
    common = ["--out", run.location, "--seed", str(task.seed), "--allow-leaks"]
    run_medray("search", str(space), *common, *within, folder=task.folder, environment=environment)


def write_epochs(run: RunDir, task: Task) -> None:
    """Write down the validation AUC of each epoch of all trials, and when it ended.

    A trial's last epoch ended when its epochs.jsonl was written; those before it ended as many seconds earlier as
    the later ones took, which is a little later than they really did.
    """
    lines = []
    for number in run.trial_numbers():
        folder = run.trial(number)
        epochs = folder.epochs()
        if not epochs:
            continue
        time = Path(folder.path(TrialDir.EPOCHS)).stat().st_mtime
        for epoch in reversed(epochs):
            if "auc" in epoch.metrics:
                lines.append(json.dumps({"time": time, "trial": number, "auc": epoch.metrics["auc"]}) + "\n")
            time -= epoch.seconds
    (task.folder / EPOCHS).write_text("".join(lines))


def ensemble_scores(document: dict[str, Any]) -> tuple[float, float]:
    """Return test AUC and accuracy of the ensemble in the document of `medray evaluate`."""
    scores = document["models"][0]["scores"]
    return float(scores["auc"]["value"]), float(scores["accuracy"]["value"])


def main() -> None:
    """Search, write down the epochs, measure on test."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task")
    parser.add_argument("--arguments", default="", help="of `medray search`, in place of --hours")
    given = parser.parse_args()
    task = Task.read(given.task)
    run = RunDir(str(task.folder / "run"))
    try:
        search(run, task, given.arguments)
        task.hand_over(len(run.trial_numbers()))
    finally:
        write_epochs(run, task)
    document = run_medray("evaluate", run.location, folder=task.folder)
    predictions, labels = stored_reads(run)[-1].predictions()
    task.test(*ensemble_scores(document), next(iter(predictions.values())), labels)


if __name__ == "__main__":
    main()

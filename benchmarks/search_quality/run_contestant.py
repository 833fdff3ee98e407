"""Run a contestant in a process group of its own with a hard time limit, and make its Result."""

import contextlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from .data_sets import BenchmarkSet
from .handover import HANDED_OVER, TEST, Task, read_epochs
from .results import FAILED, FINISHED, Result, rising

ROOT = Path(__file__).parents[2]
CODE = ("*.py", "*.yaml", "uv.lock")
PACKAGES = ("medray", "torch", "timm", "ray", "optuna", "scikit-learn")
GRACE_S, TEST_S = 120.0, 600.0  # beyond twice the budget; for what measures on test
LAST_WORDS = 600  # characters of the log's end, in the reason of a failure


@dataclass(frozen=True)
class Contestant:
    """A contestant: its name in tables, its module in this package, and further arguments of that."""

    title: str
    module: str
    arguments: tuple[str, ...] = ()


CONTESTANTS = {
    "medray": Contestant("medray", "medray_search"),
    "random": Contestant("random search, ASHA", "rival_optuna", ("--sampler", "random")),
    "optuna": Contestant("Optuna, TPE and Hyperband", "rival_optuna", ("--sampler", "tpe")),
    "tune": Contestant("plain Ray Tune", "rival_tune"),
    "frozen": Contestant("SVM or regression on frozen features", "rival_frozen"),
    "autogluon": Contestant("AutoGluon, SVM on frozen features", "rival_autogluon"),
}


@dataclass(frozen=True)
class Conditions:
    """What all contestants have alike, and where they may write."""

    budget: float
    threads: int
    weights: Path | None
    scratch: Path
    keep: bool = False
    medray_arguments: str = ""
    autogluon_python: str = ""


def run_contestant(name: str, data_set: BenchmarkSet, data: Path, seed: int, conditions: Conditions) -> Result:
    """Run a contestant to its end and return its result; one that fails or is cut has a reason."""
    contestant = CONTESTANTS[name]
    conditions.scratch.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{data_set.name}-{name}-{seed}-", dir=conditions.scratch))
    result = Result(
        set=data_set.name,
        seed=seed,
        contestant=name,
        budget=conditions.budget,
        state=FAILED,
        threads=conditions.threads,
        load=round(os.getloadavg()[0], 2),
        time=time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()),
        commit=commit(),
        versions={package: metadata.version(package) for package in PACKAGES}
        | {"python": platform.python_version()},
    )
    task = Task(
        data.absolute(), folder.absolute(), time.time(), conditions.budget, seed, conditions.threads,
        data_set.turns, conditions.weights and conditions.weights.absolute(),
    )  # fmt: skip
    python = conditions.autogluon_python if name == "autogluon" else sys.executable
    extra = (
        ["--arguments", conditions.medray_arguments] if name == "medray" and conditions.medray_arguments else []
    )
    words = [python, "-m", f"benchmarks.search_quality.{contestant.module}", str(task.write())]
    reason = run_group([*words, *contestant.arguments, *extra], task, environment(task))
    result = collect(replace(result, reason=reason), folder, task)
    if not conditions.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return result


def environment(task: Task) -> dict[str, str]:
    """Return the environment of a contestant: the weights and threads, a cache of its own that is empty."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "MKL_", "MEDRAY_"))}
    kept |= {
        "PYTHONPATH": str(ROOT),
        "MEDRAY_CACHE": str(task.folder / "cache"),
        "NO_ALBUMENTATIONS_UPDATE": "1",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }
    return kept if task.weights is None else kept | {"MEDRAY_WEIGHTS": str(task.weights)}


def run_group(words: Sequence[str], task: Task, environment: dict[str, str], grace: float = GRACE_S) -> str | None:
    """Run a command with its children as one process group; return why it failed, None where it did not.

    All of the group ends with it, or at the hard limit: twice the budget and `grace` seconds without a model, and
    `TEST_S` more to measure one.
    """
    with (task.folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            words, cwd=task.folder, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        try:
            status, late = wait(process, task, grace), False
        except subprocess.TimeoutExpired:
            status, late = None, True
        finally:
            end_group(process)
    if status == 0:
        return None
    last = " ".join((task.folder / "log.txt").read_text(errors="replace")[-LAST_WORDS:].split())
    return f"{'cut at the hard limit' if late else f'exit status {status}'}: {last}"


def wait(process: "subprocess.Popen[bytes]", task: Task, grace: float) -> int:
    """Return the exit status of a contestant.

    Raises:
        subprocess.TimeoutExpired: it is over a limit.
    """
    limit = task.start + 2 * task.seconds + grace
    while (status := process.poll()) is None:
        handed_over = task.folder / HANDED_OVER
        if time.time() > limit + (TEST_S if handed_over.exists() else 0.0):
            raise subprocess.TimeoutExpired("", limit - task.start)
        time.sleep(0.2)
    return status


def end_group(process: "subprocess.Popen[bytes]") -> None:
    """End whatever is left of a process group: politely, then for good."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
            time.sleep(2.0)
    process.wait()


def collect(result: Result, folder: Path, task: Task) -> Result:
    """Return the result with what the contestant has written down."""
    epochs = read_epochs(folder)
    points = [(epoch["time"] - task.start, epoch["auc"]) for epoch in epochs]
    result = replace(result, curve=rising(points, task.seconds), epochs=len(epochs))
    if (folder / HANDED_OVER).is_file():
        handed_over = _read(folder / HANDED_OVER)
        result = replace(result, seconds=round(handed_over["time"] - task.start, 2), trials=handed_over["trials"])
    if result.reason is None and (folder / TEST).is_file():
        test = _read(folder / TEST)
        return replace(
            result,
            state=FINISHED,
            test_auc=test["auc"],
            test_accuracy=test["accuracy"],
            test_labels=tuple(test["labels"]),
            test_scores=tuple(map(tuple, test["scores"])),
        )
    return replace(result, reason=result.reason or "it left no test scores")


def commit() -> str | None:
    """Return the commit of the code, with a + where code differs from it; None where it is not in git.

    What benchmarks write, their results and the pages, is no code.
    """
    git = ["git", "-C", str(ROOT)]
    with contextlib.suppress(OSError):
        done = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
        changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", *CODE], check=False).returncode
        return f"{done.stdout.strip()}{'+' if changed else ''}" if done.returncode == 0 else None
    return None


def _read(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(path.read_text())
    return values

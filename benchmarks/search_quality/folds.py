"""What medray reaches by folds: a search for some hours, its best settings on every fold, their ensemble.

Folds divide train and val (test is left out), with copies on one side. Each fold's epoch is selected on what it
holds out, as medray says itself; the ensemble's figure on test has no such advantage.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medray.json_document import JsonDocument
from medray.runs.rundir import RunDir

from .data_sets import SETS
from .handover import Task
from .medray_search import MEDRAY, ensemble_scores, search
from .run_contestant import Conditions, commit, environment
from .tables import MISSING, table


@dataclass(frozen=True)
class FoldsResult(JsonDocument):
    """The figures of a search and its folds; scores of `settings`, by trial, are of all images held out together.

    `selections` are the out-of-fold AUC and accuracy of each selection of members that `medray ensemble` compares.
    """

    set: str
    seed: int
    hours: float
    folds: int
    images: int
    settings: dict[str, dict[str, float]]
    selections: dict[str, dict[str, float]]
    test_auc: float
    test_accuracy: float
    search_seconds: float
    folds_seconds: float
    threads: int
    load: float
    time: str
    commit: str | None


def run_medray(*words: str, folder: Path, environment: dict[str, str], log: Any) -> dict[str, Any]:
    """Run a command of medray with --json and return its document.

    Raises:
        RuntimeError: it failed; the line has the end of its output.
    """
    print("$ medray", *words, file=sys.stderr, flush=True)
    done = subprocess.run(
        [*MEDRAY, *words, "--json"], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"medray {words[0]}: exit status {done.returncode}: {done.stdout[-500:]}")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def run_folds(name: str, data: Path, seed: int, top: int, folds: int, conditions: Conditions) -> FoldsResult:
    """Search for `conditions.budget` seconds, train the `top` settings on all folds, ensemble, measure on test.

    Raises:
        RuntimeError: a step failed.
    """
    conditions.scratch.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-folds-{seed}-", dir=conditions.scratch)).absolute()
    load, began = os.getloadavg()[0], time.time()
    task = Task(
        data.absolute(), folder, began, conditions.budget, seed, conditions.threads, SETS[name].turns,
        conditions.weights and conditions.weights.absolute(),
    )  # fmt: skip
    given = environment(task)
    os.environ.clear()
    os.environ.update(given)
    run = RunDir(str(folder / "run"))
    search(run, task, conditions.medray_arguments)
    searched = time.time()
    with (folder / "log.txt").open("w") as log:
        words = ["--top", str(top), "--folds", str(folds), "--seed", str(seed)]
        if os.cpu_count() != task.threads:
            words += ["--concurrency", str(task.threads)]
        crossval = run_medray("crossval", run.location, *words, folder=folder, environment=given, log=log)
        folded = time.time()
        ensemble = run_medray("ensemble", run.location, folder=folder, environment=given, log=log)
        evaluation = run_medray("evaluate", run.location, folder=folder, environment=given, log=log)
    auc, accuracy = ensemble_scores(evaluation)
    summaries = {entry["trial"]: run.crossval.read_summary(entry["trial"]) for entry in crossval["trials"]}
    result = FoldsResult(
        set=name,
        seed=seed,
        hours=conditions.budget / 3600,
        folds=crossval["folds"]["count"],
        images=crossval["folds"]["images"],
        settings={str(number): both(summary.out_of_fold) for number, summary in summaries.items()},
        selections={
            f"{s['strategy']} of {s['source']}": both(s["scores"])
            for s in ensemble["selections"]
            if s["selected_on"] == "out-of-fold"
        },
        test_auc=auc,
        test_accuracy=accuracy,
        search_seconds=round(searched - began, 1),
        folds_seconds=round(folded - searched, 1),
        threads=task.threads,
        load=round(load, 2),
        time=time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(began)),
        commit=commit(),
    )
    if not conditions.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return result


def both(scores: dict[str, float]) -> dict[str, float]:
    """Return AUC and accuracy of all scores."""
    return {name: scores[name] for name in ("auc", "accuracy") if name in scores}


def read_folds_results(path: Path) -> list[FoldsResult]:
    """Return the results of a file, none where there is no file."""
    lines = path.read_text().splitlines() if path.is_file() else []
    return [FoldsResult.from_dict(json.loads(line), str(path)) for line in lines]


def folds_table(results: list[FoldsResult]) -> str:
    """Return a table of the pooled figures of the best setting and selection, and of the ensemble on test."""

    def pair(scores: dict[str, float]) -> str:
        return " / ".join(f"{scores[name]:.3f}" if name in scores else MISSING for name in ("auc", "accuracy"))

    rows = []
    for result in results:
        best = max(result.settings.values(), key=lambda scores: scores.get("auc", 0.0), default={})
        selected = max(result.selections.values(), key=lambda scores: scores.get("auc", 0.0), default={})
        target = dict(zip(("auc", "accuracy"), SETS[result.set].target, strict=True))
        rows.append([
            SETS[result.set].title, str(result.seed), f"{result.hours:g}", f"{result.folds_seconds / 3600:.2f}",
            f"{result.images} in {result.folds}", pair(best), pair(selected),
            pair({"auc": result.test_auc, "accuracy": result.test_accuracy}),
            pair({name: value for name, value in target.items() if value is not None}),
        ])  # fmt: skip
    columns = [
        "AUC / accuracy", "seed", "hours of search", "hours of folds", "images, folds",
        "best setting, out of fold", "best selection, out of fold", "ensemble on test", "target",
    ]  # fmt: skip
    return table(columns, rows)

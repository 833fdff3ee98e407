"""What medray reaches by folds: a search for some hours, its best settings on every fold, their ensemble.

Folds divide train and val (test is left out), with copies on one side. Out of fold, figures are better than they
should be: each fold's epoch, the settings and the ensemble's members were selected on images that are among those
held out. The ensemble's figure on test has no such advantage.
"""

import json
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medray.json_document import JsonDocument
from medray.runs.rundir import RunDir

from .data_sets import SETS
from .handover import Task
from .medray_search import ensemble_scores, run_medray, search
from .run_contestant import Conditions, commit, environment
from .tables import MISSING, mean_cell, table


@dataclass(frozen=True)
class FoldsResult(JsonDocument):
    """The figures of a search and its folds: AUC, accuracy and the objective of all images held out together.

    `settings` are by trial, the one that medray ranks first first. `selections` are those of members that `medray
    ensemble` compares, and `delivered` is the name of the one that the ensemble is made of.
    """

    set: str
    objective: str
    seed: int
    hours: float
    folds: int
    images: int
    settings: dict[str, dict[str, float]]
    selections: dict[str, dict[str, float]]
    delivered: str
    test_auc: float
    test_accuracy: float
    search_seconds: float
    folds_seconds: float
    threads: int
    load: float
    time: str
    commit: str | None


def run_folds(name: str, data: Path, seed: int, top: int, folds: int, conditions: Conditions) -> FoldsResult:
    """Search for `conditions.budget` seconds, train the `top` settings on all folds, ensemble, measure on test.

    Raises:
        SystemExit: a step failed; its error's line has been printed.
    """
    conditions.scratch.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-folds-{seed}-", dir=conditions.scratch)).absolute()
    load, began = os.getloadavg()[0], time.time()
    task = Task(
        data.absolute(), folder, began, conditions.budget, seed, conditions.threads, SETS[name].turns,
        conditions.weights and conditions.weights.absolute(),
    )  # fmt: skip
    given = environment(task)
    run = RunDir(str(folder / "run"))
    search(run, task, conditions.medray_arguments, given, SETS[name].folds_objective)
    searched = time.time()
    words = ["--top", str(top), "--folds", str(folds), "--seed", str(seed)]
    if os.cpu_count() != task.threads:
        words += ["--concurrency", str(task.threads)]
    crossval = run_medray("crossval", run.location, *words, folder=folder, environment=given)
    folded = time.time()
    ensemble = run_medray("ensemble", run.location, folder=folder, environment=given)
    evaluation = run_medray("evaluate", run.location, folder=folder, environment=given)
    auc, accuracy = ensemble_scores(evaluation)
    summaries = {entry["trial"]: run.crossval.read_summary(entry["trial"]) for entry in crossval["trials"]}
    objective = run.read_facts().metric
    result = FoldsResult(
        set=name,
        objective=objective,
        seed=seed,
        hours=conditions.budget / 3600,
        folds=crossval["folds"]["count"],
        images=crossval["folds"]["images"],
        settings={str(number): told(summary.out_of_fold, objective) for number, summary in summaries.items()},
        selections={
            named(s): told(s["scores"], objective)
            for s in ensemble["selections"]
            if s["selected_on"] == "out-of-fold"
        },
        delivered=named(ensemble["selected"]),
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


def named(selection: dict[str, Any]) -> str:
    """Return a selection's strategy and where its members come from."""
    return f"{selection['strategy']} of {selection['source']}"


def told(scores: dict[str, float], objective: str) -> dict[str, float]:
    """Return AUC, accuracy and the objective of all scores."""
    return {name: scores[name] for name in ("auc", "accuracy", objective) if name in scores}


def read_folds_results(path: Path) -> list[FoldsResult]:
    """Return the results of a file, none where there is no file."""
    lines = path.read_text().splitlines() if path.is_file() else []
    return [FoldsResult.from_dict(json.loads(line), str(path)) for line in lines]


def folds_table(results: list[FoldsResult]) -> str:
    """Return a table by set: pooled figures of the first setting and of the ensemble, and the ensemble on test.

    Each is the mean of the seeds, with each seed's in brackets.
    """
    rows = []
    results = sorted(results, key=in_order)
    for name, hours in dict.fromkeys((result.set, result.hours) for result in results):
        seeds = [result for result in results if (result.set, result.hours) == (name, hours)]
        rows.append([
            SETS[name].title, ", ".join(dict.fromkeys(result.objective for result in seeds)),
            ", ".join(str(result.seed) for result in seeds), f"{hours:.3g}",
            mean_cell([result.folds_seconds / 3600 for result in seeds], 2),
            " or ".join(dict.fromkeys(f"{result.images} in {result.folds}" for result in seeds)),
            pairs([next(iter(result.settings.values())) for result in seeds]),
            pairs([result.selections[result.delivered] for result in seeds]),
            pairs([{"auc": result.test_auc, "accuracy": result.test_accuracy} for result in seeds]),
            figures(SETS[name].folds_target), figures(SETS[name].target),
        ])  # fmt: skip
    columns = [
        "AUC / accuracy", "objective", "seeds", "hours of search", "hours of folds", "images, folds",
        "first setting, out of fold", "ensemble, out of fold", "ensemble on test", "target, out of fold",
        "target, test",
    ]  # fmt: skip
    return table(columns, rows)


def in_order(result: FoldsResult) -> tuple[int, float, int]:
    """Return where a result stands among others: by set, hours of search and seed."""
    return list(SETS).index(result.set), result.hours, result.seed


def pairs(scores: list[dict[str, float]]) -> str:
    """Return AUC and accuracy: means, and each in brackets where there are several."""
    return " / ".join(mean_cell([each.get(name) for each in scores]) for name in ("auc", "accuracy"))


def figures(target: tuple[float | None, float | None]) -> str:
    """Return AUC and accuracy to reach."""
    return " / ".join(MISSING if value is None else f"{value:.3f}" for value in target)

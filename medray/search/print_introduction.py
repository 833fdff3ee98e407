"""What a search says before its first trial."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console

from medray.cluster.capacity import Capacity
from medray.cluster.runners import LOCAL_LINE
from medray.console import say
from medray.console_tables import metric_caveat
from medray.data.dataset import ImageDataset
from medray.runs.run_facts import ResolvedOptions
from medray.runs.warm_starts import EarlierRun
from medray.search.time_limit import ending_seconds
from medray.space.combinations import freezes_less
from medray.space.search_space import longer_baselines
from medray.text import clock, first_names, plural

if TYPE_CHECKING:
    from medray.search.ledger import Ledger


def print_introduction(
    console: Console, ledger: "Ledger", resolved: ResolvedOptions, dataset: ImageDataset, capacity: Capacity | None
) -> None:
    """Print what is searched on which images, where, and what of the space the options change."""
    space, max_epochs = ledger.space, resolved.max_epochs
    train, val = len(dataset.splits["train"]), len(dataset.splits["val"])
    height, width, channels = dataset.shape
    noun = "labels" if dataset.has_label_sets else "classes"
    say(
        console,
        f"{dataset.source}: {train} training and {val} validation images of {height}×{width}×{channels}, "
        f"{len(dataset.class_names)} {noun}; the test split is not used",
    )
    for note in dataset.notes:
        say(console, f"  {note}")
    for line in list_missing_classes(dataset):
        say(console, f"  {line}")
    say(console, f"{capacity.describe() if capacity else LOCAL_LINE}; results go to {ledger.run.location}")
    if space.budget.grace_epochs >= max_epochs:
        say(console, f"  no trial is stopped early: ASHA's first rung is at epoch {space.budget.grace_epochs}")
    if caveat := metric_caveat(space.metric):
        say(console, f"  ranked by {space.metric}: {caveat}")
    shortened = [f"{name} ({epochs})" for name, epochs in longer_baselines(space, max_epochs).items()]
    if shortened:
        say(console, f"  {max_epochs} epochs at most, though baselines ask for more: {first_names(shortened)}")
    if freezes_less(space, max_epochs):
        say(console, f"  {max_epochs} epochs leave none after freeze_epochs: half of a trial's are frozen")
    if resolved.hours is not None:
        ending = clock(ending_seconds(resolved.hours))
        say(console, f"  at most {ledger.limit.describe()}; the last {ending} are for the ensemble")
    for run in ledger.warm_start.runs:
        say(console, f"  {describe_earlier_run(run)}")
        for line in run.skipped:
            say(console, f"    left out, {line}")
    if ledger.records or ledger.unfinished:
        say(
            console,
            f"Resuming: {len(ledger.records)} trials have ended, {len(ledger.unfinished)} go on, "
            f"{'time is' if math.isinf(ledger.left()) else f'{ledger.left()} are'} left",
        )


def describe_earlier_run(run: EarlierRun) -> str:
    """Return what a search takes from an earlier run, in words."""
    best = (
        f"its {plural(len(run.best), 'best setting')} go first" if run.best else "none of its settings fits here"
    )
    if not run.same_data:
        informs = "its objectives do not count, as its data are others"
    elif run.known:
        informs = f"{plural(len(run.known), 'finished trial')} inform the draws"
    else:
        informs = "its objectives do not count, as its trainings have other fixed settings or epochs"
    return f"warm start from {run.run}: {best}; {informs}"


def list_missing_classes(dataset: ImageDataset) -> Iterator[str]:
    """Yield a line for the test split, and of label sets for val, if it has no image of some class."""
    sets = dataset.has_label_sets
    effects = {"val": "no model is judged by such labels"} if sets else {}
    effects["test"] = f"the evaluation will have no figures of such {'labels' if sets else 'classes, nor AUC'}"
    for split, effect in effects.items():
        counts = dataset.at(dataset.splits[split]).class_counts().tolist()
        missing = [name for name, count in zip(dataset.class_names, counts, strict=True) if not count]
        if missing:
            yield f"split '{split}' has no image of {first_names(missing)}: {effect}"

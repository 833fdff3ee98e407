"""What a search says before its first trial."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from medray.cluster.capacity import Capacity
from medray.cluster.runners import LOCAL_LINE
from medray.config import TrainConfig
from medray.console import say
from medray.console_tables import metric_caveat
from medray.data.dataset import ImageDataset
from medray.runs.run_facts import ResolvedOptions
from medray.runs.warm_starts import EarlierRun
from medray.search.time_limit import ending_seconds
from medray.search.without_weights import describe_without
from medray.space.combinations import combinations, freezes_less, longest_side
from medray.space.search_space import Pipeline, SearchSpace, longer_baselines
from medray.text import clock, first_names, plural
from medray.training.transforms.pipeline import without_batched_form

if TYPE_CHECKING:
    from medray.search.ledger import Ledger


def print_introduction(
    console: Console, ledger: "Ledger", resolved: ResolvedOptions, dataset: ImageDataset, capacity: Capacity | None
) -> None:
    """Print what is searched on which images, where, and what of the space the options change."""
    space, max_epochs = ledger.space, resolved.max_epochs
    resumed = bool(ledger.records or ledger.unfinished)
    train, val = len(dataset.splits["train"]), len(dataset.splits["val"])
    height, width, channels = dataset.shape
    noun = "labels" if dataset.has_label_sets else "classes"
    say(
        console,
        f"{dataset.source}: {train} training and {val} validation images of {height}×{width}×{channels}, "
        f"{len(dataset.class_names)} {noun}; the test split is not used",
    )
    if space.image_sizes:
        as_they_are = longest_side(space) is None
        say(console, f"  {describe_sizes(space.image_sizes, max(height, width), as_they_are=as_they_are)}")
    if resolved.without:
        say(console, f"  {describe_without(resolved.without, resumed=resumed)}")
    for line in list_licences(space):
        say(console, f"  {line}")
    for note in dataset.notes:
        say(console, f"  {note}")
    for line in list_missing_classes(dataset):
        say(console, f"  {line}")
    say(console, f"{capacity.describe() if capacity else LOCAL_LINE}; results go to {ledger.run.location}")
    if space.budget.grace_epochs >= max_epochs:
        say(console, f"  no trial is stopped early: ASHA's first rung is at epoch {space.budget.grace_epochs}")
    for line in list_slow_pipelines(space.transforms):
        say(console, f"  {line}")
    if caveat := metric_caveat(space.metric):
        say(console, f"  ranked by {space.metric}: {caveat}")
    shortened = [f"{name} ({epochs})" for name, epochs in longer_baselines(space, max_epochs).items()]
    if shortened:
        say(console, f"  {max_epochs} epochs at most, though baselines ask for more: {first_names(shortened)}")
    if any(value > max_epochs for key, value in space.values_of("epochs") if key.startswith("space.")):
        say(console, f"  {max_epochs} epochs at most, also of trials that draw more")
    if freezes_less(space, max_epochs):
        say(console, f"  {max_epochs} epochs leave none after freeze_epochs: half of a trial's are frozen")
    if resolved.hours is not None:
        ending = clock(ending_seconds(resolved.hours))
        say(console, f"  at most {ledger.limit.describe()}; the last {ending} are for the ensemble")
    for run in ledger.warm_start.runs:
        say(console, f"  {describe_earlier_run(run)}")
        for line in run.skipped:
            say(console, f"    left out, {line}")
    if resumed:
        say(
            console,
            f"Resuming: {len(ledger.records)} trials have ended, {len(ledger.unfinished)} go on, "
            f"{'time is' if math.isinf(ledger.left()) else f'{ledger.left()} are'} left",
        )


def describe_sizes(image_sizes: Sequence[int], own: int, *, as_they_are: bool = False) -> str:
    """Return the sizes at which networks see images whose longer side is `own`, and how they get them."""
    grown = [str(size) for size in image_sizes if size > own]
    enlarged = f"; {' and '.join(grown)} by enlarging them" if grown else ""
    sizes = f"{'as they are, or ' if as_they_are else ''}at {', '.join(map(str, image_sizes))} pixels"
    return f"networks see them {sizes}, the longer side{enlarged}"


def list_licences(space: SearchSpace) -> Iterator[str]:
    """Yield a line for each licence of weights that a training of the space may start from."""
    names = ("backbone", "pretrained", "weights")
    starts = [
        {name: settings[name] for name in names if name in settings}
        for _, settings in combinations(space, names)
        if settings.get("pretrained") or settings.get("weights")
    ]
    if not starts:
        return
    from medray.training.models.licences import forbids_commerce, weights_licence  # imports torch and timm

    backbones: dict[str, list[str]] = {}
    for settings in starts:
        config = TrainConfig.from_dict(settings)
        licence = weights_licence(config)
        if licence is not None and config.backbone not in backbones.setdefault(licence, []):
            backbones[licence].append(config.backbone)
    for licence in sorted(backbones):
        forbidden = "; NO COMMERCIAL USE" if forbids_commerce(licence) else ""
        yield f"licence of starting weights: {licence} ({', '.join(backbones[licence])}){forbidden}"


def describe_earlier_run(run: EarlierRun) -> str:
    """Return what a search takes from an earlier run, in words."""
    best = (
        f"its {plural(len(run.best), 'best setting')} go first" if run.best else "none of its settings fits here"
    )
    if not run.same_data:
        informs = "its objectives do not count, as its data or cases are others"
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


def list_slow_pipelines(pipelines: Mapping[str, Pipeline]) -> Iterator[str]:
    """Yield a line for each pipeline with transforms that albumentations computes, image by image."""
    for name, pipeline in pipelines.items():
        if slow := without_batched_form(pipeline):
            yield f"transforms '{name}': no batched form of {first_names(slow)}: image by image, which is slower"

"""The plan of a nested cross-validation: the outer folds, and what the search inside each one sees of the data."""

import dataclasses
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from medray._types import Array, Progress, silent
from medray.cluster.runners import LOCAL, RAY
from medray.config import check_counts
from medray.data.dataset import Fold, ImageDataset
from medray.data.folds import POOL, Folds, make_folds
from medray.data.group_assignment import assign_groups
from medray.data.listing.listing import CALIBRATION, TRAIN, VAL
from medray.data.similarity.groups import related_groups
from medray.errors import DataError, RunError
from medray.runs.crossval_documents import NestedPlan
from medray.runs.finished_search import FinishedSearch
from medray.runs.run_facts import ResolvedOptions
from medray.training.check import check_classes
from medray.training.seeds import draw_seed


@dataclass(frozen=True)
class NestedOptions:
    """The options of `medray crossval --nested`, None where one was not given.

    Raises:
        ConfigError: a number is too small.
    """

    run: str
    folds: int | None = None
    seed: int | None = None
    data: str | None = None
    concurrency: int | None = None
    resume: bool = False
    address: str | None = None
    min_gpus: int | None = None
    runner: str = RAY
    verbose: bool = False

    def __post_init__(self) -> None:
        check_counts(self, folds=2, seed=0, concurrency=1, min_gpus=1)

    @property
    def resume_command(self) -> str:
        """The command that goes on with this cross-validation."""
        data = f" --data {shlex.quote(self.data)}" if self.data else ""
        local = " --local" if self.runner == LOCAL else ""
        return f"medray crossval {shlex.quote(self.run)} --nested --resume{data}{local}"


@dataclass(frozen=True)
class OuterFold:
    """One outer fold: the positions `held_out` (n,) that measure, and the data set that its search sees.

    `dataset` has splits train and val, and calibration where the run has one, but none of the held-out images.
    """

    number: int
    held_out: Array
    dataset: ImageDataset


def plan_nested(
    options: NestedOptions, searched: FinishedSearch, dataset: ImageDataset, progress: Progress = silent
) -> tuple[NestedPlan, Folds]:
    """Return the plan and the outer folds that were written, or make them and write them.

    Raises:
        RunError: there is a plan and no --resume, or the other way round; an option contradicts the plan.
        DataError: the folds can't be made.
    """
    folder, search = searched.run.nested, searched.options
    if folder.exists(folder.PLAN):
        if not options.resume:
            raise RunError(f"{folder.location} already holds a nested cross-validation: go on with it by --resume")
        plan = folder.read_plan()
        for name, value, planned in (("folds", options.folds, plan.folds), ("seed", options.seed, plan.seed)):
            if value is not None and value != planned:
                raise RunError(f"--{name} {value}: {folder.location} was started with {planned}")
        if plan.data != dataset.fingerprint:
            raise RunError(f"{folder.location} was started with other data than the run has now")
        return plan, folder.read_folds()
    if options.resume:
        raise RunError(f"{folder.location} holds no nested cross-validation to resume; start one without --resume")
    seed = options.seed or 0
    folds = make_folds(dataset, options.folds, seed, lambda data: related_groups(data, progress))
    plan = NestedPlan(
        searched.space.metric, len(folds), seed, search.trials, search.max_epochs, search.top_k,
        search.baselines_only, dataset.fingerprint, search.hours, search.stop_when_flat,
    )  # fmt: skip
    for _ in outer_folds(dataset, folds, progress):
        pass  # a class that one of them lacks is said before the first is trained
    folder.write_json(folder.FOLDS, folds.to_dict())
    folder.write_json(folder.PLAN, plan.to_dict())
    return plan, folds


def outer_folds(dataset: ImageDataset, folds: Folds, progress: Progress = silent) -> Iterator[OuterFold]:
    """Yield the outer folds. Val has its share of the run's pool in each, drawn as splits are: by class, with no
    patient and no near-duplicate in two splits.

    Raises:
        DataError: the train or val split inside a fold lacks a class.
    """
    train, val = (len(dataset.splits[name]) for name in POOL)
    share = val / (train + val)
    related = related_groups(dataset, progress)
    for number, fold in enumerate(folds.folds):
        inner = dataset_inside(dataset, fold, related, share)
        try:
            check_classes(inner)
        except DataError as error:
            raise DataError(f"outer fold {number}: {error}") from None
        yield OuterFold(number, fold.val, inner)


def dataset_inside(dataset: ImageDataset, fold: Fold, groups: Array, share: float) -> ImageDataset:
    """Return the data set with the training side of `fold` as its train and val splits, `share` of it as val.

    `groups` (N,) are the images that stay in one split. The calibration split stays as it is.
    """
    assigned = assign_groups(dataset.labels[fold.train], groups[fold.train], np.array([1 - share, share]))
    splits = {TRAIN: fold.train[assigned == 0], VAL: fold.train[assigned == 1]}
    if CALIBRATION in dataset.splits:
        splits[CALIBRATION] = dataset.splits[CALIBRATION]
    return dataclasses.replace(dataset, splits=splits, folds=None)


def search_options(
    plan: NestedPlan, searched: FinishedSearch, options: NestedOptions, fold: int
) -> ResolvedOptions:
    """Return the options of the search inside a fold: those of the run's search, with a seed of its own.

    It has no warm start: earlier runs may have seen the images that the fold holds out.
    """
    return ResolvedOptions(
        data=options.data or searched.options.data,
        trials=plan.trials,
        max_epochs=plan.max_epochs,
        top_k=plan.top_k,
        seed=draw_seed(searched.options.seed, plan.seed, fold),
        concurrency=options.concurrency,
        baselines_only=plan.baselines_only,
        hours=plan.hours,
        stop_when_flat=plan.stop_when_flat,
    )

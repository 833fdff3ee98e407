"""Before the first trial: the features of frozen backbones that its baselines and portfolio need, on all cores."""

import os
import time
from collections.abc import Iterator

import optuna
from rich.console import Console

from medray.config import TrainConfig
from medray.console import say, step
from medray.data.dataset import ImageDataset
from medray.errors import MedrayError
from medray.runs.run_facts import ResolvedOptions
from medray.runs.trial_record import FEATURES
from medray.search.enqueue import BASELINE, PORTFOLIO
from medray.search.time_limit import HOUR_S, TimeLimit, TrialKind
from medray.space.search_space import SearchSpace
from medray.text import clock

JUDGED_AFTER = 5.0  # seconds
FEATURES_SHARE = 0.2  # of the search's time, of all features that are computed ahead


class _TooLong(Exception):  # noqa: N818  ends a computation, and is no error
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


def embed_ahead(
    space: SearchSpace, study: optuna.Study, resolved: ResolvedOptions, dataset: ImageDataset, limit: TimeLimit,
    console: Console, *, gpu: bool,
) -> None:  # fmt: skip
    """Compute the features that linear heads among the trials that wait in a study see, once, with its progress.

    A trial of one core would take longer, and others would wait for it. Features that with those before them would
    take more than a fifth of the search's time are left out, and so are trials that need them; what they would
    take tells how long the backbone's other trainings do. A failure is the trial's, which says it.
    """
    cores, began = 1 if gpu else os.cpu_count() or 1, time.monotonic()
    for config in linear_heads(space, study, resolved.max_epochs):
        kind = TrialKind.of(config)
        try:
            seconds = _embed(config, dataset, limit, console, began, gpu=gpu)
        except _TooLong as too_long:
            say(
                console,
                f"  left out: it would take {clock(too_long.seconds)}, more than is left of a fifth of the time",
            )
            limit.times.left_out.add(kind)
            limit.times.forwards[kind.backbone, kind.image_size] = too_long.seconds * cores / kind.passes
        except MedrayError:
            continue
        else:
            limit.times.embedded.add(kind)
            if seconds:
                limit.times.forwards[kind.backbone, kind.image_size] = seconds * cores / kind.passes


def linear_heads(space: SearchSpace, study: optuna.Study, max_epochs: int) -> Iterator[TrainConfig]:
    """Yield a training for each kind of features that linear heads of the waiting baselines and portfolio need."""
    seen = set()
    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,)):
        baseline, settings = (
            trial.user_attrs.get(BASELINE),
            space.portfolio.get(trial.user_attrs.get(PORTFOLIO, "")),
        )
        if baseline is None and settings is None:
            continue
        config = space.config(settings or {}, seed=0, max_epochs=max_epochs, baseline=baseline)
        features = tuple(getattr(config, name) for name in FEATURES)
        if TrialKind.of(config).linear and features not in seen:
            seen.add(features)
            yield config


def _embed(
    config: TrainConfig, dataset: ImageDataset, limit: TimeLimit, console: Console, began: float, *, gpu: bool
) -> float:
    """Compute the features for one training; return the seconds of that, without what precedes it.

    All features are computed since `began`, by `time.monotonic`.

    These are of all images, by the batches after the first, which takes longer; 0 where there are no others.
    """
    import torch

    from medray.training.embed import embed

    started = time.monotonic()
    size = f" at {config.image_size} px" if config.image_size else ""
    with step(console, f"Computing what frozen {config.backbone} sees{size}") as progress:
        first: list[tuple[float, int]] = []  # time and images of the first batch of each slice of images
        measured = [(0, 0.0)]  # images, and the seconds of each, of a slice

        def watched(message: str, done: int, total: int) -> None:
            progress(message, done, total)
            now = time.monotonic()
            if not first or done <= first[-1][1]:  # another slice begins
                first.append((now, done))
            since, before = first[-1]
            if done == before:
                return
            measured.append((done - before, (now - since) / (done - before)))
            if limit.hours is None or now - since < JUDGED_AFTER:
                return
            left = measured[-1][1] * (total - done)
            expected = now - started + left
            if now - began + left > FEATURES_SHARE * limit.hours * HOUR_S or left > limit.left():
                raise _TooLong(expected)

        device = "cuda" if gpu and torch.cuda.is_available() else "cpu"
        slices = dataset.split("train"), dataset.split("val")
        embed(config, *slices, device=device, progress=watched)
    return max(measured)[1] * sum(map(len, slices))

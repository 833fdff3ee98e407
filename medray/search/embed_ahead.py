"""Before the first trial: the features of frozen backbones that its baselines and portfolio need, on all cores."""

import time
from collections.abc import Iterator

import optuna
from optuna.trial import TrialState
from rich.console import Console

from medray.config import TrainConfig
from medray.console import say, step
from medray.cores import usable_cores
from medray.data.dataset import ImageDataset
from medray.errors import MedrayError, RunError, one_line
from medray.runs.run_facts import ResolvedOptions
from medray.runs.trial_record import FEATURES
from medray.search.enqueue import BASELINE, PORTFOLIO
from medray.search.time_limit import FEATURES_SHARE, HOUR_S, TimeLimit, TrialKind
from medray.space.search_space import SearchSpace
from medray.text import clock

JUDGED_AFTER = 5.0  # seconds


class _TooLong(Exception):  # noqa: N818  ends a computation, and is no error
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class _NotKept(Exception):  # noqa: N818
    """Features can't be kept, for the reason `why`; all would take so many `seconds`."""

    def __init__(self, why: str, seconds: float) -> None:
        super().__init__(why)
        self.seconds = seconds


def embed_ahead(
    space: SearchSpace, study: optuna.Study, resolved: ResolvedOptions, dataset: ImageDataset, limit: TimeLimit,
    console: Console, *, gpu: bool, trial_cores: float | None = None,
) -> None:  # fmt: skip
    """Compute the features that linear heads among a study's trials to come see, once, with its progress.

    A trial of one core would take longer, and others would wait for it. Features that with those before them would
    take more than a fifth of the search's time are left out, and so are trials that need them; what they would
    take tells how long the backbone's other trainings do, with `trial_cores` each; None: with all cores. A failure
    is said, and is the trial's.
    """
    began, all_cores = time.monotonic(), usable_cores()
    for config in linear_heads(space, study, resolved.max_epochs):
        kind, device = TrialKind.of(config), device_of(gpu=gpu)
        cores = all_cores / (trial_cores or all_cores) if device == "cpu" else 1.0
        try:
            seconds = _embed(config, dataset, limit, console, began, device)
        except _TooLong as too_long:
            say(
                console,
                f"  left out: it would take {clock(too_long.seconds)}, more than is left of a fifth of the time",
            )
            limit.times.left_out.add(kind)
            limit.times.forwards[kind.backbone, kind.image_size] = too_long.seconds * cores / kind.passes
        except _NotKept as not_kept:
            say(console, f"  not computed ahead: {not_kept}")
            limit.times.forwards[kind.backbone, kind.image_size] = not_kept.seconds * cores / kind.passes
        except MedrayError as error:
            say(console, f"  not computed: {error}")
        except Exception as error:  # out of memory, a backbone that fails on these images: as in a worker
            say(console, f"  not computed: {type(error).__name__}: {one_line(error)}")
        else:
            limit.times.embedded.add(kind)
            if seconds:
                limit.times.forwards[kind.backbone, kind.image_size] = seconds * cores / kind.passes


def device_of(*, gpu: bool) -> str:
    """Return where features are computed, for trials that have a part of a GPU where there is one."""
    import torch

    return "cuda" if gpu and torch.cuda.is_available() else "cpu"


def linear_heads(space: SearchSpace, study: optuna.Study, max_epochs: int) -> Iterator[TrainConfig]:
    """Yield a training for each kind of features that linear heads of the baselines and the portfolio need.

    Those that an earlier command held back, as they had no time, are among them.
    """
    seen = set()
    for trial in study.get_trials(deepcopy=False, states=(TrialState.WAITING, TrialState.RUNNING)):
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
    config: TrainConfig, dataset: ImageDataset, limit: TimeLimit, console: Console, began: float, device: str
) -> float:
    """Compute the features for one training; return the seconds of that, without what precedes it.

    All features are computed since `began`, by `time.monotonic`.

    These are of all images, by the batches after the first, which takes longer; 0 where there are no others. What
    can't be kept is computed for some seconds only, to know how long it takes, where time is limited.
    """
    import torch

    from medray.training.embed import embed

    started = time.monotonic()
    size = f" at {config.image_size} px" if config.image_size else ""
    with step(console, f"Computing what frozen {config.backbone} sees{size}") as progress:
        first: list[tuple[float, int]] = []  # time and images of the first batch of each slice of images
        measured = [(0, 0.0)]  # images, and the seconds of each, of a slice

        reasons: list[str] = []

        def not_kept(why: str) -> None:
            if limit.hours is None:
                raise RunError(why)
            reasons.append(why)

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
            if reasons:
                raise _NotKept(reasons[0], max(measured)[1] * sum(map(len, slices)))

        slices = dataset.split("train"), dataset.split("val")
        try:
            embed(config, *slices, device=device, progress=watched, not_kept=not_kept)
        finally:
            if device == "cuda":  # which the trials share
                torch.cuda.empty_cache()
    seconds = max(measured)[1] * sum(map(len, slices))
    if reasons:
        raise _NotKept(reasons[0], seconds)
    return seconds

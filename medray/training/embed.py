"""Compute the features of a frozen backbone ahead of the trainings that need them."""

from collections.abc import Callable

import torch

from medray._types import Progress, silent
from medray.config import TrainConfig
from medray.data.dataset import LabelledImages
from medray.errors import RunError
from medray.training.feeds import FeatureFeed
from medray.training.loop import begin_training


def _refuse(why: str) -> None:
    raise RunError(why)


def embed(
    config: TrainConfig,
    train: LabelledImages,
    val: LabelledImages,
    *,
    device: str = "cpu",
    progress: Progress = silent,
    not_kept: Callable[[str], None] = _refuse,
) -> None:
    """Compute what the frozen part of a training's first stage gives of both slices, and keep it in the cache.

    Does nothing where nothing is frozen, or where trainings would not use features. An error that `progress`
    raises ends it; what was computed until then is kept. `not_kept` is told why the cache can't keep the features,
    before they are computed in vain.

    Raises:
        ConfigError: the backbone is unknown or does not take such images.
        WeightsError: its weights are not available.
        RunError: the cache can't keep the features, as it comes.
    """
    training = begin_training(config, train, val, torch.device(device), progress)
    feed = training.feed
    if isinstance(feed, FeatureFeed):
        if why := feed.features.why_not_kept(training.train) or feed.features.why_not_kept(training.val):
            not_kept(f"they can't be kept, and so each training computes them: {why}")
        feed.prepare(training.train, training.val)

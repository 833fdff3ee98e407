"""Feeds: what a network is trained on and measured with, images or its frozen trunk's features of them."""

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from medray._types import Array, Progress
from medray.config import LBFGS, TrainConfig
from medray.data.dataset import LabelledImages
from medray.training.augment import Augmenter
from medray.training.frozen.features import PLAIN, FrozenFeatures
from medray.training.frozen.trunk import Rest, split_network
from medray.training.images import ResidentImages, to_input
from medray.training.models import Network

TRIED = 2  # images that a split is tried on


class Feed(Protocol):
    """Inputs of the layers that a stage trains: `network` takes them and gives logits."""

    network: "Network | Rest"

    def training_batch(self, indices: Array, epoch: int, seed: int, rows: Array) -> Tensor:
        """Return the inputs of the `rows` (m,) of a batch of training images (n,), transformed.

        Draws are for the whole batch: an image's does not depend on which others are among the rows.
        """

    def plain(self, images: LabelledImages, indices: Array) -> Tensor:
        """Return the inputs of the images at `indices` (n,) of a slice, without transforms."""


class ImageFeed:
    """Gives the whole network its images, which live on a GPU where they fit."""

    def __init__(self, config: TrainConfig, network: Network, train: LabelledImages, device: torch.device) -> None:
        self.network, self.train, self.device = network, train, device
        self.augment = Augmenter(config.pipeline)
        self.resident = ResidentImages(device)

    def training_batch(self, indices: Array, epoch: int, seed: int, rows: Array) -> Tensor:
        """Return training images (m, C, H, W), transformed by draws of `seed`."""
        if self.augment.batched:  # on the device, where it has a form for it
            images = self.augment(self.resident.take(self.train, indices), seed, rows)
            return to_input(images[torch.from_numpy(rows).to(images.device, non_blocking=True)], self.device)
        return to_input(self.augment(self.train.take(indices)[0], seed, rows)[rows], self.device)

    def plain(self, images: LabelledImages, indices: Array) -> Tensor:
        """Return images (n, C, H, W) as they are."""
        return to_input(self.resident.take(images, indices), self.device)


class FeatureFeed:
    """Gives the layers behind a frozen trunk its features, which are computed once and kept in the cache.

    With transforms epoch e trains on view (e - 1) mod `views` of all images.
    """

    def __init__(self, config: TrainConfig, rest: Rest, features: FrozenFeatures, train: LabelledImages) -> None:
        self.network, self.features, self.train = rest, features, train
        self.views = config.views if config.pipeline else None

    def training_batch(self, indices: Array, epoch: int, seed: int, rows: Array) -> Tensor:
        """Return the features (m, ...) of training images."""
        view = PLAIN if self.views is None else (epoch - 1) % self.views
        return self.features.of(self.train, indices[rows], view)

    def plain(self, images: LabelledImages, indices: Array) -> Tensor:
        """Return the features (n, ...) of images without transforms."""
        return self.features.of(images, indices)

    def prepare(self, *slices: LabelledImages) -> None:
        """Compute the features of slices that are not there yet: of the first, for training, in all views."""
        none = np.arange(0)
        for view in range(self.views or 0):
            self.features.of(slices[0], none, view)
        for images in slices:
            self.features.of(images, none)

    def all_views(self) -> tuple[Tensor, Array]:
        """Return the features of the training images, plain and of each view, and the index (rows,) of each."""
        views = [PLAIN, *range(self.views or 0)]
        indices = np.arange(len(self.train))
        rows = torch.cat([self.features.of(self.train, indices, view) for view in views])
        return rows, np.tile(indices, len(views))


def make_feed(
    config: TrainConfig, network: Network, frozen: frozenset[str], train: LabelledImages, device: torch.device,
    progress: Progress,
) -> ImageFeed | FeatureFeed:  # fmt: skip
    """Return the feed of a stage in which the network's tensors `frozen` are not trained.

    It is images where nothing is frozen, where the network can't be split, where its features are too many to be
    kept, with mixup, whose images are new in each batch, and with transforms whose `views` are unlimited.
    """
    images = ImageFeed(config, network, train, device)
    if not frozen or config.mixup or (config.pipeline and config.views is None):
        return images
    few = images.plain(train, np.arange(min(TRIED, len(train))))
    split = split_network(network, frozen, few, config.dropout)
    if split is None:
        return images
    trunk, rest = split
    tensors = {n: t for n, t in network.state_dict().items() if n in frozen or n.startswith("normalise.")}
    trained = [p for p in rest.backbone.parameters() if p.requires_grad]
    features = FrozenFeatures(
        trunk,
        config.backbone,
        tensors,
        trunk(few),
        config.pipeline,
        device,
        progress,
        rounded=sum(p.ndim > 1 for p in trained) == 1,
    )
    kinds = 1 + (config.views or 0 if config.pipeline else 0)
    # A linear head needs them all at once in any case.
    fit = config.optimizer == LBFGS or features.fit(train, kinds)
    return FeatureFeed(config, rest, features, train) if fit else images

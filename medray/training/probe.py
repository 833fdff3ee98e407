"""A linear probe before fine-tuning: the head starts as the linear one that fits the published weights' features.

A head of random weights begins with large gradients that mean nothing, and they distort what the backbone has
learned (Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution").
"""

import copy
import dataclasses

import numpy as np
import torch

from medray._types import Progress
from medray.config import LBFGS, TrainConfig
from medray.data.dataset import LabelledImages
from medray.errors import ConfigError, TrainingDiverged
from medray.training import optim
from medray.training.feeds import FeatureFeed, make_feed
from medray.training.linear import fit_head
from medray.training.models import Network
from medray.training.seeds import draw_seed
from medray.training.stages import Freezer, stages_of

MOST_IMAGES = 50_000  # with more a head learns quickly by itself, and all their features take much memory
WEIGHT_DECAY = 0.001  # of the linear head: rather strong, as fine-tuning goes on from it


def fit_probe(
    config: TrainConfig, network: Network, train: LabelledImages, device: torch.device, embedding: Progress
) -> bool:
    """Fit the head of a network that starts from given weights to all training images, as they are.

    Returns whether it did: not where the head is in the weights or is more than one dense layer, not where the
    training fits that layer anyway, and not with more than `MOST_IMAGES`. Features are computed once for all
    trainings that start alike.
    """
    starts_from_weights = config.pretrained or config.weights is not None
    if not (config.probe_first and starts_from_weights) or len(train) > MOST_IMAGES:
        return False
    if config.optimizer == LBFGS or config.head_width or network.head_given:
        return False
    probe = dataclasses.replace(
        config, optimizer=LBFGS, weight_decay=WEIGHT_DECAY, trainable_blocks=0, freeze_epochs=0,
        fine_tune_rate=None, dropout=0.0, mixup=0.0, pipeline=(),
    )  # fmt: skip
    (stage,) = stages_of(probe)
    freezer = Freezer(network, (stage,))
    freezer.enter(stage)
    feed = make_feed(probe, network, freezer.frozen[stage], train, device, embedding)
    if not isinstance(feed, FeatureFeed):
        return False
    weight = optim.loss_weight(probe, train, device)
    order = optim.epoch_order(probe, train, np.random.default_rng(draw_seed(config.seed, 0)))
    before = copy.deepcopy(network._modules.get("link"))
    try:
        fit_head(probe, network, feed, train, order, weight, device)
    except (ConfigError, TrainingDiverged):  # the training does not need it
        if before is not None:
            network.get_submodule("link").load_state_dict(before.state_dict())
        return False
    return True

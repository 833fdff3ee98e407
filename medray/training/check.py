"""Check before any training that a search space's backbones, weights and transforms exist and fit the images."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from medray.config import TrainConfig
from medray.data.dataset import ImageDataset
from medray.errors import ConfigError, MedrayError
from medray.space.combinations import combinations
from medray.space.search_space import SearchSpace
from medray.stats.metrics import check_measurable
from medray.training.augment import check_pipeline
from medray.training.models import (
    MODELS,
    build_network,
    check_backbone,
    check_weights_file,
    parts_of,
    weights_file,
)

#: Settings that say which weights a training starts from.
START_SETTINGS = ("backbone", "weights", "pretrained")


def check_space(space: SearchSpace, dataset: ImageDataset) -> None:
    """Check every backbone, weights file and pipeline of `space`, and that its objective can be measured.

    Raises:
        ConfigError: a backbone or a transform is unknown or does not take such images; file and key are named.
        WeightsError: a weights file is missing or is a pickle; file and key are named.
        DataError: a split is missing or empty, or the objective, or a `monitor`, is not defined on it.
    """
    train, val = dataset.split("train"), dataset.split("val")
    check_measurable(space.metric, train.own_labels, dataset.class_names, "train")
    check_measurable(space.metric, val.own_labels, dataset.class_names, "val")
    try:
        for key, backbone in space.values_of("backbone"):
            _check_backbone(key, backbone, dataset)
        for section, settings in combinations(space, (*START_SETTINGS, "freeze_epochs", "trainable_blocks")):
            with _keys_within(section):
                _check_starting_weights(settings, dataset)
        for key, metric in space.values_of("monitor"):
            with _keys_within(key):
                check_measurable(metric, val.own_labels, dataset.class_names, "val")
        for name, pipeline in space.transforms.items():
            with _keys_within(f"transforms.{name}"):
                check_pipeline(pipeline, dataset.shape)
    except MedrayError as error:
        raise error.within(file=space.path) from None


@contextlib.contextmanager
def _keys_within(key: str) -> Iterator[None]:
    try:
        yield
    except MedrayError as error:
        raise error.within(key=key) from None


def _check_backbone(key: str, name: str, dataset: ImageDataset) -> None:
    try:
        check_backbone(name)
        if name in MODELS:  # building a timm model takes seconds; one that does not fit fails its own trial
            build_network(TrainConfig(backbone=name), dataset.shape, len(dataset.class_names))
    except ConfigError as error:
        raise ConfigError(error.problem, key=key) from None


def _check_starting_weights(settings: Mapping[str, Any], dataset: ImageDataset) -> None:
    """Check that a training has weights to start from where it needs them, and blocks enough to train."""
    config = TrainConfig.from_dict({name: settings[name] for name in START_SETTINGS if name in settings})
    file, blocks = weights_file(config), settings.get("trainable_blocks")
    if file is not None:
        check_weights_file(file)
    if config.backbone in MODELS and blocks:
        network = build_network(TrainConfig(backbone=config.backbone), dataset.shape, 2)
        parts_of(network.get_submodule("backbone")).frozen(blocks)  # raises where it has fewer blocks
    frozen = "freeze_epochs" if settings.get("freeze_epochs") else "trainable_blocks"
    if settings.get(frozen) is not None and file is None and not config.pretrained:
        raise ConfigError(
            "frozen layers would keep random weights; give `pretrained: true` or `weights`", key=frozen
        )

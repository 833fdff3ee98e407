"""Asks, before anything is trained, whether a search space's backbones and transforms exist and fit the images."""

from collections.abc import Mapping
from typing import Any

from medray.config import TrainConfig
from medray.data.dataset import ImageDataset
from medray.errors import ConfigError, DataError, WeightsError
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

STARTS = ("backbone", "weights", "pretrained")


def check_space(space: SearchSpace, dataset: ImageDataset) -> None:
    """Check every backbone, file of weights and pipeline of `space`, and that its objective can be measured.

    Raises:
        ConfigError: a backbone or a transform is unknown or does not take such images; file and key are named.
        DataError: a split is missing or empty, or the objective is not defined on it.
    """
    train, val = dataset.split("train"), dataset.split("val")
    check_measurable(space.metric, train.own_labels, dataset.class_names, "train")
    check_measurable(space.metric, val.own_labels, dataset.class_names, "val")
    for key, name in space.values_of("backbone"):
        _check_backbone(f"{space.path}: {key}", name, dataset)
    _check_starts(space, dataset)
    for key, metric in space.values_of("monitor"):
        try:
            check_measurable(metric, val.own_labels, dataset.class_names, "val")
        except DataError as error:
            raise DataError(f"{space.path}: {key}: {error}") from None
    for name, pipeline in space.transforms.items():
        try:
            check_pipeline(pipeline, dataset.shape)
        except ConfigError as error:
            raise ConfigError(f"{space.path}: transforms.{name}{error}") from None


def _check_starts(space: SearchSpace, dataset: ImageDataset) -> None:
    """Check that every training has weights to start from where it needs them, and blocks enough to train."""
    for section, settings in combinations(space, (*STARTS, "freeze_epochs", "trainable_blocks")):
        try:
            _check_start(settings, dataset)
        except (ConfigError, WeightsError) as error:
            raise ConfigError(f"{space.path}: {section}: {error}") from None


def _check_start(settings: Mapping[str, Any], dataset: ImageDataset) -> None:
    config = TrainConfig.from_dict({name: settings[name] for name in STARTS if name in settings})
    file, blocks = weights_file(config), settings.get("trainable_blocks")
    if file is not None:
        check_weights_file(file)
    if config.backbone in MODELS and blocks:
        bare = build_network(TrainConfig(backbone=config.backbone), dataset.shape, 2)
        parts_of(bare.get_submodule("backbone")).frozen(blocks)
    frozen = "freeze_epochs" if settings.get("freeze_epochs") else "trainable_blocks"
    if settings.get(frozen) is not None and file is None and not config.pretrained:
        raise ConfigError(f"{frozen}: what is frozen would stay random; give `pretrained: true` or `weights`")


def _check_backbone(key: str, name: str, dataset: ImageDataset) -> None:
    try:
        check_backbone(name)
        if name in MODELS:  # building a timm model takes seconds; one that does not fit fails its own trial
            build_network(TrainConfig(backbone=name), dataset.shape, len(dataset.class_names))
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from None

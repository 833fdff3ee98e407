"""Asks, before anything is trained, whether a search space's backbones and transforms exist and fit the images."""

from pathlib import Path

from medray.config import TrainConfig
from medray.data.dataset import ImageDataset
from medray.errors import ConfigError, DataError
from medray.space import SearchSpace
from medray.training.augment import check_pipeline
from medray.training.metrics import check_measurable
from medray.training.models import MODELS, build_network, check_backbone


def check_space(space: SearchSpace, dataset: ImageDataset) -> None:
    """Check every backbone and pipeline of `space`, and that its objective can be measured on the data.

    Raises:
        ConfigError: a backbone or a transform is unknown or does not take such images; file and key are named.
        DataError: a split is missing or empty, or the objective is not defined on it.
    """
    train, val = dataset.split("train"), dataset.split("val")
    check_measurable(space.metric, train.own_labels, dataset.class_names, "train")
    check_measurable(space.metric, val.own_labels, dataset.class_names, "val")
    for key, name in space.values_of("backbone"):
        _check_backbone(f"{space.path}: {key}", name, dataset)
    for key, file in space.values_of("weights"):
        if file is not None and not Path(file).is_file():
            raise ConfigError(f"{space.path}: {key}: no such file: {file}")
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


def _check_backbone(key: str, name: str, dataset: ImageDataset) -> None:
    try:
        check_backbone(name)
        if name in MODELS:  # building a timm model takes seconds; one that does not fit fails its own trial
            build_network(TrainConfig(backbone=name), dataset.shape, len(dataset.class_names))
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from None

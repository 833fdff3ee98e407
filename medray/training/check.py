"""Check before any training that a search space's backbones, weights and transforms exist and fit the images."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from medray._types import Shape
from medray.config import TrainConfig
from medray.data.dataset import ImageDataset
from medray.data.members import members_of
from medray.data.resampling import sized_shape
from medray.errors import ConfigError, DataError, MedrayError
from medray.space.combinations import combinations
from medray.space.search_space import SearchSpace
from medray.text import first_names
from medray.training.augment import check_pipeline
from medray.training.check_slices import check_slices
from medray.training.check_start import check_starts
from medray.training.models import MODELS, TORCHVISION, build_network, check_backbone, check_timm_size


def check_space(space: SearchSpace, dataset: ImageDataset) -> None:
    """Check every backbone, weights file and pipeline of `space`, and that train and val have each class.

    Raises:
        ConfigError: a backbone or a transform is unknown or does not take such images; file and key are named.
        WeightsError: a weights file is missing, damaged, a pickle or of another network; file and key are named.
        DataError: train or val is missing, empty, or lacks a class.
    """
    check_classes(dataset)
    try:
        for key, backbone in space.values_of("backbone"):
            with _at(key):
                check_backbone(backbone)
        for section, settings in combinations(space, ("backbone", "image_size")):
            _check_size(space, section, settings, dataset)
        check_starts(space, dataset)
        for name, shape in _transformed(space, dataset.shape):
            with _keys_within(f"transforms.{name}"):
                check_pipeline(space.transforms[name], shape)
    except MedrayError as error:
        raise error.within(file=space.path) from None


def check_classes(dataset: ImageDataset) -> None:
    """Check that train and val have an image of each class: what is not there is not learned, or not measured.

    Where images may have several labels, val may lack some: they are left out of the means over labels.

    Raises:
        DataError: a split is missing or empty, or lacks a class; the line names it and the way out.
    """
    if dataset.has_label_sets:
        check_slices(dataset.split("train"), dataset.split("val"), "auc")
    for split in ("train",) if dataset.has_label_sets else ("train", "val"):
        images = dataset.split(split)
        labels = images.own_labels if split == "train" else images.answered_labels
        unit = "image" if split == "train" or dataset.cases is None else "case"
        counts = members_of(labels, len(dataset.class_names)).sum(axis=0)
        missing = [
            f"{name}{_of_one_patient(dataset, label)}"
            for label, name in enumerate(dataset.class_names)
            if not counts[label]
        ]
        if missing:
            purpose = "trained" if split == "train" else "measured"
            raise DataError(
                f"{dataset.source}: split '{split}' has no {unit} of {first_names(missing)}, so no model can be "
                f"{purpose} on it: make other splits or folds, or, of files, leave such a class out (`labels: "
                "{min_count: N}`) or merge it with another (`labels: {merge: ..}`)"
            )


def _of_one_patient(dataset: ImageDataset, label: int) -> str:
    """Return in brackets that all images of a class are of one patient, where that is so."""
    of_class = members_of(dataset.labels, len(dataset.class_names))[:, label]
    if dataset.groups is None or len(set(dataset.groups[of_class].tolist())) != 1:
        return ""
    return " (all its images are of one patient)"


@contextlib.contextmanager
def _keys_within(key: str) -> Iterator[None]:
    try:
        yield
    except MedrayError as error:
        raise error.within(key=key) from None


@contextlib.contextmanager
def _at(key: str) -> Iterator[None]:
    """Give a ConfigError that is raised inside this key, and no other."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(error.problem, key=key) from None


def _transformed(space: SearchSpace, shape: Shape) -> list[tuple[str, Shape]]:
    """Return each pipeline's name with the shapes of the images that it gets in trainings.

    Images are shrunk before a pipeline, and enlarged behind it.
    """
    found: dict[tuple[str, Shape], None] = {}
    for _, settings in combinations(space, ("transforms", "image_size")):
        size = settings.get("image_size")
        shrunk = size is not None and size < max(shape[:2])
        found[settings.get("transforms", "none"), sized_shape(shape, size) if shrunk else shape] = None
    used = {name for name, _ in found}
    return [*found, *((name, shape) for name in space.transforms if name not in used)]


def _check_size(space: SearchSpace, section: str, settings: Mapping[str, Any], dataset: ImageDataset) -> None:
    """Check that a backbone takes the images at their size or at the one that `settings` give them."""
    config = TrainConfig.from_dict({n: settings[n] for n in ("backbone", "image_size") if n in settings})
    name = "backbone" if config.image_size is None else "image_size"
    keys = [key for key, value in space.values_of(name) if value == settings.get(name)]
    with _at(next((key for key in keys if key.startswith(section)), next(iter(keys), f"{section}.{name}"))):
        if config.backbone in MODELS or config.backbone in TORCHVISION:
            build_network(config, dataset.shape, len(dataset.class_names))
        else:
            check_timm_size(config.backbone, dataset.shape, config.image_size)

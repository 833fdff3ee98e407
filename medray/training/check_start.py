"""Check before any training the weights that trainings start from, and that they can freeze what they freeze."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from medray.config import LAST, LBFGS, TrainConfig
from medray.data.dataset import ImageDataset
from medray.errors import ConfigError, MedrayError, WeightsError
from medray.space.combinations import combinations
from medray.space.search_space import SearchSpace
from medray.stats.case_rule import ATTENTION
from medray.training.linear import last_layer
from medray.training.models import MODELS, TORCHVISION, Network, build_network, parts_of
from medray.training.stages import Freezer, stages_of
from medray.weights import weights_file

#: Settings that say which network a training builds, and with which weights.
START_SETTINGS = ("backbone", "image_size", "weights", "pretrained", "pooling", "head_width")
#: Settings that say which part of it stays as it is.
KEPT_SETTINGS = ("freeze_epochs", "trainable_blocks", "freeze_norms", "optimizer")


def check_starts(space: SearchSpace, dataset: ImageDataset) -> None:
    """Build each network of `space` once, with its weights where they come from a file.

    Raises:
        ConfigError: a training would freeze random weights, or more blocks than there are, or asks a backbone for
            a head that it does not have; the key is named.
        WeightsError: a weights file is missing, damaged, a pickle or of another network; the key is named.
    """
    starts = _Starts(dataset)
    for section, settings in combinations(space, (*START_SETTINGS, *KEPT_SETTINGS)):
        try:
            starts.check(settings)
        except MedrayError as error:
            raise error.within(key=_section_of(error.key, section, space)) from None


def _section_of(key: str | None, section: str, space: SearchSpace) -> str:
    """Return where a setting stands that a combination of `section` has: there, or among the fixed ones."""
    if section == "space":
        own = {parameter.name for parameter in space.parameters}
    else:
        own = set(space.baselines[section.removeprefix("baselines.")].settings)
    return "fixed" if key in space.fixed and key not in own else section


class _Starts:
    """Checks trainings of a data set by the network that they build, each network and what it keeps once."""

    def __init__(self, dataset: ImageDataset) -> None:
        self.dataset = dataset
        self.networks: dict[tuple[object, ...], Network | None] = {}
        self.checked: set[tuple[object, ...]] = set()

    def check(self, settings: Mapping[str, Any]) -> None:
        """Check one training."""
        config = TrainConfig.from_dict({name: settings[name] for name in START_SETTINGS if name in settings})
        file, blocks = weights_file(config), settings.get("trainable_blocks")
        if file is None and not config.pretrained:
            _check_nothing_kept(settings)
        fits_head = settings.get("optimizer") == LBFGS
        own = config.backbone in MODELS or config.backbone in TORCHVISION
        of_head = config.pooling != LAST or config.head_width is not None or _attends(self.dataset)
        if file is None and not (own or blocks or fits_head or of_head):
            return  # nothing that a timm network could refuse
        # Of a network of timm the same weights go with all sizes that it takes.
        size = config.image_size if own else None
        start = config.backbone, file, config.pretrained, config.pooling, config.head_width is None, size
        if (*start, blocks, fits_head) in self.checked:
            return
        if start not in self.networks:
            self.networks[start] = _build(config, self.dataset, in_memory=own or file is not None)
            if (built := self.networks[start]) is not None and _attends(self.dataset):
                built.attend()  # raises where it has no dense last layer
        if (network := self.networks[start]) is not None:
            parts_of(network.get_submodule("backbone")).frozen(blocks)  # raises where there are fewer blocks
            if fits_head:
                frozen = stages_of(replace(config, trainable_blocks=0))
                Freezer(network, frozen).enter(frozen[0])
                last_layer(network)
        self.checked.add((*start, blocks, fits_head))


def _check_nothing_kept(settings: Mapping[str, Any]) -> None:
    """Check that a training from random weights does not keep any."""
    frozen = "freeze_epochs" if settings.get("freeze_epochs") else "trainable_blocks"
    if settings.get(frozen) is not None:
        raise ConfigError(
            "frozen layers would keep random weights; give `pretrained: true` or `weights`", key=frozen
        )
    if settings.get("freeze_norms"):
        raise ConfigError(
            "there are no statistics to keep in random weights; give `pretrained: true` or `weights`",
            key="freeze_norms",
        )


def _attends(dataset: ImageDataset) -> bool:
    """Return whether networks give each image a score, by which it weighs in the answer to its case."""
    return dataset.cases is not None and dataset.cases.rule.answer == ATTENTION


def _build(config: TrainConfig, dataset: ImageDataset, *, in_memory: bool) -> Network | None:
    """Return the network that a training builds; None of one that can't be tried before.

    One that is not built `in_memory` has no weights: what the hub of timm gives is not asked for here.
    """
    classes = len(dataset.class_names)
    if in_memory:
        try:
            return build_network(config, dataset.shape, classes)
        except WeightsError as error:  # names `weights` also where the file is that of $MEDRAY_WEIGHTS
            raise WeightsError(error.problem, key="pretrained" if config.pretrained else "weights") from None
    try:
        with torch.device("meta"):
            return build_network(replace(config, pretrained=False), dataset.shape, classes)
    except ConfigError as error:
        if error.key in ("pooling", "head_width"):
            raise
    except Exception:  # some models compute with their own weights as they are built
        pass
    return None

"""Licences of published weights, as timm states them; whoever uses the weights is bound by them."""

import re

from medray.config import TrainConfig
from medray.training.models.backbone_names import TORCHVISION, import_timm
from medray.training.models.small import MODELS

NOT_STATED = "not stated"
NOT_KNOWN = "not known"  # of a file
# Creative Commons' NC, Meta's FAIR and Apple's AMLR allow no commercial use.
_NON_COMMERCIAL = re.compile(r"\bnc\b|non-?commercial|\bamlr\b")


def weights_licence(config: TrainConfig) -> str | None:
    """Return the licence of the weights that a training starts from; None of one that starts from random ones.

    Of a file that the settings name it is not known.

    >>> weights_licence(TrainConfig(backbone="resnet18", pretrained=True))
    'apache-2.0'
    """
    if config.weights is not None:
        return NOT_KNOWN
    if not config.pretrained:
        return None
    if config.backbone in MODELS or config.backbone in TORCHVISION:
        return NOT_STATED
    published = import_timm().get_pretrained_cfg(config.backbone)
    stated: str | None = None if published is None else published.license
    return NOT_STATED if stated in (None, "unknown") else stated


def forbids_commerce(licence: str) -> bool:
    """Return whether a licence is known to allow no commercial use.

    >>> forbids_commerce("cc-by-nc-4.0"), forbids_commerce("mit")
    (True, False)
    """
    return _NON_COMMERCIAL.search(licence.lower()) is not None

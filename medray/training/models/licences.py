"""Licences of published weights, as timm states them; whoever uses the weights is bound by them."""

import re

from medray.config import TrainConfig
from medray.training.models.backbone_names import TORCHVISION, import_timm
from medray.training.models.small import MODELS

NOT_STATED = "not stated"
# Creative Commons' NC, Meta's FAIR and Apple's AMLR allow no commercial use.
_NON_COMMERCIAL = re.compile(r"\bnc\b|non-?commercial|\bamlr\b")


def weights_licence(config: TrainConfig) -> str | None:
    """Return the licence of the published weights that a training starts from; None of one that starts otherwise.

    Of a file that the settings name nothing is known.

    >>> weights_licence(TrainConfig(backbone="resnet18", pretrained=True))
    'apache-2.0'
    """
    if not config.pretrained or config.backbone in MODELS or config.backbone in TORCHVISION:
        return None
    published = import_timm().get_pretrained_cfg(config.backbone)
    stated: str | None = None if published is None else published.license
    return NOT_STATED if stated in (None, "unknown") else stated


def forbids_commerce(licence: str) -> bool:
    """Return whether a licence is known to allow no commercial use.

    >>> forbids_commerce("cc-by-nc-4.0"), forbids_commerce("mit")
    (True, False)
    """
    return _NON_COMMERCIAL.search(licence.lower()) is not None

"""Published weights that a study can start from: those in $MEDRAY_WEIGHTS, or of timm's hub where it answers."""

import os
from pathlib import Path

from medray.weights import FOLDER, hub_answers

#: From the hub. The first is what the ladder was measured with (`benchmarks/portfolio.py`).
FROM_HUB = ("tf_efficientnet_lite0", "resnet18")
MOST = 4  # of a folder


def find_published() -> tuple[str, ...]:
    """Return the backbones whose published weights are at hand, () where there are none."""
    folder = os.environ.get(FOLDER)
    if folder:
        names = sorted(path.stem for path in Path(folder).glob("*.safetensors"))
        return tuple(name for name in names if _is_model(name))[:MOST]
    return FROM_HUB if hub_answers() else ()


def _is_model(name: str) -> bool:
    if name in FROM_HUB:  # timm's import takes seconds
        return True
    from medray.training.models.backbone_names import import_timm

    return bool(import_timm().is_model(name))

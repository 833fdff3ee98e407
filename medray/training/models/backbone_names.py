"""The names of backbones: medray's, timm's and torchvision's, with one spelling each.

A stored config names its network without a table of aliases, so another spelling is refused, with the right one:
EfficientNet-B0 with efficientnet_b0, AlexNet with torchvision:alexnet.
"""

import re
from typing import Any

from medray.errors import ConfigError, MedrayError, nearest, one_line
from medray.training.models.small import MODELS

#: Backbones that timm lacks.
TORCHVISION = ("torchvision:alexnet",)


def import_timm() -> Any:
    """Import timm, and torchvision with it.

    Raises:
        MedrayError: torch and torchvision are of different builds.
    """
    try:
        import timm
    except (RuntimeError, ImportError, OSError) as error:
        from importlib.metadata import version

        raise MedrayError(
            f"torch {version('torch')} and torchvision {version('torchvision')} do not work together "
            f"({one_line(error)}): install both from the same index, e.g. "
            "`uv pip install --reinstall torch torchvision`"
        ) from None
    return timm


def check_backbone(name: str) -> None:
    """Check that a backbone exists.

    Raises:
        ConfigError: it does not; the line names the nearest.
    """
    if name in MODELS or name in TORCHVISION:
        return
    timm = import_timm()
    renamed = timm.models.get_deprecated_models()
    if timm.is_model(name) and timm.models.get_arch_name(name) not in renamed:
        return
    names = timm.list_models()
    hint = _nearest(name, [*MODELS, *TORCHVISION, *names], renamed)
    beside_timm = ", ".join([*MODELS, *TORCHVISION])
    raise ConfigError(
        f"unknown backbone '{name}'{hint}; valid: {beside_timm}, or one of timm's {len(names):,} models"
    )


def _nearest(name: str, names: list[str], renamed: dict[str, str | None]) -> str:
    """Return a hint at the name of the same letters and digits, however separated, or else at the nearest."""
    same = {_letters(old): new for old, new in renamed.items() if new}
    same |= {_letters(valid.rpartition(":")[2]): valid for valid in names}
    right = same.get(_letters(name.rpartition(":")[2]))
    return f" (did you mean '{right}'?)" if right else nearest(name, names)


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9.]", "", name.lower())

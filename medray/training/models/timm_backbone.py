"""A timm model as a backbone, built for images of a shape, and the check that it takes them.

Models that have a fixed size by timm's own account (transformers, with a position embedding for each patch) are
built for the images' size; timm resamples published embeddings to it. Convolutions take any size that is not too
small.
"""

import sys
from functools import cache
from typing import Any

import torch
from torch import nn

from medray._types import Shape
from medray.config import LARGEST_SIDE, TrainConfig
from medray.data.resampling import sized_shape
from medray.errors import ConfigError, one_line
from medray.training.models.backbone_names import TORCHVISION, import_timm
from medray.training.models.pretrained import Fit
from medray.training.models.small import MODELS
from medray.weights import skip_hub_retries, weights_not_found

STEP = 32  # pixels; nearly all models of unknown patches take sizes that are multiples of it
TRIES = 6  # sizes in each direction


def timm_backbone(config: TrainConfig, shape: Shape, classes: int, *, from_hub: bool) -> nn.Module:
    """Build a timm model for images of `shape` (H, W, C), from timm's hub if `from_hub`.

    Raises:
        ConfigError: it can't be built for such images.
        WeightsError: the hub does not give its weights.
    """
    if from_hub:
        skip_hub_retries()
    try:
        model = _create(config.backbone, shape, classes, pretrained=from_hub, drop_rate=config.dropout)
    except Exception as error:  # the hub, the file system and the network each raise types of their own
        if not from_hub:
            raise ConfigError(f"{config.backbone} can't be built: {one_line(error)}", key="backbone") from error
        reason = f"timm's hub does not give them ({type(error).__name__}: {one_line(error, 120)})"
        raise weights_not_found(config.backbone, reason) from error
    if problem := _patch_problem(model, shape):
        raise ConfigError(
            f"{config.backbone} does not take images of {shape[0]}×{shape[1]}: {problem}", key="image_size"
        )
    return model


def _create(name: str, shape: Shape, classes: int, **more: Any) -> nn.Module:
    timm = import_timm()
    published = timm.get_pretrained_cfg(name)
    if published is not None and published.fixed_input_size:
        more["img_size"] = shape[:2]
    model: nn.Module = timm.create_model(name, in_chans=shape[2], num_classes=classes, **more)
    return model


def timm_fit(name: str) -> Fit | None:
    """Return timm's function that makes tensors fit a model, as for those of the hub; None where there is none."""
    if name in MODELS or name in TORCHVISION:
        return None
    family = sys.modules[import_timm().models.model_entrypoint(name).__module__]
    fit: Fit | None = getattr(family, "checkpoint_filter_fn", None)
    return fit


def _patch_problem(model: nn.Module, shape: Shape) -> str | None:
    """Return that a model would leave out pixels at the border, since its patches do not divide the image."""
    patch = _patch(model)
    if shape[0] % patch[0] == shape[1] % patch[1] == 0:
        return None
    return f"that is no multiple of its patches of {patch[0]}×{patch[1]}"


def _patch(model: nn.Module) -> tuple[int, int]:
    """Return the height and width of the patches that a model cuts images into; (1, 1) of one without."""
    embedding = getattr(model, "patch_embed", None)
    layers = embedding.modules() if isinstance(embedding, nn.Module) else ()
    first: Any = next((layer for layer in layers if isinstance(layer, nn.Conv2d)), None)
    if first is None or first.kernel_size != first.stride or first.padding != (0, 0):  # patches may overlap
        return 1, 1
    height, width = first.stride
    return height, width


def check_timm_size(name: str, shape: Shape, image_size: int | None) -> None:
    """Check that a timm model takes images of `shape` at this `image_size`; it costs no memory and no pixels.

    A model passes that can't be tried in this way, not even at the size that it was published for.

    Raises:
        ConfigError: it does not; the line names the nearest sizes that it takes.
    """
    size = sized_shape(shape, image_size)
    if (problem := _problem(name, size)) is None:
        return
    published = import_timm().get_pretrained_cfg(name)
    native = (224, 224, shape[2]) if published is None else (*published.input_size[1:], shape[2])
    if _problem(name, native) is not None:
        return
    asked = image_size or max(shape[:2])
    nearest = [
        next((side for side in sides if _problem(name, sized_shape(shape, side)) is None), None)
        for sides in _candidates(name, native, shape, asked)
    ]
    sizes = " and ".join(str(side) for side in nearest if side is not None)
    hint = f"the nearest `image_size` that it takes: {sizes}" if sizes else "nor of any `image_size` near it"
    raise ConfigError(f"{name} does not take images of {size[0]}×{size[1]}: {problem}; {hint}", key="image_size")


def _candidates(name: str, native: Shape, shape: Shape, asked: int) -> tuple[list[int], list[int]]:
    """Return the values of `image_size` below and above `asked` that a model may well take, the nearest first."""
    with torch.device("meta"):
        height, width = _patch(_create(name, native, 2))
    in_patches = [
        side
        for side in range(1, LARGEST_SIDE + 1)
        for h, w, _ in [sized_shape(shape, side)]
        if h % height == w % width == 0 and (height > 1 or side % STEP == 0 or side == native[0])
    ]
    below = [side for side in reversed(in_patches) if side < asked]
    return below[:TRIES], [side for side in in_patches if side > asked][:TRIES]


@cache
def _problem(name: str, shape: Shape) -> str | None:
    """Return why a model takes no images of the shape, None if it does: built and run without memory."""
    try:
        with torch.device("meta"), torch.no_grad():
            model = _create(name, shape, 2).eval()
            problem = _patch_problem(model, shape)
            if problem is None:
                model(torch.empty(1, shape[2], *shape[:2]))
    except Exception as error:  # each model has its own way to refuse a size
        return one_line(error, 80)
    return problem

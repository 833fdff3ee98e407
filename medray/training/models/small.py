"""MODELS: medray's own networks, small ones from reports and papers.

Each is a `torch.nn.Sequential`: convolution stages, then `Flatten` and dense layers. Where a report's rate of
dropout differs from layer to layer, `TrainConfig.dropout` is used in all of them.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from medray._types import Shape
from medray.errors import ConfigError


def _flat(shape: Shape, features: int, poolings: int, lost: int = 0) -> int:
    """Return the inputs of the first dense layer: the pixels left after `poolings`, times `features`.

    Before each 2×2 pooling, convolutions take `lost` pixels off both height and width.

    Raises:
        ConfigError: nothing would be left of an image.
    """
    height, width, _ = shape
    least = 1
    for _ in range(poolings):
        least = 2 * least + lost
    if min(height, width) < least:
        raise ConfigError(
            f"images of {height}×{width} are too small for {poolings} poolings; {least}×{least} is least",
            key="backbone",
        )
    for _ in range(poolings):
        height, width = (height - lost) // 2, (width - lost) // 2
    return height * width * features


def _convolution(before: int, after: int, kernel: int, *, normalised: bool) -> list[nn.Module]:
    """Return a convolution that keeps height and width, BatchNorm if `normalised`, and ReLU."""
    convolution = nn.Conv2d(before, after, kernel, padding=kernel // 2)
    return [convolution, *([nn.BatchNorm2d(after)] if normalised else []), nn.ReLU()]


def _dense(inputs: int, outputs: int, dropout: float, *, normalised: bool) -> list[nn.Module]:
    """Return a dense layer, BatchNorm if `normalised`, ReLU and dropout."""
    norm = [nn.BatchNorm1d(outputs)] if normalised else []
    return [nn.Linear(inputs, outputs), *norm, nn.ReLU(), nn.Dropout(dropout)]


def lenet5(shape: Shape, classes: int, dropout: float) -> nn.Module:
    """LeCun et al. 1998 in the form of seed report 001, `base`: 3×3 kernels, 106,239 parameters for organs."""
    return _lenet5(shape, classes, dropout, kernel=3, features=(6, 16), widths=(120, 84), normalised=False)


def lenet5_wide(shape: Shape, classes: int, dropout: float) -> nn.Module:
    """Report 001's `big`: four times the channels, 5×5 kernels; 1,662,939 parameters for organs."""
    return _lenet5(shape, classes, dropout, kernel=5, features=(24, 64), widths=(480, 240), normalised=False)


def lenet5_wide_bn(shape: Shape, classes: int, dropout: float) -> nn.Module:
    """Report 001's `batch_norm`: 1,664,555 parameters for organs.

    The report says that the layers before a normalisation lost their bias; its count says that they kept it.
    """
    return _lenet5(shape, classes, dropout, kernel=5, features=(24, 64), widths=(480, 240), normalised=True)


def _lenet5(
    shape: Shape, classes: int, dropout: float, *, kernel: int, features: tuple[int, int], widths: tuple[int, int],
    normalised: bool,
) -> nn.Module:  # fmt: skip
    """Build two convolutions of `features` channels, each with a pooling, and two dense layers of `widths`."""
    first, second = features
    return nn.Sequential(
        *_convolution(shape[2], first, kernel, normalised=normalised),
        nn.MaxPool2d(2),
        *_convolution(first, second, kernel, normalised=normalised),
        nn.MaxPool2d(2),
        nn.Flatten(),
        *_dense(_flat(shape, second, 2), widths[0], dropout, normalised=normalised),
        *_dense(*widths, dropout, normalised=normalised),
        nn.Linear(widths[1], classes),
    )


def cnn4_64(shape: Shape, classes: int, dropout: float) -> nn.Module:
    """Four 3×3 convolutions of 64 without padding, and a dense layer of 64: report 002, figure 6.

    914,434 parameters for two classes of grey 256×256. The report drops 25 % after each convolution and 35 %
    before the last layer.
    """
    layers: list[nn.Module] = []
    for before in (shape[2], 64, 64, 64):
        layers += [nn.Conv2d(before, 64, 3), nn.ReLU(), nn.Dropout(dropout), nn.MaxPool2d(2)]
    inputs = _flat(shape, 64, 4, lost=2)
    dense = [nn.Linear(inputs, 64), nn.ReLU(), nn.Dropout(dropout), nn.Linear(64, classes)]
    return nn.Sequential(*layers, nn.Flatten(), *dense)


def cnn4_128(shape: Shape, classes: int, dropout: float) -> nn.Module:
    """Four 3×3 convolutions of 32, 64, 128 and 128 without padding, and a dense layer of 512: report 003.

    3,454,660 parameters for its four classes of 150×150 in colour. The report gives the ends, 148×148×32 and
    7×7×128, and a dropout of 40 %; what lies between is Chollet's (Deep Learning with R, 5.2), which ends so.
    """
    layers: list[nn.Module] = []
    for before, after in ((shape[2], 32), (32, 64), (64, 128), (128, 128)):
        layers += [nn.Conv2d(before, after, 3), nn.ReLU(), nn.MaxPool2d(2)]
    inputs = _flat(shape, 128, 4, lost=2)
    dense = [nn.Dropout(dropout), nn.Linear(inputs, 512), nn.ReLU(), nn.Linear(512, classes)]
    return nn.Sequential(*layers, nn.Flatten(), *dense)


def cnn5(shape: Shape, classes: int, dropout: float) -> nn.Module:
    """Five 3×3 convolutions, each with ReLU and pooling, and dense layers with dropout: report 004's CustomNet.

    The report gives no widths; these double from 16 to 256, then 256 and 128 dense.
    """
    return _five_stages(shape, classes, dropout, convolutions=1, normalised=False)


def cnn10_bn(shape: Shape, classes: int, dropout: float) -> nn.Module:
    """Report 004's deeper CustomNet, with batch normalisation after each layer.

    The report says "more convolutions" and no number; here each of the five stages has two.
    """
    return _five_stages(shape, classes, dropout, convolutions=2, normalised=True)


def _five_stages(shape: Shape, classes: int, dropout: float, *, convolutions: int, normalised: bool) -> nn.Module:
    layers: list[nn.Module] = []
    before = shape[2]
    for after in (16, 32, 64, 128, 256):
        for inputs in (before, *[after] * (convolutions - 1)):
            layers += _convolution(inputs, after, 3, normalised=normalised)
        layers.append(nn.MaxPool2d(2))
        before = after
    layers.append(nn.Flatten())
    for inputs, outputs in ((_flat(shape, 256, 5), 256), (256, 128)):
        layers += _dense(inputs, outputs, dropout, normalised=normalised)
    return nn.Sequential(*layers, nn.Linear(128, classes))


class _Residual(nn.Module):
    """Two 3×3 convolutions beside an identity (He et al. 2015, option B where the shape changes)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.skip: nn.Module = nn.Identity()
        if before != after or stride != 1:
            self.skip = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.skip(x))


def _resnet_small(blocks: int) -> "Builder":
    def build(shape: Shape, classes: int, dropout: float) -> nn.Module:
        layers: list[nn.Module] = [
            nn.Conv2d(shape[2], 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
        ]
        for before, after in ((16, 16), (16, 32), (32, 64)):
            layers.append(_Residual(before, after, 1 if before == after else 2))
            layers.extend(_Residual(after, after, 1) for _ in range(blocks - 1))
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(64, classes)]
        return nn.Sequential(*layers, *head)

    build.__doc__ = f"ResNet-{6 * blocks + 2} for small images (He et al. 2015, section 4.2)."
    return build


Builder = Callable[[Shape, int, float], nn.Module]
#: medray's own networks: name -> builder(shape, classes, dropout). All others come from timm and torchvision.
MODELS: dict[str, Builder] = {
    "lenet5": lenet5,
    "lenet5_wide": lenet5_wide,
    "lenet5_wide_bn": lenet5_wide_bn,
    "cnn4_64": cnn4_64,
    "cnn4_128": cnn4_128,
    "cnn5": cnn5,
    "cnn10_bn": cnn10_bn,
    "resnet8_small": _resnet_small(1),
    "resnet20_small": _resnet_small(3),
}

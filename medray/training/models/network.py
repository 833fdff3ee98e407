"""Network: a backbone that first normalises, by the statistics of images; built from a TrainConfig."""

from typing import Any

import torch
from torch import Tensor, nn

from medray._types import Array, Shape
from medray.config import LAST, MIRRORED, TrainConfig
from medray.data.resampling import Size, sized_shape
from medray.errors import ConfigError
from medray.tasks import SEVERAL
from medray.training.models.attention import attend, attending_layer
from medray.training.models.backbone_names import TORCHVISION, check_backbone, import_timm
from medray.training.models.blocks import classifier_names, widen_head
from medray.training.models.links import LINKS, Corn, Cumulative, Link
from medray.training.models.pretrained import Loaded, load_backbone
from medray.training.models.resize import Resize
from medray.training.models.small import MODELS
from medray.training.models.stage_pooling import StagePooling
from medray.training.models.timm_backbone import timm_backbone, timm_fit
from medray.weights import weights_file, weights_not_found

Statistics = tuple[Tensor, Tensor]  # mean and deviation of each channel, in [0, 1]
SMALL_WEIGHT = 0.01  # the deviation of a last layer's first weights
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # in RGB


class Normalise(nn.Module):
    """Subtracts a mean and divides by a deviation, channel by channel.

    They are those that published weights were trained with, which is then `given`, or else the training images'.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.reshape(1, -1, 1, 1))
        self.register_buffer("std", std.reshape(1, -1, 1, 1))
        self.given = False

    @torch.no_grad()
    def take(self, mean: Tensor, std: Tensor) -> None:
        """Take a mean and a deviation (C,) in [0, 1]; grey images take the means of three colours.

        Their first convolution is the sum over the colours.
        """
        channels = self.mean.shape[1]
        mean, std = (own if len(own) == channels else own.mean().expand(channels) for own in (mean, std))
        self.mean.copy_(mean.reshape(1, -1, 1, 1))
        self.std.copy_(std.reshape(1, -1, 1, 1))

    def give(self, statistics: Statistics | None) -> None:
        """Take the statistics that the starting weights were trained with, if they are known, to keep them."""
        if statistics is not None:
            self.take(*statistics)
            self.given = True

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (n, C, H, W)."""
        return (x - self.mean) / self.std


class Network(nn.Sequential):
    """Normalisation, backbone, and for ordered grades the link that makes log-probabilities of its outputs.

    One that sees images at a size of its own begins with `resize`.

    With `label_sets` an image may have several labels, or none: each output is a label's log-odds. One that
    `attends` gives each image a score, too, by which it weighs in the answer to its case. `head_given` says that
    the weights that it starts from have a last layer for these classes.
    """

    def __init__(
        self, normalise: Normalise, backbone: nn.Module, link: Link | None = None, *, label_sets: bool = False,
        resize: Resize | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.label_sets, self.attends, self.head_given = label_sets, False, False
        if resize is not None:
            self.add_module("resize", resize)
        self.add_module("normalise", normalise)
        self.add_module("backbone", backbone)
        if link is not None:
            self.add_module("link", link)

    def attend(self) -> None:
        """Give images a score, 0 until attention has learned; the trained weights keep their names.

        Raises:
            ConfigError: the backbone has no dense last layer.
        """
        attend(self.get_submodule("backbone"))
        self.attends = True

    def forward(self, input: Tensor) -> Tensor:
        """Return the logits (n, classes) of images (n, C, H, W) in [0, 1], or a link's log-probabilities."""
        return self.logits_and_scores(input)[0]

    def logits_and_scores(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the logits (n, classes), and the scores (n,) of a network that attends."""
        resize = self._modules.get("resize")
        images = images if resize is None else resize(images)
        outputs = self.get_submodule("backbone")(self.get_submodule("normalise")(images))
        scores = outputs[:, -1].float() if self.attends else None
        logits = outputs[:, :-1] if self.attends else outputs
        link = self._modules.get("link")
        return logits if link is None else link(logits), scores

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return the probabilities (n, classes) of outputs: their softmax, or of label sets the sigmoid."""
        return logits.sigmoid() if self.label_sets else logits.softmax(dim=1)

    @torch.no_grad()
    def start(self, mean: Tensor, std: Tensor, shares: Tensor) -> None:
        """Take the training images' mean and deviation (C,), unless given, and each class's share (classes,)."""
        normalise, link = self._modules["normalise"], self._modules.get("link")
        assert isinstance(normalise, Normalise)
        if not normalise.given:
            normalise.take(mean, std)
        if isinstance(link, Cumulative | Corn):
            link.start(shares)

    def input_size(self, given: Size) -> Size:
        """Return the size (h, w) at which the backbone sees images that are `given` as (H, W)."""
        resize = self._modules.get("resize")
        return resize.size if isinstance(resize, Resize) else given

    def parameter_count(self) -> int:
        """Number of parameters, frozen ones and those of attention too."""
        layer = attending_layer(self)
        attention = [] if layer is None else layer.attention.buffers()
        return sum(p.numel() for p in (*self.parameters(), *attention))


def channel_statistics(images: Array, positions: Array, limit: int = 2048) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each channel, in [0, 1], of at most `limit` evenly spaced images."""
    step = max(1, -(-len(positions) // limit))
    pixels = images[positions[::step]].reshape(-1, images.shape[3])
    counts = torch.stack([torch.bincount(torch.from_numpy(c), minlength=256) for c in pixels.T.copy()])
    levels = torch.arange(256, dtype=torch.float64) / 255
    shares = counts / counts.sum(dim=1, keepdim=True)
    mean = (shares * levels).sum(dim=1)
    variance = (shares * (levels - mean[:, None]) ** 2).sum(dim=1)
    return mean.float(), variance.sqrt().clamp_min(1e-3).float()


def published_statistics(backbone: str) -> Statistics | None:
    """Return mean and deviation (3,) of the images that a backbone's published weights were trained on.

    None for medray's own networks, of which none are published.
    """
    if backbone in MODELS:
        return None
    published = None if backbone in TORCHVISION else import_timm().models.get_pretrained_cfg(backbone)
    mean, std = (published.mean, published.std) if published is not None else (IMAGENET_MEAN, IMAGENET_STD)
    return torch.tensor(mean), torch.tensor(std)


def build_network(config: TrainConfig, shape: Shape, classes: int) -> Network:
    """Build the network of `config` for images of `shape` (H, W, C), with its starting weights.

    With `image_size` its first layer gives images that size, for which the backbone is built.

    Raises:
        ConfigError: the backbone is unknown or does not take such images.
        WeightsError: pre-trained weights are not available, or a weights file does not fit.
    """
    given, shape = shape, sized_shape(shape, config.image_size)
    channels = shape[2]
    normalise = Normalise(torch.zeros(channels), torch.ones(channels))
    check_backbone(config.backbone)
    file = weights_file(config)
    link = LINKS[config.loss](classes) if config.loss in LINKS else None
    outputs = link.outputs if link is not None else classes
    backbone = _backbone(config, shape, outputs, from_hub=config.pretrained and file is None)
    loaded = Loaded(None, head=False)
    if file is not None:
        loaded = load_backbone(backbone, file, classifier_names(backbone), timm_fit(config.backbone))
    if config.pretrained or file is not None:
        normalise.give(loaded.statistics or published_statistics(config.backbone))
    if config.pooling != LAST:
        image, mirrored = torch.zeros(1, channels, *shape[:2]), config.pooling == MIRRORED
        backbone = StagePooling(backbone, image, outputs, config.dropout, mirrored=mirrored)
    if config.head_width is not None:
        widen_head(backbone, config.head_width, config.dropout)
    resize = None if config.image_size is None else Resize(given[:2], shape[:2])
    network = Network(normalise, backbone, link, label_sets=config.task == SEVERAL.name, resize=resize)
    network.head_given = loaded.head and config.pooling == LAST
    return network


def _backbone(config: TrainConfig, shape: Shape, classes: int, *, from_hub: bool) -> nn.Module:
    if config.backbone in MODELS:
        if from_hub:
            raise weights_not_found(config.backbone, f"there are no published weights of {config.backbone}")
        return MODELS[config.backbone](shape, classes, config.dropout)
    if config.backbone in TORCHVISION:
        if from_hub:
            raise weights_not_found(
                config.backbone, "torchvision publishes them as a pickle, which medray does not read"
            )
        backbone = _alexnet(shape, classes, config.dropout)
    else:
        backbone = timm_backbone(config, shape, classes, from_hub=from_hub)
    _start_small(backbone)
    return backbone


@torch.no_grad()
def _start_small(backbone: nn.Module) -> None:
    """Give the last layers of a published architecture small random weights.

    timm draws some as for a thousand classes: of an EfficientNet with two the first loss is 6, not 0.7.
    """
    for name in classifier_names(backbone):
        for module in backbone.get_submodule(name).modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                module.weight.normal_(0.0, SMALL_WEIGHT)
                if module.bias is not None:
                    module.bias.zero_()


def _alexnet(shape: Shape, classes: int, dropout: float) -> nn.Module:
    """Krizhevsky 2014, "One weird trick", as torchvision has it."""
    import_timm()  # its error is clearer where torch and torchvision do not fit
    from torchvision.models import alexnet

    height, width, channels = shape
    if min(height, width) < 63:
        raise ConfigError(f"images of {height}×{width} are too small for AlexNet; 63×63 is least", key="backbone")
    model: Any = alexnet(num_classes=classes, dropout=dropout)
    if channels != 3:
        model.features[0] = nn.Conv2d(channels, 64, kernel_size=11, stride=4, padding=2)
    backbone: nn.Module = model
    return backbone

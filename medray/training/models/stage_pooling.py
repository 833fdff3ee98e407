"""StagePooling: a timm network whose head sees the mean of every stage, and not of the last one alone.

Early stages hold textures that the last one has lost. On frozen networks a linear head is better for it on all of
the five sets that were measured (docs/performance.md).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medray.errors import ConfigError

MOST_STAGES, LAST_STAGES = 6, 4  # a vision transformer's blocks are many and alike: its last ones are taken


class Standardise(nn.Module):
    """Subtracts a mean, multiplies by a scale and clips to ±`limit`; at first it changes nothing.

    Without the limit a feature that is dead in nearly all training images can be thousands of deviations off in
    another one.
    """

    mean: Tensor
    scale: Tensor
    limit: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.register_buffer("limit", torch.tensor(torch.finfo(torch.float32).max))

    def forward(self, features: Tensor) -> Tensor:
        """Standardise (n, features)."""
        return ((features - self.mean) * self.scale).clamp(-self.limit, self.limit)

    @torch.no_grad()
    def take(self, mean: Tensor, scale: Tensor, limit: float) -> None:
        """Take the mean and the scale (features,), and the limit of what comes out."""
        self.mean.copy_(mean)
        self.scale.copy_(scale)
        self.limit.fill_(limit)


class StagePooling(nn.Module):
    """A timm `model`, and a dense head on the means of its stages and its own pooled features.

    A `mirrored` one takes the mean of the features of each image and of its mirror image.
    """

    def __init__(self, model: Any, images: Tensor, classes: int, dropout: float, *, mirrored: bool) -> None:
        """Take a timm model; `images` (n, C, H, W) show how many features it gives.

        Raises:
            ConfigError: it does not give its stages.
        """
        super().__init__()
        if not hasattr(model, "forward_intermediates"):
            raise ConfigError(
                "the backbone does not give its stages; `pooling: last` works with all", key="pooling"
            )
        model.reset_classifier(0)
        self.model, self.dropout, self.mirrored = model, dropout, mirrored
        self.indices: int | None = None
        was_training = model.training
        with torch.no_grad():
            model.eval()
            if len(model.forward_intermediates(images)[1]) > MOST_STAGES:
                self.indices = LAST_STAGES
            features = self.pooled(*self.stages(images)).shape[1]
        model.train(was_training)
        self.head = nn.Sequential(Standardise(features), nn.Linear(features, classes))

    def extra_repr(self) -> str:
        """Return what its features depend on besides its tensors."""
        return f"indices={self.indices}, mirrored={self.mirrored}"

    def get_classifier(self) -> nn.Module:
        """Return what computes the logits."""
        return self.head

    def stages(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the model's last features and each stage's maps (n, channels, h, w).

        Of a mirrored one they are those of the images, and behind them those of the mirror images.
        """
        both = torch.cat([images, images.flip(3)]) if self.mirrored else images
        last, stages = self.model.forward_intermediates(both, indices=self.indices)
        return last, stages

    def pooled(self, last: Tensor, stages: Sequence[Tensor]) -> Tensor:
        """Return the means of the stages, and the model's own pooled features, (n, features)."""
        own = self.model.forward_head(last, pre_logits=True)
        features = torch.cat([*(stage.mean(dim=(2, 3)) for stage in stages), own], dim=1)
        # `len` would fix the number of images in an exported file.
        return features.unflatten(0, (2, features.shape[0] // 2)).mean(dim=0) if self.mirrored else features

    def answer(self, last: Tensor, stages: Sequence[Tensor]) -> Tensor:
        """Return the logits (n, classes) from what `stages` gives."""
        logits: Tensor = self.head(F.dropout(self.pooled(last, stages), self.dropout, self.training))
        return logits

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (n, classes)."""
        return self.answer(*self.stages(images))

"""StagePooling: a timm network whose head sees the mean of every stage, and not of the last one alone.

Early stages hold textures that the last one has lost. On tumours in ultrasound a linear head on frozen stages is
better than one on the last features (docs/performance.md).
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medray.errors import ConfigError

MOST_STAGES, LAST_STAGES = 6, 4  # a vision transformer's blocks are many and alike: its last ones are taken


class StagePooling(nn.Module):
    """A timm `model`, and a dense `head` on the means of its stages and its own pooled features."""

    def __init__(self, model: Any, images: Tensor, classes: int, dropout: float) -> None:
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
        self.model, self.dropout = model, dropout
        self.indices: int | None = None
        was_training = model.training
        with torch.no_grad():
            model.eval()
            if len(model.forward_intermediates(images)[1]) > MOST_STAGES:
                self.indices = LAST_STAGES
            features = self.pooled(images).shape[1]
        model.train(was_training)
        self.head = nn.Linear(features, classes)

    def get_classifier(self) -> nn.Module:
        """Return the layer that computes the logits."""
        return self.head

    def pooled(self, images: Tensor) -> Tensor:
        """Return the means of the stages, and the model's own features, (n, features)."""
        last, stages = self.model.forward_intermediates(images, indices=self.indices)
        own = self.model.forward_head(last, pre_logits=True)
        return torch.cat([*(stage.mean(dim=(2, 3)) for stage in stages), own], dim=1)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (n, classes)."""
        logits: Tensor = self.head(F.dropout(self.pooled(images), self.dropout, self.training))
        return logits

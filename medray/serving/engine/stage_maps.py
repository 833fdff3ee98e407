"""StageMaps: a network whose head sees the mean of every stage, as it is explained."""

from torch import Tensor, nn

from medray.training.models.stage_pooling import StagePooling


class StageMaps(nn.Module):
    """Runs a `StagePooling` such that the graph starts from the maps of its stages, which it keeps as `maps`.

    Each is a leaf of its own, so that its gradient is what the head makes of it, and not what later stages do.
    """

    def __init__(self, backbone: StagePooling) -> None:
        super().__init__()
        self.backbone = backbone
        self.maps: list[Tensor] = []

    @property
    def mirrored(self) -> bool:
        """Whether the second half of each map's rows is of the mirror images."""
        return self.backbone.mirrored

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (n, classes)."""
        last, stages = self.backbone.stages(images)
        starts = [features.detach().requires_grad_() for features in (last, *stages)]
        # Of a transformer the last features are tokens, or have their channels behind.
        self.maps = starts if last.shape[2:] == stages[-1].shape[2:] else []
        return self.backbone.answer(starts[0], starts[1:])

"""Backbones: MODELS (small published networks), any timm model, and torchvision's AlexNet.

A network takes uint8 images scaled to [0, 1], float (N, C, H, W), and returns logits (N, classes). Its first
layer normalises by a mean and a standard deviation, which are buffers: weights can't be separated from their
preprocessing. They are the training images', and those of its published weights where it starts from such.
"""

from medray.training.models.backbone_names import TORCHVISION, check_backbone
from medray.training.models.blocks import Parts, parts_of
from medray.training.models.network import Network, Normalise, build_network, channel_statistics
from medray.training.models.resize import Resize
from medray.training.models.small import MODELS
from medray.training.models.timm_backbone import check_timm_size

__all__ = [
    "MODELS",
    "TORCHVISION",
    "Network",
    "Normalise",
    "Parts",
    "Resize",
    "build_network",
    "channel_statistics",
    "check_backbone",
    "check_timm_size",
    "parts_of",
]

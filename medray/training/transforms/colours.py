"""OpenCV's grey levels and hues of 8 bits, by PyTorch."""

import torch
from torch import Tensor

GREY_WEIGHTS = (9798, 19235, 3735)  # of red, green and blue (ITU-R BT.601), of 2^15


def grey_levels(images: Tensor) -> Tensor:
    """Return the rounded grey levels (m, 1, H, W) of images (m, C, H, W) with levels from 0 to 255."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.unbind(1)
    sums = GREY_WEIGHTS[0] * red + GREY_WEIGHTS[1] * green + GREY_WEIGHTS[2] * blue
    return ((sums + 16384) / 32768).floor()[:, None]


def changed_hue(images: Tensor, shifts: Tensor) -> Tensor:
    """Return images (m, 3, H, W) whose hue is moved by `shifts` (m,) of a full circle.

    As in OpenCV, hue is a whole number of 2° on the way and saturation one of 255.
    """
    red, green, blue = images.unbind(1)
    value, least = images.amax(1), images.amin(1)
    spread = value - least
    saturation = (255 * spread / value.clamp(min=1)).round()
    of_blue = torch.where(value == green, blue - red + 2 * spread, red - green + 4 * spread)
    sextants = torch.where(value == red, green - blue, of_blue)
    hue = (30 * sextants / spread.clamp(min=1) + 0.5).floor() % 180
    hue = ((hue + 180 * shifts[:, None, None]) % 180).floor() / 30  # in sextants again
    chroma = value * saturation / 255
    channels = []
    for shift in (5, 3, 1):  # red, green, blue
        turned = (hue + shift) % 6
        channels.append(value - chroma * torch.minimum(turned, 4 - turned).clamp(0, 1))
    return torch.stack(channels, dim=1).round()

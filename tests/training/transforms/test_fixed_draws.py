"""Where nothing is left to chance the images are albumentations', pixel by pixel."""

import numpy as np
import pytest
import torch

from medray.training.augment import Augmenter
from tests.training.transforms.drawn_images import (
    SIDE,
    Draw,
    by_albumentations,
    by_host,
    copies,
    engines,
    texture,
)

ANGLE = {"limit": [17, 17], "p": 1}
STILL = {"brightness": [1, 1], "contrast": [1, 1], "saturation": [1, 1], "hue": [0, 0], "p": 1}
STEPS = [
    {"Rotate": ANGLE},
    {"Rotate": {**ANGLE, "border_mode": 1}},
    {"Rotate": {**ANGLE, "border_mode": 2}},
    {"Rotate": {**ANGLE, "border_mode": 4}},
    {"Rotate": {**ANGLE, "fill": 99}},
    {"Rotate": {**ANGLE, "fill": [200, 99, 9], "interpolation": 0}},
    {"Rotate": {**ANGLE, "interpolation": 2}},
    {"Affine": {"rotate": -12, "scale": [0.9, 0.9], "shear": {"x": 8}, "translate_percent": {"x": 0.1, "y": -0.07}, "p": 1}},
    {"Affine": {"rotate": 200, "scale": {"x": 1.2, "y": 0.8}, "shear": 5, "translate_px": {"x": 3}, "p": 1}},
    {"HorizontalFlip": {"p": 1}},
    {"VerticalFlip": {"p": 1}},
    {"Transpose": {"p": 1}},
    {"RandomResizedCrop": {"size": [SIDE, SIDE], "scale": [1, 1], "ratio": [1, 1]}},
    {"CoarseDropout": {"hole_height_range": [SIDE, SIDE], "hole_width_range": [SIDE, SIDE], "fill": 7.9, "p": 1}},
    {"RandomBrightnessContrast": {"brightness_limit": [0.1, 0.1], "contrast_limit": [-0.2, -0.2], "p": 1}},
    {"RandomBrightnessContrast": {"brightness_limit": [-0.4, -0.4], "contrast_limit": [0.3, 0.3], "brightness_by_max": False, "p": 1}},
    {"RandomGamma": {"gamma_limit": [70, 70], "p": 1}},
    {"RandomGamma": {"gamma_limit": [100, 100], "p": 1}},
    {"ColorJitter": {**STILL, "brightness": [1.3, 1.3]}},
    {"ColorJitter": {**STILL, "contrast": [1.4, 1.4]}},
    {"ColorJitter": {**STILL, "saturation": [0.3, 0.3]}},
    {"ColorJitter": {**STILL, "hue": [0.1, 0.1]}},
    {"ToGray": {"p": 1}},
    {"GaussianBlur": {"sigma_limit": [1.2, 1.2], "p": 1}},
    {"GaussianBlur": {"sigma_limit": [3, 3], "blur_limit": [4, 4], "p": 1}},
    {"Blur": {"blur_limit": [5, 5], "p": 1}},
    {"GaussNoise": {"std_range": [0, 0], "mean_range": [0.1, 0.1], "p": 1}},
    {"GaussNoise": {"std_range": [0, 0], "mean_range": [-0.2, -0.2], "per_channel": False, "p": 1}},
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:The image is already gray")
@engines
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("step", STEPS, ids=lambda step: "".join(step))
def test_a_fixed_draw_is_albumentations(step: dict, channels: int, drawn: Draw) -> None:
    ((name, arguments),) = step.items()
    image = texture(channels)
    if isinstance(arguments.get("fill"), list):
        step = {name: {**arguments, "fill": arguments["fill"][:channels]}}
    expected = by_albumentations([step], copies(image, 1))[0].astype(int)
    ours = drawn([step], copies(image, 2), 0).astype(int)
    off = np.abs(ours - expected)
    assert (off > 1).mean() < 0.01, "OpenCV's hue has tables of its own; everything else is the same"
    assert off.mean() < (0.4 if "hue" in arguments and arguments["hue"][0] else 0.02)


def test_large_images_are_computed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    from medray.training.transforms import device
    from tests.training.transforms.drawn_images import by_device

    pipeline = [
        {"ColorJitter": {"p": 1}},
        {"Rotate": {"p": 0.7}},
        {"GaussianBlur": {"p": 1}},
        {"CoarseDropout": {"p": 1}},
    ]
    images = copies(texture(), 7)
    at_once = by_device(pipeline, images)
    monkeypatch.setattr(device, "_LARGEST", 2 * images[0].size)
    assert np.array_equal(by_device(pipeline, images), at_once)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("step", STEPS, ids=lambda step: "".join(step))
def test_a_gpu_gives_what_the_processor_gives(step: dict) -> None:
    images = copies(texture(), 3)
    on_gpu = Augmenter([step])(torch.from_numpy(images.copy()).cuda(), 0)
    assert on_gpu.is_cuda
    off = np.abs(on_gpu.cpu().numpy().astype(int) - by_host([step], images))
    assert (off > 1).mean() < 0.01

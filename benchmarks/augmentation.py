"""How many images a second a pipeline transforms: albumentations image by image, and medray's batched forms.

Prints a table of medians. On the processor all sides take turns with one thread, and the processor's time counts,
which another program's load changes less than the clock's; on a GPU it is the clock's, until the device is done,
of images that lie there. `device` on the processor is the way that a machine without OpenCV goes.

    uv run python benchmarks/augmentation.py [--runs 7] [--sizes 28 224] [--batch 128]
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from medray._types import Array
from medray.training.augment import Augmenter, Step, build_transform
from medray.training.transforms.batch import Batch
from medray.training.transforms.by_albumentations import is_installed
from medray.training.transforms.device import DevicePixels
from medray.training.transforms.pipeline import Draws, build_pipeline

MIRROR = {"HorizontalFlip": {"p": 0.5}}
AFFINE = {"Affine": {"translate_percent": [-0.06, 0.06], "rotate": [-10, 10], "scale": [0.92, 1.08], "p": 0.7}}
GREY = {"RandomBrightnessContrast": {"brightness_limit": 0.15, "contrast_limit": 0.2, "p": 0.5}}
COLOUR = {
    "ColorJitter": {
        "brightness": [0.8, 1.2], "contrast": [0.8, 1.2], "saturation": [0.8, 1.2], "hue": [-0.02, 0.02], "p": 0.5,
    }
}  # fmt: skip
ERASED: list[Step] = [
    {"Rotate": {"limit": 30, "p": 0.5}},
    {"CoarseDropout": {"p": 0.5}},
    {"Perspective": {"scale": [0.05, 0.15], "p": 0.5}},
]
PIPELINES: dict[int, dict[str, list[Step]]] = {
    1: {
        "Rotate, CoarseDropout, Perspective": ERASED,
        "mild: Affine": [AFFINE],
        "mirrored: HorizontalFlip, Affine, RandomBrightnessContrast": [
            {"HorizontalFlip": {"p": 0.5}},
            AFFINE,
            GREY,
        ],
    },
    3: {
        "Rotate, CoarseDropout, Perspective": ERASED,
        "mirrored: HorizontalFlip, Affine, ColorJitter": [MIRROR, AFFINE, COLOUR],
        "turned: D4, Affine, ColorJitter": [{"D4": {"p": 1.0}}, AFFINE, COLOUR],
        "D4, GaussianBlur, GaussNoise": [{"D4": {}}, {"GaussianBlur": {}}, {"GaussNoise": {}}],
    },
}
Transform = Callable[[Array, int], object]


def by_albumentations(pipeline: Sequence[Step]) -> Transform:
    import albumentations

    compose = albumentations.Compose([build_transform(step) for step in pipeline])

    def transform(images: Array, seed: int) -> None:
        compose.set_random_seed(seed)
        for i, image in enumerate(images):
            images[i] = compose(image=image)["image"].reshape(image.shape)

    return transform


def by_device(pipeline: Sequence[Step]) -> Transform:
    steps = build_pipeline(pipeline)

    def transform(images: Array, seed: int) -> None:
        batch = Batch(DevicePixels(torch.from_numpy(images)))
        steps.apply(Draws(seed, batch), np.ones(len(images), dtype=np.bool_), ())
        batch.settle(np.arange(len(images)))

    return transform


def rates(sides: dict[str, Transform], images: Array, runs: int) -> dict[str, float]:
    """Median images per second of the processor's time, by side; they take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for run in range(-1, runs):
        for name, transform in sides.items():
            batch = images.copy()
            started = time.process_time()
            transform(batch, run + 1)
            if run >= 0:
                seconds[name].append(time.process_time() - started)
    return {name: len(images) / statistics.median(times) for name, times in seconds.items()}


def cuda_rate(pipeline: Sequence[Step], images: Array, runs: int) -> float:
    """Median images per second of images that lie on the GPU; ten batches a run."""
    augment, seconds = Augmenter(pipeline), []
    on_device = torch.from_numpy(images).cuda()
    for run in range(-1, runs):
        torch.cuda.synchronize()
        started = time.perf_counter()
        for repeat in range(10):
            augment(on_device, 10 * run + repeat + 10)
        torch.cuda.synchronize()
        if run >= 0:
            seconds.append(time.perf_counter() - started)
    return 10 * len(images) / statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--sizes", type=int, nargs="+", default=[28, 224])
    parser.add_argument("--batch", type=int, default=128)
    options = parser.parse_args()
    torch.set_num_threads(1)
    names = [
        *(["albumentations"] if is_installed() else []),
        "medray",
        "device",
        *["GPU"] * torch.cuda.is_available(),
    ]
    print("| images | pipeline | " + " | ".join(names) + " | times as fast |")
    print("|---|---|" + "---:|" * (len(names) + 1))
    for size in options.sizes:
        channels = 1 if size < 64 else 3
        shape = (options.batch, size, size, channels)
        images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        for label, pipeline in PIPELINES[channels].items():
            sides: dict[str, Transform] = {"medray": Augmenter(pipeline), "device": by_device(pipeline)}
            if is_installed():
                sides = {"albumentations": by_albumentations(pipeline), **sides}
            figures = rates(sides, images, options.runs)
            if torch.cuda.is_available():
                figures["GPU"] = cuda_rate(pipeline, images, options.runs)
            gain = figures["medray"] / figures["albumentations"] if is_installed() else float("nan")
            cells = [f"{figures[name]:,.0f}" for name in names]
            print(f"| {size}×{size}×{channels} | {label} | " + " | ".join(cells) + f" | {gain:.1f} |", flush=True)


if __name__ == "__main__":
    main()

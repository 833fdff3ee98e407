"""What the rivals share: the ensemble as `medray.Ensemble` gives it, and an image from a PNG."""

from io import BytesIO
from typing import Any

import numpy as np
import torch
from PIL import Image

from medray._types import Array
from medray.ensemble.ensemble import Ensemble


def load(folder: str) -> Ensemble:
    """Load the ensemble on one thread, as the service does."""
    torch.set_num_threads(1)
    return Ensemble.load(folder)


def pixels(content: bytes, shape: tuple[int, int, int]) -> Array:
    """Decode a PNG to uint8 (H, W, C)."""
    image = Image.open(BytesIO(content)).convert("L" if shape[2] == 1 else "RGB")
    if image.size != (shape[1], shape[0]):
        image = image.resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(shape)


def answer(names: tuple[str, ...], row: Array) -> dict[str, Any]:
    """An answer as plain values."""
    return {
        "label": names[int(row.argmax())],
        "probabilities": {name: float(p) for name, p in zip(names, row, strict=True)},
    }

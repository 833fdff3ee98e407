"""What the rivals share: the ensemble, an image from its bytes, and an answer as plain values.

In a rival's own environment there are neither torch nor medray: there the ensemble is the file of `medray export`.
"""

import json
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from medray.ensemble.ensemble import Ensemble

MODEL, CONFIG = "model.onnx", "config.json"
THREADS = 2  # of ONNX Runtime, in all
MAX_BATCH = 64
Array = Any


def load(folder: str) -> "Ensemble":
    """Load the ensemble, run by PyTorch on one thread."""
    import torch

    from medray.ensemble.ensemble import Ensemble

    torch.set_num_threads(1)
    return Ensemble.load(folder)


class OnnxEnsemble:
    """The ensemble run by ONNX Runtime on THREADS threads."""

    def __init__(self, folder: str) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
        # Threads that spin between requests take the cores that the server and the clients need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = str(Path(folder) / MODEL)
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        height, width, channels = self._session.get_inputs()[0].shape[1:]
        self.image_shape: tuple[int, int, int] = (height, width, channels)
        names = json.loads((Path(folder) / CONFIG).read_text())["id2label"]
        self.class_names: tuple[str, ...] = tuple(names.values())

    def probabilities(self, images: Array) -> Array:
        """Return float32 (n, classes) of uint8 images (n, H, W, C)."""
        return self._session.run(["probabilities"], {"images": images})[0]


def pixels(content: bytes, shape: tuple[int, int, int]) -> Array:
    """Decode a PNG or JPEG to uint8 (H, W, C)."""
    return fitted(Image.open(BytesIO(content)), shape)


def fitted(opened: Image.Image, shape: tuple[int, int, int]) -> Array:
    """Decode an opened image to uint8 (H, W, C)."""
    image = opened.convert("L" if shape[2] == 1 else "RGB")
    if image.size != (shape[1], shape[0]):
        image = image.resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(shape)


def answer(names: tuple[str, ...], row: Array) -> dict[str, Any]:
    """An answer as plain values."""
    return {
        "label": names[int(row.argmax())],
        "probabilities": {name: float(p) for name, p in zip(names, row, strict=True)},
    }

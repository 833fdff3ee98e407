"""(f) BentoML, as its documentation has it, with adaptive batches of at most 64; images go as files of a form.

A batchable endpoint takes a list, and so cannot take an image as the body itself.
"""

import os
from typing import Any

import bentoml
import numpy as np
from PIL.Image import Image

from .common import MAX_BATCH, OnnxEnsemble, answer, fitted

QUIET: dict[str, Any] = {"logging": {"access": {"enabled": False}}, "metrics": {"enabled": False}}


@bentoml.service(workers=1, traffic={"timeout": 60}, **QUIET)
class EnsembleService:
    def __init__(self) -> None:
        self.ensemble = OnnxEnsemble(os.environ["ENSEMBLE"])

    @bentoml.api(batchable=True, max_batch_size=MAX_BATCH, max_latency_ms=30_000)  # type: ignore[untyped-decorator]
    def predict(self, image: list[Image]) -> list[dict[str, Any]]:
        images = np.stack([fitted(one, self.ensemble.image_shape) for one in image])
        return [answer(self.ensemble.class_names, row) for row in self.ensemble.probabilities(images)]

"""A replica's first prediction, from the file to the answer, before it is called ready."""

from io import BytesIO

import numpy as np
from PIL import Image

from medray._types import Array
from medray.errors import RunError
from medray.serving.engine.answering import PredictRequest
from medray.serving.engine.problems import Problem
from medray.serving.engine.service import Service

TOLERANCE = 1e-5


def png_of(image: Array) -> bytes:
    """Write a uint8 image (H, W, C) with 1 or 3 channels as a PNG."""
    file = BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(file, "PNG")
    return file.getvalue()


async def check_answers(service: Service) -> None:
    """Ask the service for one image, and compare the answer with the ensemble's own.

    Raises:
        RunError: there is no answer, or another one.
    """
    model = service.model
    image = np.random.default_rng(0).integers(0, 256, model.shape, dtype=np.uint8)
    try:
        request = PredictRequest(png_of(image), "selftest", is_selftest=True)
        (answer,) = await service.predict([request])
    except Problem as problem:
        raise RunError(f"the service can't answer a first image: {problem.detail}") from None
    probabilities = np.array(list(answer.prediction.probabilities.values()))
    expected = model.ensemble.predict(image[None]).probabilities[0]
    if not np.allclose(probabilities, expected, rtol=0, atol=TOLERANCE):
        raise RunError("the service's answer to a first image differs from the ensemble's")

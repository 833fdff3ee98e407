"""A replica's first prediction: the whole way of an image, before anybody is told that it is ready."""

from io import BytesIO

import numpy as np
from PIL import Image

from medray._types import Array
from medray.errors import RunError
from medray.serving.engine.answering import Asked
from medray.serving.engine.problems import Problem
from medray.serving.engine.service import Service

TOLERANCE = 1e-5


def png_of(image: Array) -> bytes:
    """Write a uint8 image (H, W, C) with 1 or 3 channels as a PNG."""
    file = BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(file, "PNG")
    return file.getvalue()


async def answers_itself(service: Service) -> None:
    """Ask the service for one image, and compare with what the ensemble says of it.

    Raises:
        RunError: there is no answer, or another one.
    """
    model = service.model
    image = np.random.default_rng(0).integers(0, 256, model.shape, dtype=np.uint8)
    try:
        told = (await service.predict([Asked(png_of(image), "selftest", own=True)]))[0]
    except Problem as problem:
        raise RunError(f"the service can't answer a first image: {problem.detail}") from None
    wanted = model.ensemble.predict(image[None]).probabilities[0]
    found = np.array(list(told.answer["probabilities"].values()))
    if not np.allclose(found, wanted, rtol=0, atol=TOLERANCE):
        raise RunError("the service answers a first image otherwise than the ensemble does")

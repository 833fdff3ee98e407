"""Where the networks looked: the heat of a class over an answered image, and the answer with it as a picture."""

import base64
from dataclasses import replace

import numpy as np

from medray._types import Array
from medray.pictures.heatmap import overlay_png
from medray.serving.engine.answering import PredictAnswer
from medray.serving.engine.answers import Answered, ImageLabels, SentCase, most_likely


def class_heat(answer: PredictAnswer, label: str | None) -> tuple[str, Array]:
    """Return a class and its heat over the answer's pixels, float32 (H, W) in 0..1.

    The class is `label`, or else the answer's own; of several that are called, the likeliest.

    Raises:
        ConfigError: the networks have no feature maps.
    """
    from medray.serving.engine.grad_cam import class_activation  # torch

    ensemble = answer.model.ensemble
    name = label or most_likely(answer.prediction)
    classes = np.array([ensemble.class_names.index(name)], dtype=np.int64)
    heat = class_activation(
        ensemble.networks, ensemble.weights, answer.pixels[None], classes, ensemble.device,
        method="hirescam",  # the same as Grad-CAM before a global pooling, and right before a dense head too
    )  # fmt: skip
    return name, heat[0]


def explained(answer: PredictAnswer, label: str | None) -> Answered:
    """Return the answer's prediction with an overlay; of a case the image that weighed most has it.

    Raises:
        ConfigError: the networks have no feature maps.
    """
    prediction = answer.prediction
    name, heat = class_heat(answer, label)
    png = overlay_png(answer.pixels, heat)
    overlay = "data:image/png;base64," + base64.b64encode(png).decode("ascii")
    if isinstance(prediction, SentCase):
        images, most = list(prediction.images), prediction.weighed_most.index
        images[most] = replace(images[most], overlay=overlay, overlay_label=name)
        return replace(prediction, images=images)
    if isinstance(prediction, ImageLabels):
        return replace(prediction, overlay=overlay, overlay_label=name)
    return replace(prediction, overlay=overlay)

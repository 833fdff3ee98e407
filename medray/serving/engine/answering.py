"""Answering a batch, off the event loop: decode, classify, write the audit log, answer."""

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from medray._types import Array
from medray.data.decoding import Decoded, ImageError, decode
from medray.serving.engine.answers import (
    Classification,
    ImageFacts,
    ImageLabels,
    ImagePrediction,
    Labelling,
    to_plain,
)
from medray.serving.engine.audit_log import AuditLog
from medray.serving.engine.served_model import ServedModel

LOGGED = ("label", "labels", "probabilities", "decisions", "sets", "flags", "sha256")


@dataclass(frozen=True)
class PredictRequest:
    """An image that waits for its answer: its bytes as they came, and what was decoded of them beforehand.

    `aspect` is how it was fitted to the networks' shape, None for pixels that were sent in that shape.
    `is_selftest` marks the service's own image, which is neither logged nor counted.
    """

    content: bytes
    request_id: str
    token: str | None = None
    file: str | None = None
    decoded: Decoded | None = None
    aspect: str | None = None
    is_selftest: bool = False


@dataclass(frozen=True)
class PredictAnswer:
    """A prediction, the model that made it, and the pixels that it is made of, uint8 (H, W, C)."""

    prediction: ImagePrediction | ImageLabels
    model: ServedModel
    pixels: Array


def answer_batch(
    model: ServedModel, requests: Sequence[PredictRequest], max_pixels: int, audit: AuditLog | None
) -> list[PredictAnswer | Exception]:
    """Answer a batch in its order; for an image that can't be read the answer is an ImageError.

    Raises:
        AuditError: the log can't be written; then nobody may have an answer.
    """
    images = [_decoded(request, model, max_pixels) for request in requests]
    readable = [image for image in images if isinstance(image, Decoded)]
    if not readable:
        return [image for image in images if isinstance(image, ImageError)]
    classifications: Iterator[Classification | Labelling] = iter(
        model.classify(np.stack([image.pixels for image in readable]))
    )
    answers: list[PredictAnswer | Exception] = []
    records = []
    for request, image in zip(requests, images, strict=True):
        if isinstance(image, ImageError):
            answers.append(image)
            continue
        classification = next(classifications)
        kind = ImagePrediction if isinstance(classification, Classification) else ImageLabels
        prediction = kind(
            **vars(classification) | {"flags": [*classification.flags, *image.notes]},
            file=request.file,
            image=ImageFacts(image.format, image.height, image.width),
            sha256=hashlib.sha256(request.content).hexdigest(),
        )
        answers.append(PredictAnswer(prediction, model, image.pixels))
        if not request.is_selftest:
            records.append(_audit_record(request, prediction, model))
    if audit is not None:
        audit.write(records)
    return answers


def _decoded(request: PredictRequest, model: ServedModel, max_pixels: int) -> Decoded | ImageError:
    """Decode an image for the model, again where it was decoded for another one that was served then."""
    decoded = request.decoded
    if decoded is not None and decoded.pixels.shape == model.shape and request.aspect in (None, model.aspect):
        return decoded
    try:
        return decode(request.content, model.shape, max_pixels=max_pixels, aspect=model.aspect)
    except ImageError as error:
        return error


def _audit_record(
    request: PredictRequest, prediction: ImagePrediction | ImageLabels, model: ServedModel
) -> dict[str, Any]:
    plain = to_plain(prediction)
    return {
        "time": datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds"),
        "request_id": request.request_id,
        "token": request.token,
        "model": to_plain(model.identity),
        **{name: plain[name] for name in LOGGED if name in plain},
    }

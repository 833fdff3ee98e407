"""What happens to a batch, off the event loop: decode, classify, write the audit log, answer."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from medray._types import Array
from medray.data.decoding import Decoded, ImageError, decode
from medray.serving.engine.audit_log import AuditLog
from medray.serving.engine.served_model import ServedModel


@dataclass(frozen=True)
class Asked:
    """An image that waits for its answer: its bytes as they came, and what was decoded of them beforehand.

    `aspect` is how that came to its shape, None for pixels that were sent as they are.
    One that the service asks itself has `own` set: it is neither logged nor counted.
    """

    content: bytes
    request_id: str
    token: str | None = None
    name: str | None = None
    decoded: Decoded | None = None
    aspect: str | None = None
    own: bool = False


@dataclass(frozen=True)
class Told:
    """An answer in plain values, the model that gave it, and the pixels that it saw, uint8 (H, W, C)."""

    answer: dict[str, Any]
    model: ServedModel
    pixels: Array


def answer_batch(
    model: ServedModel, asked: Sequence[Asked], max_pixels: int, audit: AuditLog | None
) -> list[Told | Exception]:
    """Answer a batch; an image that can't be read is an ImageError in its place, and the others are answered.

    Raises:
        AuditError: the log can't be written; then nobody may have an answer.
    """
    found = [_decoded(one, model, max_pixels) for one in asked]
    readable = [place for place, one in enumerate(found) if isinstance(one, Decoded)]
    told: dict[int, Told] = {}
    if readable:
        images = [one for one in found if isinstance(one, Decoded)]
        answers = model.answers(np.stack([image.pixels for image in images]))
        for place, image, answer in zip(readable, images, answers, strict=True):
            told[place] = Told(_told(asked[place], image, answer), model, image.pixels)
        if audit is not None:
            audit.write([_record(asked[place], one, model) for place, one in told.items() if not asked[place].own])
    return [one if isinstance(one, ImageError) else told[place] for place, one in enumerate(found)]


def _decoded(one: Asked, model: ServedModel, max_pixels: int) -> Decoded | ImageError:
    fits = one.decoded is not None and one.decoded.pixels.shape == model.shape
    if one.decoded is not None and fits and one.aspect in (None, model.aspect):  # else the model was exchanged
        return one.decoded
    try:
        return decode(one.content, model.shape, max_pixels=max_pixels, aspect=model.aspect)
    except ImageError as error:
        return error


def _told(one: Asked, image: Decoded, answer: dict[str, Any]) -> dict[str, Any]:
    return {
        "file": one.name,
        **answer,
        "flags": [*answer["flags"], *image.notes],
        "image": {"format": image.format, "height": image.height, "width": image.width},
        "sha256": hashlib.sha256(one.content).hexdigest(),
    }


def _record(one: Asked, told: Told, model: ServedModel) -> dict[str, Any]:
    answer = told.answer
    kept = ("label", "probabilities", "decisions", "sets", "flags", "sha256")
    return {
        "time": datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds"),
        "request_id": one.request_id,
        "token": one.token,
        "model": model.identity,
        **{key: answer[key] for key in kept},
    }

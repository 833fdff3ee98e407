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
from medray.decisions.looks import measure_looks
from medray.serving.engine.answers import (
    Answered,
    CaseImage,
    CaseLabels,
    CasePrediction,
    Classification,
    ImageFacts,
    ImageLabels,
    ImagePrediction,
    Labelling,
    SentCase,
    SentImage,
    WeighedMost,
    to_plain,
)
from medray.serving.engine.audit_log import AuditLog
from medray.serving.engine.served_model import ClassifiedCases, ServedModel

LOGGED = ("label", "labels", "probabilities", "decisions", "sets", "flags", "sha256")
WEIGHT_DIGITS = 7


@dataclass(frozen=True)
class PredictRequest:
    """An image that waits for its answer: its bytes as they came, and what was decoded of them beforehand.

    `aspect` is how it was fitted to the networks' shape, None for pixels that were sent in that shape. `patient`
    is the patient's key, None where the sender named none. `is_selftest` marks the service's own image, which is
    neither logged nor counted.
    """

    content: bytes
    request_id: str
    token: str | None = None
    file: str | None = None
    decoded: Decoded | None = None
    aspect: str | None = None
    is_selftest: bool = False
    patient: str | None = None


@dataclass(frozen=True)
class CaseRequest:
    """Images that wait for one answer, as those of one case."""

    images: tuple[PredictRequest, ...]

    @property
    def is_selftest(self) -> bool:
        """Whether it is the service's own."""
        return self.images[0].is_selftest


Request = PredictRequest | CaseRequest


def images_of(request: Request) -> tuple[PredictRequest, ...]:
    """Return the images of a request: itself, or those of a case."""
    return request.images if isinstance(request, CaseRequest) else (request,)


@dataclass(frozen=True)
class PredictAnswer:
    """A prediction, the model that made it, and the pixels that it is made of, uint8 (H, W, C).

    Of a case they are those of the image that weighed most.
    """

    prediction: Answered
    model: ServedModel
    pixels: Array


def answer_batch(
    model: ServedModel, requests: Sequence[Request], max_pixels: int, audit: AuditLog | None
) -> list[PredictAnswer | Exception]:
    """Answer a batch in its order; where an image can't be read the answer is an ImageError, of a case the first.

    Raises:
        AuditError: the log can't be written; then nobody may have an answer.
        ConfigError: there is a case, and the ensemble was made to answer images.
    """
    decoded = [_read(request, model, max_pixels) for request in requests]
    readable = [images for images in decoded if not isinstance(images, ImageError)]
    if not readable:
        return [error for error in decoded if isinstance(error, ImageError)]
    answered = iter(_answer_readable(model, [
        (request, images) for request, images in zip(requests, decoded, strict=True)
        if not isinstance(images, ImageError)
    ]))  # fmt: skip
    answers: list[PredictAnswer | Exception] = [
        images if isinstance(images, ImageError) else next(answered) for images in decoded
    ]
    if audit is not None:
        looks = _looks([image for images in readable for image in images])
        seen = [[] if isinstance(images, ImageError) else [next(looks) for _ in images] for images in decoded]
        audit.write([
            _audit_record(request, answer.prediction, model, of_images)
            for request, answer, of_images in zip(requests, answers, seen, strict=True)
            if isinstance(answer, PredictAnswer) and not request.is_selftest
        ])  # fmt: skip
    return answers


def _read(request: Request, model: ServedModel, max_pixels: int) -> list[Decoded] | ImageError:
    """Return the decoded images of a request, or the error of the first that can't be read."""
    images = []
    for number, sent in enumerate(images_of(request), start=1):
        image = _decoded(sent, model, max_pixels)
        if isinstance(image, ImageError):
            if isinstance(request, CaseRequest):
                return ImageError(image.kind, f"image {number} of the case: {image}")
            return image
        images.append(image)
    return images


def _answer_readable(model: ServedModel, pairs: Sequence[tuple[Request, list[Decoded]]]) -> list[PredictAnswer]:
    """Answer requests whose images can be read, all by one look of the networks at each image."""
    pixels = np.stack([image.pixels for _, images in pairs for image in images])
    starts = np.cumsum([0, *(len(images) for _, images in pairs)])
    if not any(isinstance(request, CaseRequest) for request, _ in pairs):
        by_image, classified = model.classify(pixels), None
    else:
        classified = model.classify_cases(pixels, np.repeat(np.arange(len(pairs)), np.diff(starts)))
        by_image = classified.images
    answers = []
    for case, (request, images) in enumerate(pairs):
        start = int(starts[case])
        prediction: Answered
        if isinstance(request, PredictRequest):
            prediction, most = _image_prediction(by_image[start], request, images[0]), 0
        else:
            assert classified is not None
            prediction, most = _case_prediction(classified, case, start, request, images)
        answers.append(PredictAnswer(prediction, model, images[most].pixels))
    return answers


def _sent(request: PredictRequest, image: Decoded) -> SentImage:
    digest = hashlib.sha256(request.content).hexdigest()
    return SentImage(file=request.file, image=ImageFacts(image.format, image.height, image.width), sha256=digest)


def _image_prediction(
    answer: Classification | Labelling, request: PredictRequest, image: Decoded
) -> ImagePrediction | ImageLabels:
    kind = ImagePrediction if isinstance(answer, Classification) else ImageLabels
    return kind(**vars(answer) | {"flags": [*answer.flags, *image.notes]} | vars(_sent(request, image)))


def _case_prediction(
    classified: ClassifiedCases, case: int, start: int, request: CaseRequest, images: Sequence[Decoded]
) -> tuple[CasePrediction | CaseLabels, int]:
    """Return the answer to a case whose images begin at `start`, and the position of the one that weighed most."""
    answer, most = classified.cases[case], int(classified.weighed_most[case]) - start
    case_images = [
        CaseImage(
            **vars(_sent(sent, image)),
            weight=round(float(classified.weights[row]), WEIGHT_DIGITS),
            probabilities=alone.probabilities,
            flags=[*alone.flags, *image.notes],
            ood=alone.ood,
        )
        for row, (sent, image) in enumerate(zip(request.images, images, strict=True), start=start)
        for alone in [classified.images[row]]
    ]
    sent_case = SentCase(
        weights_of=classified.weights_of[case],
        weighed_most=WeighedMost(most, request.images[most].file),
        images=case_images,
    )
    flags = list(dict.fromkeys([*answer.flags, *(flag for image in images for flag in image.notes)]))
    kind = CasePrediction if isinstance(answer, Classification) else CaseLabels
    return kind(**vars(answer) | {"flags": flags} | vars(sent_case)), most


def _decoded(request: PredictRequest, model: ServedModel, max_pixels: int) -> Decoded | ImageError:
    """Decode an image for the model, again where it was decoded for another one that was served then."""
    decoded = request.decoded
    if decoded is not None and decoded.pixels.shape == model.shape and request.aspect in (None, model.aspect):
        return decoded
    try:
        return decode(request.content, model.shape, max_pixels=max_pixels, aspect=model.aspect)
    except ImageError as error:
        return error


def _looks(images: Sequence[Decoded]) -> Iterator[dict[str, float]]:
    """Yield what is logged of how each image looks: its size as it was sent, and a few numbers of its pixels."""
    looks = measure_looks(np.stack([image.pixels for image in images]))
    for row, image in enumerate(images):
        numbers = {name: round(float(values[row]), 4) for name, values in looks.items()}
        yield {"height": image.height, "width": image.width, **numbers}


def _audit_record(
    request: Request, prediction: Answered, model: ServedModel, looks: Sequence[dict[str, float]]
) -> dict[str, Any]:
    """Return what is logged of an answer, and no image; `looks` are those of the request's images.

    That to a case has the digest, weight, flags and looks of each image.
    """
    plain, first = to_plain(prediction), images_of(request)[0]
    record = {
        "time": datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds"),
        "request_id": first.request_id,
        "token": first.token,
        "model": to_plain(model.identity),
        **({} if first.patient is None else {"patient": first.patient}),
        **{name: plain[name] for name in LOGGED if name in plain},
    }
    if isinstance(prediction, SentCase):
        images = [
            {"sha256": image.sha256, "weight": image.weight, "flags": image.flags, "looks": look}
            for image, look in zip(prediction.images, looks, strict=True)
        ]
        return record | {"images": images, "weighed_most": prediction.weighed_most.index}
    return record | {"looks": looks[0]}

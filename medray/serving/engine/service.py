"""Service: one replica's state, and the way of an image through it. It knows neither HTTP routes nor Ray."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from prometheus_client.metrics_core import Metric

from medray.data.decoding import ImageError, decode
from medray.decisions.ood import OUT_OF_DISTRIBUTION
from medray.errors import ConfigError
from medray.serving.engine.answering import (
    CaseRequest,
    PredictAnswer,
    PredictRequest,
    Request,
    answer_batch,
    images_of,
)
from medray.serving.engine.answers import Answered, SentCase, called_labels
from medray.serving.engine.audit_log import AuditError, AuditLog, outcomes_folder
from medray.serving.engine.batching import Batcher, QueueFullError
from medray.serving.engine.explanation import explained
from medray.serving.engine.memory import Memory
from medray.serving.engine.patient_keys import PatientKeys
from medray.serving.engine.problems import Kind, Problem
from medray.serving.engine.served_model import ServedModel
from medray.serving.engine.service_settings import ServiceSettings
from medray.serving.engine.tokens import TokenFile
from medray.serving.telemetry.replica_metrics import Snapshot, Telemetry

SMALL = 32 * 1024  # bytes; decoding less costs no more than handing it to another thread
COMPOSED = 16  # answers with a picture or in DICOM; while so many wait, no others are taken
PROBLEM_OF = {
    "unsupported": Kind.UNSUPPORTED_FORMAT,
    "too_large": Kind.TOO_MANY_PIXELS,
    "unreadable": Kind.UNREADABLE_IMAGE,
    "multi_frame": Kind.SEVERAL_FRAMES,
}
Given = TypeVar("Given")
Result = TypeVar("Result")


class Service:
    """Answers images with its model, which can be exchanged while it answers.

    `all_ready` returns whether every replica is there, `add_up` takes this replica's metrics and returns the sums
    over all; both are None for a replica that is alone.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        model: ServedModel,
        *,
        replica: str = "alone",
        all_ready: Callable[[], Awaitable[bool]] | None = None,
        add_up: Callable[[Snapshot], Awaitable[list[Metric]]] | None = None,
    ) -> None:
        self.settings, self.model, self.replica = settings, model, replica
        self._all_ready, self._add_up = all_ready, add_up
        self.tokens = TokenFile(settings.token_file) if settings.token_file else None
        folder = settings.audit_folder
        self.audit = AuditLog(Path(folder), replica, keep=settings.audit_keep) if folder else None
        self.memory = Memory(settings.max_memory)
        self.telemetry = Telemetry()
        self.telemetry.model(model.name, model.version)
        self.draining = False
        self._batches: Batcher[Request, PredictAnswer] = Batcher(
            self._answer, settings.max_batch, settings.max_waiting, lambda request: len(images_of(request))
        )
        self._decoders = ThreadPoolExecutor(min(4, os.cpu_count() or 1), "decode")
        self._composer = ThreadPoolExecutor(1, "compose")
        self._composing: dict[Future[Any], int] = {}  # how many answers each is about

    @cached_property
    def outcome_log(self) -> AuditLog:
        """The log of outcomes, beside the audit log; its folder is made with the first one.

        Raises:
            AuditError: it can't be made.
        """
        assert self.settings.audit_folder is not None  # without answers nobody sends outcomes
        return AuditLog(outcomes_folder(self.settings.audit_folder), self.replica)

    @cached_property
    def patient_keys(self) -> PatientKeys:
        """What makes the keys of patients, by a secret beside the audit log."""
        assert self.settings.audit_folder is not None  # without a log there is nothing to be kept out of it
        return PatientKeys(Path(self.settings.audit_folder).parent)

    def exchange(self, model: ServedModel) -> None:
        """Answer with `model` from the next batch on."""
        self.model = model
        self.telemetry.model(model.name, model.version)

    def close(self) -> None:
        """End the threads after what waits already."""
        self._batches.close()
        self._decoders.shutdown(wait=False, cancel_futures=True)
        self._composer.shutdown(wait=False, cancel_futures=True)

    def _answer(self, requests: Sequence[Request]) -> list[PredictAnswer | Exception]:
        self.telemetry.batch(sum(len(images_of(request)) for request in requests))
        return answer_batch(self.model, requests, self.settings.max_pixels, self.audit)

    async def predict(self, requests: Sequence[Request]) -> list[PredictAnswer]:
        """Answer images and cases, all or none.

        Raises:
            Problem: an image can't be read, too many wait, the answer took too long, or can't be logged.
        """
        images, limit = sum(len(images_of(request)) for request in requests), self.settings.max_waiting
        if images > limit and len(requests) < images:  # waiting would not help
            detail = f"a case is answered whole, and {limit} images may wait at once; this request has {images}"
            raise Problem(Kind.TOO_MANY_FILES, detail)
        try:
            async with asyncio.timeout(self.settings.timeout):
                answers = await self._batches([await self._decoded_if_large(request) for request in requests])
        except ImageError as error:
            raise Problem(PROBLEM_OF[error.kind], str(error)) from None
        except QueueFullError:
            raise Problem(Kind.OVERLOADED, "too many images wait already; try again in a moment") from None
        except AuditError as error:
            detail = "what is not logged is not answered, and the log can't be written"
            raise Problem(Kind.AUDIT_FAILED, detail) from error
        except TimeoutError:
            raise Problem(Kind.TIMEOUT, f"no answer within {self.settings.timeout:g} s") from None
        for request, answer in zip(requests, answers, strict=True):
            if not request.is_selftest:
                prediction = answer.prediction
                likeliest = max(prediction.probabilities.values())
                self.telemetry.labelled(called_labels(prediction), likeliest, prediction.flags)
                if isinstance(prediction, SentCase):
                    self.telemetry.case(len(prediction.images))
                if OUT_OF_DISTRIBUTION in prediction.flags:
                    self.telemetry.refused(OUT_OF_DISTRIBUTION)
        return answers

    async def _decoded_if_large(self, request: Request) -> Request:
        if isinstance(request, CaseRequest):
            return CaseRequest(tuple([await self._image_decoded_if_large(image) for image in request.images]))
        return await self._image_decoded_if_large(request)

    async def _image_decoded_if_large(self, request: PredictRequest) -> PredictRequest:
        if len(request.content) <= SMALL or request.decoded is not None:
            return request
        if self._batches.waiting >= self.settings.max_waiting:
            raise QueueFullError("images wait already")
        model, max_pixels = self.model, self.settings.max_pixels
        decoded = await _run_in(
            self._decoders,
            lambda: decode(request.content, model.shape, max_pixels=max_pixels, aspect=model.aspect),
        )
        return replace(request, decoded=decoded, aspect=model.aspect)

    async def explain(self, answers: Sequence[PredictAnswer], label: str | None = None) -> list[Answered]:
        """Return the predictions with an overlay of the class activation, the data: URL of a PNG.

        It is of the class `label`, or else of the prediction's own; of several that are called, of the likeliest.
        Of a case the image that weighed most has one.

        Raises:
            Problem: the networks have no feature maps, too many wait, or it took too long.
        """
        return await self.compose(answers, lambda answer: explained(answer, label))

    async def compose(self, answers: Sequence[Given], write: Callable[[Given], Result]) -> list[Result]:
        """Return what `write` makes of each answer, in a thread that only does such slow work.

        Raises:
            Problem: networks without feature maps were to be explained, too many wait, or it took too long.
        """
        # Work goes on after a timeout, so it counts until its thread is done with it.
        self._composing = {work: count for work, count in self._composing.items() if not work.done()}
        if sum(self._composing.values()) >= COMPOSED:  # of what waits: no request is too large by itself
            raise Problem(
                Kind.OVERLOADED, "too many explanations or DICOM answers wait already; try again in a moment"
            )
        work = self._composer.submit(lambda: [write(answer) for answer in answers])
        self._composing[work] = len(answers)
        try:
            async with asyncio.timeout(self.settings.timeout):
                return await asyncio.wrap_future(work)
        except ConfigError as error:
            raise Problem(Kind.NOT_EXPLAINABLE, str(error)) from None
        except TimeoutError:
            raise Problem(
                Kind.TIMEOUT, f"no explanation or DICOM answer within {self.settings.timeout:g} s"
            ) from None

    async def read(self, content: bytes, reader: Callable[[bytes, int], Result]) -> Result:
        """Return what `reader` reads in an image of `max_pixels` at most, in a thread of the decoders.

        Raises:
            Problem: it can't be read.
        """
        try:
            return await _run_in(self._decoders, lambda: reader(content, self.settings.max_pixels))
        except ImageError as error:
            raise Problem(PROBLEM_OF[error.kind], str(error)) from None

    async def all_metrics(self) -> list[Metric]:
        """Return the metrics summed over all replicas."""
        self.telemetry.queued(self._batches.waiting)
        snapshot = self.telemetry.snapshot()
        return list(snapshot.metrics) if self._add_up is None else await self._add_up(snapshot)

    async def ready(self) -> bool:
        """Return whether the service takes requests: every replica is there, and it does not end."""
        return not self.draining and (self._all_ready is None or await self._all_ready())


async def _run_in(pool: ThreadPoolExecutor, task: Callable[[], Result]) -> Result:
    return await asyncio.get_running_loop().run_in_executor(pool, task)

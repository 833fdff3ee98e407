"""Service: one replica's whole state, and how an image goes through it. It knows neither HTTP routes nor Ray."""

import asyncio
import base64
import os
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from prometheus_client.metrics_core import Metric

from medray.data.decoding import ImageError, decode
from medray.decisions.ood import OUT_OF_DISTRIBUTION
from medray.errors import ConfigError
from medray.pictures.heatmap import overlay_png
from medray.serving.deploy.rollout import Rollout
from medray.serving.engine.answering import Asked, Told, answer_batch
from medray.serving.engine.audit_log import AuditError, AuditLog
from medray.serving.engine.batching import Batcher, QueueFullError
from medray.serving.engine.memory import Memory
from medray.serving.engine.problems import Problem
from medray.serving.engine.served_model import ServedModel
from medray.serving.engine.service_settings import ServiceSettings
from medray.serving.engine.tokens import TokenFile
from medray.serving.telemetry.replica_metrics import Snapshot, Telemetry

SMALL = 32 * 1024  # bytes; decoding less costs no more than handing it to another thread
EXPLANATIONS = 16  # that may wait
PROBLEM_OF = {
    "unsupported": "unsupported-format",
    "too_large": "too-many-pixels",
    "unreadable": "unreadable-image",
    "multi_frame": "several-frames",
}
Result = TypeVar("Result")


async def _always() -> bool:
    return True


async def _alone(snapshot: Snapshot) -> list[Metric]:
    return list(snapshot.metrics)


class Service:
    """Answers images with the model it holds, which can be exchanged while it answers.

    `ready` says whether every replica is; `add_up` takes this replica's metrics and gives the sums over all.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        model: ServedModel,
        *,
        replica: str = "alone",
        ready: Callable[[], Awaitable[bool]] = _always,
        add_up: Callable[[Snapshot], Awaitable[list[Metric]]] = _alone,
    ) -> None:
        self.settings, self.model, self.replica = settings, model, replica
        self.ready, self._add_up = ready, add_up
        self.tokens = TokenFile(settings.token_file) if settings.token_file else None
        folder = settings.audit_folder
        self.audit = AuditLog(Path(folder), replica, keep=settings.audit_keep) if folder else None
        self.memory = Memory(settings.max_memory)
        self.telemetry = Telemetry()
        self.telemetry.model(model.name, model.version)
        self.rollout: Rollout | None = None
        self.draining = False
        self._batches: Batcher[Asked, Told] = Batcher(self._work, settings.max_batch, settings.max_waiting)
        self._decoders = ThreadPoolExecutor(min(4, os.cpu_count() or 1), "decode")
        self._explainer = ThreadPoolExecutor(1, "explain")
        self._explaining = 0

    def exchange(self, model: ServedModel) -> None:
        """Answer with `model` from the next batch on."""
        self.model = model
        self.telemetry.model(model.name, model.version)

    def close(self) -> None:
        """End the threads after what waits already."""
        self._batches.close()
        self._decoders.shutdown(wait=False, cancel_futures=True)
        self._explainer.shutdown(wait=False, cancel_futures=True)

    def _work(self, asked: Sequence[Asked]) -> list[Told | Exception]:
        self.telemetry.batch(len(asked))
        return answer_batch(self.model, asked, self.settings.max_pixels, self.audit)

    async def predict(self, asked: Sequence[Asked]) -> list[Told]:
        """Answer images, all or none.

        Raises:
            Problem: one of them can't be read, too many wait, the answer took too long, or can't be logged.
        """
        try:
            async with asyncio.timeout(self.settings.timeout):
                told = await self._batches([await self._decoded_if_large(one) for one in asked])
        except ImageError as error:
            raise Problem(PROBLEM_OF[error.kind], str(error)) from None
        except QueueFullError:
            raise Problem("overloaded", "too many images wait already; try again in a moment") from None
        except AuditError as error:
            detail = "what is not logged is not answered, and the log can't be written"
            raise Problem("audit-failed", detail) from error
        except TimeoutError:
            raise Problem("timeout", f"no answer within {self.settings.timeout:g} s") from None
        for one, answer in zip(asked, told, strict=True):
            if not one.own:
                self._count(answer)
        return told

    async def _decoded_if_large(self, one: Asked) -> Asked:
        if len(one.content) <= SMALL or one.decoded is not None:
            return one
        if self._batches.waiting >= self.settings.max_waiting:
            raise QueueFullError("images wait already")
        model, most = self.model, self.settings.max_pixels
        decoded = await _in(
            self._decoders, lambda: decode(one.content, model.shape, max_pixels=most, aspect=model.aspect)
        )
        return replace(one, decoded=decoded, aspect=model.aspect)

    def _count(self, told: Told) -> None:
        answer = told.answer
        self.telemetry.predicted(answer["label"], answer["probabilities"][answer["label"]], answer["flags"])
        if OUT_OF_DISTRIBUTION in answer["flags"]:
            self.telemetry.refused(OUT_OF_DISTRIBUTION)

    async def explain(self, told: Sequence[Told]) -> list[str]:
        """An overlay of what each answer rests on, as data: URLs of PNGs.

        Raises:
            Problem: the networks have no feature maps, too many wait, or it took too long.
        """
        if self._explaining + len(told) > EXPLANATIONS:
            raise Problem("overloaded", "too many explanations wait already; try again in a moment")
        self._explaining += len(told)
        try:
            async with asyncio.timeout(self.settings.timeout):
                return await _in(self._explainer, lambda: [_overlay(one) for one in told])
        except ConfigError as error:
            raise Problem("not-explainable", str(error)) from None
        except TimeoutError:
            raise Problem("timeout", f"no explanation within {self.settings.timeout:g} s") from None
        finally:
            self._explaining -= len(told)

    async def all_metrics(self) -> list[Metric]:
        """Return the metrics summed over all replicas."""
        self.telemetry.queued(self._batches.waiting)
        return await self._add_up(self.telemetry.snapshot())


def _overlay(told: Told) -> str:
    from medray.serving.engine.grad_cam import class_activation  # torch

    ensemble = told.model.ensemble
    label = ensemble.class_names.index(told.answer["label"])
    weights = [member["weight"] for member in ensemble.manifest["members"]]
    heat = class_activation(
        ensemble.networks, weights, told.pixels[None], np.array([label], dtype=np.int64), ensemble.device,
        method="hirescam",  # the same as Grad-CAM before a global pooling, and right before a dense head too
    )  # fmt: skip
    png = overlay_png(told.pixels, heat[0])
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


async def _in(pool: ThreadPoolExecutor, work: Callable[[], Result]) -> Result:
    return await asyncio.get_running_loop().run_in_executor(pool, work)

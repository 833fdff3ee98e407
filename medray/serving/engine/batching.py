"""Batcher: gathers what came in while a batch was being computed. Nothing waits for company.

One thread computes, so a batch is taken as soon as the one before it is done: one alone where nobody else asks,
and large ones under load.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from medray.errors import MedrayError

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class QueueFullError(MedrayError):
    """More would wait than may."""


class Batcher(Generic[Item, Answer]):
    """Runs `work` on batches of at most `most` items in a thread of its own.

    `work` gives one answer for each item, in order; one that is an exception is raised to whoever asked. If
    `work` itself raises, all who are in that batch get it. At most `most_waiting` items wait.
    """

    def __init__(
        self, work: Callable[[Sequence[Item]], Sequence[Answer | Exception]], most: int, most_waiting: int
    ) -> None:
        self._work, self._most, self._most_waiting = work, most, most_waiting
        self._queue: queue.SimpleQueue[tuple[Item, asyncio.Future[Answer]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="batches", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self.waiting = 0

    async def __call__(self, items: Sequence[Item]) -> list[Answer]:
        """Answer `items`, in their order.

        Raises:
            QueueFullError: too many wait; none of `items` was taken.
        """
        if self.waiting + len(items) > self._most_waiting:
            raise QueueFullError(f"{self.waiting} images wait already")
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._thread.start()
        futures: list[asyncio.Future[Answer]] = [self._loop.create_future() for _ in items]
        self.waiting += len(items)
        for item, future in zip(items, futures, strict=True):
            self._queue.put((item, future))
        try:
            return [await future for future in futures]
        finally:
            for future in futures:
                if not future.done():
                    future.cancel()
                elif not future.cancelled():
                    future.exception()  # seen, so that asyncio does not complain of the others of a request

    def close(self) -> None:
        """End the thread after what waits already."""
        self._queue.put(None)

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            last = False
            while len(batch) < self._most:
                try:
                    more = self._queue.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    last = True
                    break
                batch.append(more)
            self._compute(batch)
            if last:
                return

    def _compute(self, batch: Sequence[tuple[Item, "asyncio.Future[Answer]"]]) -> None:
        wanted = [(item, future) for item, future in batch if not future.cancelled()]
        answers: Sequence[Answer | Exception] = []
        if wanted:
            try:
                answers = self._work([item for item, _ in wanted])
            except Exception as error:
                answers = [error] * len(wanted)
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._deliver, len(batch), [future for _, future in wanted], answers)

    def _deliver(
        self, taken: int, futures: Sequence["asyncio.Future[Answer]"], answers: Sequence[Answer | Exception]
    ) -> None:
        self.waiting -= taken
        for future, answer in zip(futures, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

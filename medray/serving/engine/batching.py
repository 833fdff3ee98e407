"""Batcher: computes at once all that came in while the batch before was computed, without waiting for more.

One thread computes, and takes a batch as soon as the one before it is done: a single item where there is no other,
and large batches under load.
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
    """Too many items wait."""


class Batcher(Generic[Item, Answer]):
    """Runs `compute` on batches of at most `max_batch` items in a thread of its own.

    `compute` returns one answer for each item, in order; an exception among them is raised to the caller that sent
    the item, an exception of `compute` itself to all callers of that batch. At most `max_waiting` items wait.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[Item]], Sequence[Answer | Exception]],
        max_batch: int,
        max_waiting: int,
    ) -> None:
        self._compute, self._max_batch, self._max_waiting = compute, max_batch, max_waiting
        self._queue: queue.SimpleQueue[tuple[Item, asyncio.Future[Answer]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="batches", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self.waiting = 0

    async def __call__(self, items: Sequence[Item]) -> list[Answer]:
        """Return the answers to `items`, in their order.

        Raises:
            QueueFullError: too many wait; none of `items` was taken.
        """
        if self.waiting + len(items) > self._max_waiting:
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
                    future.exception()  # retrieved, else asyncio logs those of the other items of a request

    def close(self) -> None:
        """End the thread after what waits already."""
        self._queue.put(None)

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, is_last = [first], False
            while len(batch) < self._max_batch and not is_last:
                try:
                    entry = self._queue.get_nowait()
                except queue.Empty:
                    break
                if entry is None:
                    is_last = True
                else:
                    batch.append(entry)
            self._compute_batch(batch)
            if is_last:
                return

    def _compute_batch(self, batch: Sequence[tuple[Item, "asyncio.Future[Answer]"]]) -> None:
        pending = [(item, future) for item, future in batch if not future.cancelled()]
        answers: Sequence[Answer | Exception] = []
        if pending:
            try:
                answers = self._compute([item for item, _ in pending])
            except Exception as error:
                answers = [error] * len(pending)
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._deliver, len(batch), [future for _, future in pending], answers)

    def _deliver(
        self, count: int, futures: Sequence["asyncio.Future[Answer]"], answers: Sequence[Answer | Exception]
    ) -> None:
        self.waiting -= count
        for future, answer in zip(futures, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

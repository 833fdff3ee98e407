"""Batcher: computes at once all that came in while the batch before was computed, without waiting for more.

One thread computes, and takes a batch as soon as the one before it is done: a single item where there is no other,
and large batches under load. An item, such as the images of a case, is never divided.
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
    """Runs `compute` on batches in a thread of its own.

    `compute` returns one answer for each item, in order; an exception among them is raised to the caller that sent
    the item, an exception of `compute` itself to all callers of that batch. A batch holds at most `max_batch`
    images, or one item that has more, and at most `max_waiting` images wait; `size` says how many an item has.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[Item]], Sequence[Answer | Exception]],
        max_batch: int,
        max_waiting: int,
        size: Callable[[Item], int] = lambda _: 1,
    ) -> None:
        self._compute, self._max_batch, self._max_waiting, self._size = compute, max_batch, max_waiting, size
        self._queue: queue.SimpleQueue[tuple[Item, asyncio.Future[Answer]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="batches", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self.waiting = 0

    async def __call__(self, items: Sequence[Item]) -> list[Answer]:
        """Return the answers to `items`, in their order.

        Raises:
            QueueFullError: too many wait; none of `items` was taken.
        """
        images = sum(map(self._size, items))
        if self.waiting + images > self._max_waiting:
            raise QueueFullError(f"{self.waiting} images wait already")
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._thread.start()
        futures: list[asyncio.Future[Answer]] = [self._loop.create_future() for _ in items]
        self.waiting += images
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
        entry, is_last = self._queue.get(), False
        while entry is not None:
            batch, images = [entry], self._size(entry[0])
            entry = None  # what begins the next batch
            while entry is None and not is_last and images < self._max_batch:
                try:
                    following = self._queue.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    is_last = True
                elif images + self._size(following[0]) > self._max_batch:
                    entry = following
                else:
                    batch.append(following)
                    images += self._size(following[0])
            self._compute_batch(batch)
            if entry is None and not is_last:
                entry = self._queue.get()

    def _compute_batch(self, batch: Sequence[tuple[Item, "asyncio.Future[Answer]"]]) -> None:
        pending = [(item, future) for item, future in batch if not future.cancelled()]
        answers: Sequence[Answer | Exception] = []
        if pending:
            try:
                answers = self._compute([item for item, _ in pending])
            except Exception as error:
                answers = [error] * len(pending)
        assert self._loop is not None
        images = sum(self._size(item) for item, _ in batch)
        self._loop.call_soon_threadsafe(self._deliver, images, [future for _, future in pending], answers)

    def _deliver(
        self, images: int, futures: Sequence["asyncio.Future[Answer]"], answers: Sequence[Answer | Exception]
    ) -> None:
        self.waiting -= images
        for future, answer in zip(futures, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

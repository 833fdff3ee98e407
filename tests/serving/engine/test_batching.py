"""Batches: everybody gets the answer to what he asked, whatever else goes wrong in the same batch."""

import asyncio
import threading
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.serving.engine.batching import Batcher, QueueFullError

pytestmark = pytest.mark.component


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=5), min_size=1, max_size=20), st.integers(1, 8))
def test_answers_come_back_to_who_asked(requests: list[list[int]], max_batch: int) -> None:
    sizes = []

    def work(items: Sequence[int]) -> list[int | Exception]:
        sizes.append(len(items))
        return [ValueError(item) if item == 9 else item * 10 for item in items]

    async def run() -> None:
        batcher = Batcher(work, max_batch, 1000)
        answers = await asyncio.gather(*(batcher(request) for request in requests), return_exceptions=True)
        for request, answer in zip(requests, answers, strict=True):
            if 9 in request:
                assert isinstance(answer, ValueError)
            else:
                assert answer == [item * 10 for item in request]
        for _ in range(1000):  # the rest of a request that failed may be in a later batch
            if batcher.waiting:
                await asyncio.sleep(0.01)
        assert batcher.waiting == 0
        batcher.close()

    asyncio.run(run())
    assert max(sizes) <= max_batch


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=25), st.integers(1, 8))
def test_an_item_of_several_images_is_never_divided(items: list[int], max_batch: int) -> None:
    batches: list[list[int]] = []

    def work(batch: Sequence[int]) -> list[int | Exception]:
        batches.append(list(batch))
        return [item * 10 for item in batch]

    async def run() -> None:
        batcher = Batcher(work, max_batch, sum(items), lambda item: item)
        answers = await asyncio.gather(*(batcher([item]) for item in items))
        assert answers == [[item * 10] for item in items]
        assert batcher.waiting == 0
        batcher.close()
        with pytest.raises(QueueFullError):
            await Batcher(work, max_batch, sum(items) - 1, lambda item: item)(items)

    asyncio.run(run())
    assert [item for batch in batches for item in batch] == items
    assert all(sum(batch) <= max_batch or len(batch) == 1 for batch in batches)


def test_what_waits_is_taken_together_and_no_more_than_may_wait() -> None:
    first, go = threading.Event(), threading.Event()
    batches: list[list[int]] = []

    def work(items: Sequence[int]) -> list[int | Exception]:
        batches.append(list(items))
        first.set()
        go.wait(10)
        return list(items)

    async def run() -> None:
        batcher = Batcher(work, 8, 4)
        task = asyncio.create_task(batcher([0]))
        await asyncio.to_thread(first.wait, 10)
        others = [asyncio.create_task(batcher([n])) for n in (1, 2, 3)]
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError):
            await batcher([4])
        others[1].cancel()
        await asyncio.sleep(0)
        go.set()
        await task
        assert [await others[0], await others[2]] == [[1], [3]]
        batcher.close()

    asyncio.run(run())
    assert batches == [[0], [1, 3]]


def test_work_that_raises_is_told_to_all_and_ends_nothing() -> None:
    def work(items: Sequence[int]) -> list[int | Exception]:
        if 1 in items:
            raise OSError("the disk")
        return list(items)

    async def run() -> None:
        batcher = Batcher(work, 1, 10)
        answers = await asyncio.gather(batcher([1]), batcher([2]), return_exceptions=True)
        assert isinstance(answers[0], OSError)
        assert answers[1] == [2]
        batcher.close()

    asyncio.run(run())

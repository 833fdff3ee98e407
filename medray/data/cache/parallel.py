"""Work on many images by threads, in order, with few results at a time in memory."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

THREADS = min(32, (os.cpu_count() or 1) + 4)  # some of them wait for the disk
AHEAD = 4  # results of each thread that may wait to be taken


def in_order(do: Callable[[Item], Result], items: Iterable[Item]) -> Generator[Result, None, None]:
    """Do it with each item, and yield the results in the order of the items.

    Nothing more is begun while THREADS * AHEAD are under way or wait to be taken: all of the images of a large set
    would not fit into memory where they are taken more slowly than made. Nothing new is begun once the iterator is
    closed.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        try:
            for item in items:
                if len(waiting) == THREADS * AHEAD:
                    yield waiting.popleft().result()
                waiting.append(pool.submit(do, item))
            while waiting:
                yield waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()

"""Map a function over many images by threads, in order, with few results at a time in memory."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

THREADS = min(32, (os.cpu_count() or 1) + 4)  # some of them wait for the disk
AHEAD = 4  # results of each thread that may wait to be taken


def map_in_order(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int = THREADS
) -> Generator[Result, None, None]:
    """Yield the function's results in the order of the items.

    At most `threads` * AHEAD items are in progress or wait to be taken: where results are taken more slowly than
    made, all images of a large set would not fit into memory. Nothing new is started once the generator is closed.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                if len(waiting) == threads * AHEAD:
                    yield waiting.popleft().result()
                waiting.append(pool.submit(function, item))
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

"""Memory: a limit for the bytes of all request bodies held at once."""

import contextlib
from collections.abc import Iterator

from medray.serving.engine.problems import Kind, Problem


class Memory:
    """Counts the bytes of all bodies that are held at once, up to `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.held = 0

    @contextlib.contextmanager
    def claim(self) -> Iterator["Claim"]:
        """Yield a claim that grows, and is released at the end."""
        claim = Claim(self)
        try:
            yield claim
        finally:
            self.held -= claim.held

    def take(self, more: int) -> None:
        """Claim `more` bytes.

        Raises:
            Problem: they would exceed the limit now.
        """
        if self.held + more > self._limit:
            raise Problem(Kind.OVERLOADED, "too much is being sent at once; try again in a moment")
        self.held += more


class Claim:
    """One request's part of the memory."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.held = 0

    def grow(self, size: int) -> None:
        """Claim at least `size` bytes in all."""
        if size > self.held:
            self._memory.take(size - self.held)
            self.held = size

"""Memory for request bodies: how many bytes all requests may hold at once."""

import contextlib
from collections.abc import Iterator

from medray.serving.engine.problems import Problem


class Memory:
    """Counts the bytes of all bodies that are held at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.held = 0

    @contextlib.contextmanager
    def claim(self) -> Iterator["Claim"]:
        """Give a claim that is given back at the end."""
        claim = Claim(self)
        try:
            yield claim
        finally:
            self.held -= claim.held

    def take(self, more: int) -> None:
        """Count `more` bytes.

        Raises:
            Problem: there is no room for them now.
        """
        if self.held + more > self._most:
            raise Problem("overloaded", "too much is being sent at once; try again in a moment")
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

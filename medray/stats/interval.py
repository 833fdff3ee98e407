"""Interval: a figure with the ends of its interval, as a document."""

from dataclasses import dataclass

from medray.json_document import JsonDocument


@dataclass(frozen=True)
class Interval(JsonDocument):
    """A figure with the ends of its interval; None where it has no finite value, or no end on that side."""

    value: float | None
    low: float | None
    high: float | None

    def check(self) -> None:
        """Check that the ends stand in order, with the value between them."""
        known = [number for number in (self.low, self.value, self.high) if number is not None]
        if known != sorted(known):
            raise ValueError(f"{self.low} to {self.high} is no interval of {self.value}")

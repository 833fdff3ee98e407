"""Read a transform's arguments as albumentations does; whatever is unusual has no batched form.

Nothing is refused here for good: what these methods don't take goes to albumentations, which either knows it or
names what is wrong.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
Range = tuple[float, float]
NEAREST, LINEAR, CUBIC = 0, 1, 2  # OpenCV's numbers, as in a search space
CONSTANT, REPLICATE, REFLECT, REFLECT_101 = 0, 1, 2, 4


class NoBatchedForm(ValueError):  # noqa: N818
    """These arguments have no batched form, or are wrong."""


@dataclass(frozen=True)
class Sampling:
    """How images are sampled: `interpolation` and `border` as in OpenCV, `fill` by channel or one for all."""

    interpolation: int = LINEAR
    border: int = CONSTANT
    fill: tuple[float, ...] = (0.0,)


def by_channel(fill: Sequence[float], channels: int) -> tuple[float, ...]:
    """Return the fill of each channel; as in OpenCV, those that are not named are 0."""
    return (*fill, *[fill[0] if len(fill) == 1 else 0.0] * channels)[:channels]


class Arguments:
    """The arguments of a step; each method takes one, and `finish` refuses those that none took.

    Raises (all methods):
        NoBatchedForm: the value is of another type, or outside of what albumentations allows.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    def take(self, name: str, default: Any) -> Any:
        """Return the value of an argument as it is."""
        return self._values.pop(name, default)

    def finish(self) -> None:
        """Check that every argument has been taken."""
        if self._values:
            raise NoBatchedForm(f"arguments {list(self._values)}")

    def number(self, name: str, default: float, low: float = -math.inf, high: float = math.inf) -> float:
        """Return a number from low to high."""
        return _number(self.take(name, default), low, high)

    def flag(self, name: str, default: bool) -> bool:
        """Return true or false."""
        value = self.take(name, default)
        if not isinstance(value, bool):
            raise NoBatchedForm(f"{name} {value!r}")
        return value

    def choice(self, name: str, default: T, allowed: Sequence[T]) -> T:
        """Return one of the allowed values."""
        value = self.take(name, default)
        if isinstance(value, bool) or value not in allowed:
            raise NoBatchedForm(f"{name} {value!r}")
        return allowed[allowed.index(value)]

    def pair(self, name: str, default: Range, low: float = -math.inf, high: float = math.inf) -> Range:
        """Return two numbers from low to high, the first not above the second."""
        return _pair(self.take(name, default), low, high)

    def whole_pair(self, name: str, default: tuple[int, int], low: int) -> tuple[int, int]:
        """Return two whole numbers, `low` or more, the first not above the second."""
        first, last = self.pair(name, default, low)
        if first != int(first) or last != int(last):
            raise NoBatchedForm(f"{name} {first}, {last}")
        return int(first), int(last)

    def size(self, name: str) -> tuple[int, int]:
        """Return a height and a width, 1 or more each."""
        height, width = _numbers(self.take(name, None), 2)
        if height != int(height) or width != int(width) or min(height, width) < 1:
            raise NoBatchedForm(f"{name} {height}, {width}")
        return int(height), int(width)

    def symmetric(self, name: str, default: Range) -> Range:
        """Return the range of an argument whose one number `limit` stands for -limit to limit."""
        value = self.take(name, default)
        if isinstance(value, Sequence):
            first, last = _numbers(value, 2)
            return min(first, last), max(first, last)
        size = abs(_number(value))
        return -size, size

    def around(self, name: str, default: Range, middle: float, low: float, high: float) -> Range:
        """Return a range within low and high, of which one number stands for so much around the middle."""
        value = self.take(name, default)
        if isinstance(value, Sequence):
            return _pair(value, low, high)
        size = _number(value, 0)
        return max(middle - size, low), _number(middle + size, low, high)

    def from_low(self, name: str, default: Range, low: float, least: float) -> Range:
        """Return the range of an argument whose one number stands for `low` to it; no end lies below `least`."""
        value = self.take(name, default)
        first, last = _numbers(value, 2) if isinstance(value, Sequence) else (low, _number(value))
        return _pair((min(first, last), max(first, last)), least, math.inf)

    def fill(self) -> tuple[float, ...]:
        """Return the fill, from 0 to 255: of each channel, or one for all."""
        value = self.take("fill", 0)
        if isinstance(value, Sequence) and len(value) in (1, 3):
            return tuple(_number(each, 0, 255) for each in value)
        return (_number(value, 0, 255),)

    def sampling(self) -> Sampling:
        """Return how the images are sampled."""
        interpolation = self.choice("interpolation", LINEAR, (NEAREST, LINEAR, CUBIC))
        return Sampling(
            interpolation,
            self.choice("border_mode", CONSTANT, (CONSTANT, REPLICATE, REFLECT, REFLECT_101)),
            self.fill(),
        )


def by_axis(value: object, default: float, low: float = -math.inf) -> dict[str, Range]:
    """Return the ranges of x and y of an argument of Affine: a number, a range, or either by axis.

    Raises:
        NoBatchedForm: it is none of these, or a number lies below `low`.
    """
    if isinstance(value, Mapping):
        if not value or not set(value) <= {"x", "y"}:
            raise NoBatchedForm(f"{value!r}")
        return {axis: _either(value.get(axis, default), low) for axis in "xy"}
    return dict.fromkeys("xy", _either(value, low))


def _either(value: object, low: float) -> Range:
    if isinstance(value, Sequence):
        first, last = (_number(each, low) for each in _numbers(value, 2))
        return min(first, last), max(first, last)
    return _number(value, low), _number(value, low)


def _pair(value: object, low: float, high: float) -> Range:
    first, last = (_number(each, low, high) for each in _numbers(value, 2))
    if first > last:
        raise NoBatchedForm(f"{value!r}")
    return first, last


def _numbers(value: object, count: int) -> list[float]:
    if not isinstance(value, list | tuple) or len(value) != count:
        raise NoBatchedForm(f"{value!r}")
    return [_number(each) for each in value]


def _number(value: object, low: float = -math.inf, high: float = math.inf) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise NoBatchedForm(f"{value!r}")
    if not low <= value <= high:
        raise NoBatchedForm(f"{value!r}")
    return float(value)

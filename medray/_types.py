"""Types that all folders share: arrays, image shapes, progress callbacks."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
else:
    Array = Any  # NumPy costs 0.2 s, and `--help` needs none

Shape = tuple[int, int, int]  # height, width, channels

Progress = Callable[[str, int, int], None]  # what is counted, how many are done, of how many


def silent(message: str, done: int, total: int) -> None:
    """Ignore progress: the default of functions that report it."""

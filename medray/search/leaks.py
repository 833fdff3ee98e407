"""A search refuses data with leaks, whose figures would be too good to be true, unless leaks are allowed."""

from rich.console import Console

from medray._types import Progress, silent
from medray.audit.findings import Finding
from medray.console import say
from medray.data.dataset import ImageDataset
from medray.errors import DataError


def check_leaks(
    dataset: ImageDataset, source: str, console: Console, *, allowed: bool, progress: Progress = silent
) -> tuple[Finding, ...]:
    """Return the leaks between splits and between folds; `progress` counts the images that were looked at.

    Raises:
        DataError: there are leaks, and they are not `allowed`.
    """
    from medray.audit.audit import find_leaks

    leaks = find_leaks(dataset, progress).leaks
    if leaks and not allowed:
        more = f" (and {len(leaks) - 1} more kinds of leaks)" if len(leaks) > 1 else ""
        raise DataError(
            f"{source}: leak: {leaks[0].text}{more}; `medray data audit` lists them all; --allow-leaks starts all "
            "the same, and the evaluation will say so"
        )
    for leak in leaks:
        say(console, f"  leak, allowed: {leak.text}")
    return tuple(leaks)

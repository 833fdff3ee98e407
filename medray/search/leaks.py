"""A search does not start on data whose figures would be too good to be true, unless it is told to."""

from rich.console import Console

from medray._types import Progress, silent
from medray.audit.findings import Finding
from medray.console import say
from medray.data.dataset import ImageDataset
from medray.errors import DataError


def check_leaks(
    dataset: ImageDataset, source: str, console: Console, *, allowed: bool, progress: Progress = silent
) -> tuple[Finding, ...]:
    """Look for leaks between splits and between folds; return them.

    `progress` is told how many images of how many have been looked at.

    Raises:
        DataError: there are some, and they are not `allowed`.
    """
    from medray.audit.audit import find_leaks

    leaks = find_leaks(dataset, progress).leaks
    if leaks and not allowed:
        more = f" (and {len(leaks) - 1} more kinds of leaks)" if len(leaks) > 1 else ""
        raise DataError(
            f"{source}: leak: {leaks[0].text}{more}; `medray data audit` lists them all; --allow-leaks starts all "
            "the same, and the evaluation will say so"
        )
    for one in leaks:
        say(console, f"  leak, allowed: {one.text}")
    return tuple(leaks)

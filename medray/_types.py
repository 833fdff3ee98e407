"""How long work tells how far it has come, to whoever wants to know."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]  # what is done, how many are done, and of how many


def silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""

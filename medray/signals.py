"""Signals that end a command as Ctrl-C does, so that it keeps what it has done so far."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def ends_like_ctrl_c(number: signal.Signals) -> Iterator[None]:
    """Let this signal end a command as Ctrl-C does, also where a shell's `&` makes it ignore SIGINT.

    Only the main thread can handle signals: in another one nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {name: signal.getsignal(name) for name in (number, signal.SIGINT)}
    signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Let what is within end before Ctrl-C or SIGTERM takes effect: steps that belong together are all taken.

    A second one while the first waits takes effect at once: nobody waits for a disk that has gone. Only the main
    thread can handle signals: in another one nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting = list[int]()

    def wait(number: int, _: FrameType | None) -> None:
        if waiting:
            raise KeyboardInterrupt
        waiting.append(number)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handled = {number: handler for number, handler in before.items() if callable(handler)}
    try:
        for number in handled:
            signal.signal(number, wait)
        yield
    finally:
        for number, handler in handled.items():
            signal.signal(number, handler)
        if waiting:
            signal.raise_signal(waiting[0])


def _interrupt(_: int, frame: FrameType | None) -> None:
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):  # ignored
        raise KeyboardInterrupt
    handler(signal.SIGINT, frame)  # Tune installs its own

import signal
import threading

import pytest

from medray.signals import ends_like_ctrl_c, uninterrupted


@uninterrupted()
def three_steps(taken: list[str], number: signal.Signals) -> None:
    taken.append("first")
    with uninterrupted():
        signal.raise_signal(number)
        taken.append("second")
    taken.append("third")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_until_the_steps_that_belong_together_are_taken(number: signal.Signals) -> None:
    taken: list[str] = []
    handler = signal.getsignal(signal.SIGTERM)
    with ends_like_ctrl_c(signal.SIGTERM):
        with pytest.raises(KeyboardInterrupt):
            three_steps(taken, number)
        assert taken == ["first", "second", "third"]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(signal.SIGTERM) == handler


def test_a_second_signal_does_not_wait() -> None:
    taken: list[str] = []

    def wait_for_a_disk_that_has_gone() -> None:
        signal.raise_signal(signal.SIGINT)
        taken.append("waits")
        signal.raise_signal(signal.SIGINT)
        taken.append("waits on")

    with pytest.raises(KeyboardInterrupt):
        uninterrupted()(wait_for_a_disk_that_has_gone)()
    assert taken == ["waits"]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_in_another_thread_nothing_is_changed() -> None:
    handlers = []

    def steps() -> None:
        with uninterrupted():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=steps)
    thread.start()
    thread.join()
    assert handlers == [signal.default_int_handler]

"""Signals that end a process, made to clean up as Ctrl-C does."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

__all__ = ["Terminated", "terminated_as_interrupted"]

_NAMES: Final = ("SIGTERM", "SIGHUP")


class Terminated(KeyboardInterrupt):
    """The process was asked to end: whatever cleans up after Ctrl-C cleans up after this.

    Attributes:
        signal: signal that asked for it.
        exit_code: 128 and the signal's number, as a shell reports.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.signal = signal.Signals(number)
        self.exit_code = 128 + number


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Raise `Terminated` in the main thread on SIGTERM and SIGHUP, unless they are ignored."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        for name in _NAMES:
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, _raise)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise(number: int, _frame: object) -> NoReturn:
    # The first is enough: a second must not end the cleaning up.
    for name in _NAMES:
        if (each := getattr(signal, name, None)) and signal.getsignal(each) is _raise:
            signal.signal(each, signal.SIG_IGN)
    raise Terminated(number)

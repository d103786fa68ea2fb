"""Work shared between the caller's thread and a few helpers that live as long as the call."""

import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

__all__ = ["run_parallel", "start_in_thread"]

_T = TypeVar("_T")


def run_parallel(source: Iterator[_T], work: Callable[[_T], None], *, workers: int) -> None:
    """Call `work` on every item of `source`, from `workers` threads, this one among them.

    The next item is made (a batch tokenized) while the other threads work on theirs. Threads are
    started for the call: that takes 0.1 ms, and nothing idles, leaks or is lost in a fork.

    Raises:
        BaseException: the first that `source` or `work` raised, after all threads have stopped.
    """
    lock = threading.Lock()
    errors: list[BaseException] = []

    def loop() -> None:
        try:
            while not errors:
                with lock:
                    item = next(source, None)
                if item is None:
                    return
                work(item)
        # Any at all: it is raised again below, in the caller's thread.
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    helpers = [threading.Thread(target=loop, daemon=True) for _ in range(workers - 1)]
    for helper in helpers:
        helper.start()
    loop()
    try:
        for helper in helpers:
            helper.join()
    except BaseException as error:  # Ctrl-C: the helpers end with their batch, not with the source
        errors.append(error)
        raise
    if errors:
        raise errors[0]


def start_in_thread(function: Callable[[], _T]) -> Callable[[], _T]:
    """Start `function` on a thread of its own.

    Returns:
        A function that waits for it, and returns what it returned or raises what it raised.
    """
    results: list[_T] = []
    errors: list[BaseException] = []

    def target() -> None:
        try:
            results.append(function())
        # Any at all: it is raised again below, in the thread that asks for the result.
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    thread = threading.Thread(target=target, daemon=True)
    thread.start()

    def result() -> _T:
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    return result

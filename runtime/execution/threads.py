"""Work shared between the caller's thread and a few helpers that live as long as the call."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from types import TracebackType
from typing import Generic, Self, TypeVar

__all__ = ["BackgroundTasks", "run_parallel"]

_Source = TypeVar("_Source")
_Prepared = TypeVar("_Prepared")
_Batch = TypeVar("_Batch")
_Result = TypeVar("_Result")


def run_parallel(
    sources: Sequence[_Source],
    prepare: Callable[[_Source], _Prepared],
    plan: Callable[[_Prepared, bool], Iterable[_Batch]],
    work: Callable[[_Batch], None],
    *,
    workers: int,
) -> None:
    """Prepare every source, plan batches of them, and work on these, from `workers` threads.

    The caller's thread is one of them. Threads are started for the call: that takes 0.1 ms, and
    nothing idles, leaks or is lost in a fork.

    Args:
        sources: Sources in the order in which they are planned.
        prepare: Prepares a source (tokenizes its texts); called by several threads at once.
        plan: Takes what was prepared, in order, and whether it is the last; gives batches. Called
            by one thread at a time.
        work: Works on a batch; called by several threads at once.
        workers: Number of threads.

    Raises:
        BaseException: What `prepare`, `plan` or `work` raised, after all threads have stopped. If
            several sources failed, the error of the first.
    """
    feed = _Feed(sources, prepare, plan, work, workers)
    # No daemons: the interpreter must not end while one of them is in native code.
    helpers = [threading.Thread(target=feed.loop) for _ in range(workers - 1)]
    for helper in helpers:
        helper.start()
    feed.loop()
    try:
        for helper in helpers:
            helper.join()
    except BaseException as error:  # Ctrl-C: the helpers stop after what they are working on
        feed.fail(0, error)
        raise
    feed.raise_first()


class _Feed(Generic[_Source, _Prepared, _Batch]):
    """What the threads of one call share.

    A thread works on a batch if enough of them are ready for all threads, and prepares the next
    source if not: so sources are prepared only a few ahead.
    """

    def __init__(
        self,
        sources: Sequence[_Source],
        prepare: Callable[[_Source], _Prepared],
        plan: Callable[[_Prepared, bool], Iterable[_Batch]],
        work: Callable[[_Batch], None],
        workers: int,
    ) -> None:
        self._sources = sources
        self._prepare = prepare
        self._plan = plan
        self._work = work
        self._workers = workers
        self._changed = threading.Condition()
        self._claimed = self._planned = 0
        self._prepared: dict[int, _Prepared] = {}
        self._ready: deque[_Batch] = deque()
        self._errors: list[tuple[int, BaseException]] = []

    def loop(self) -> None:
        """Do what there is to do until all is done or something failed."""
        try:
            while step := self._next_step():
                step()
        # Any at all: it is raised again by `raise_first`, in the caller's thread.
        except BaseException as error:  # noqa: BLE001
            self.fail(len(self._sources), error)

    def fail(self, rank: int, error: BaseException) -> None:
        """Stop all threads; the error of the lowest rank is raised."""
        with self._changed:
            self._errors.append((rank, error))
            self._changed.notify_all()

    def raise_first(self) -> None:
        """Raise the error of the first source that failed, or the first of a batch."""
        if self._errors:
            raise min(self._errors, key=lambda failed: failed[0])[1]

    def _next_step(self) -> Callable[[], None] | None:
        with self._changed:
            while not self._errors:
                all_claimed = self._claimed == len(self._sources)
                if self._ready and (all_claimed or len(self._ready) >= self._workers):
                    return partial(self._work, self._ready.popleft())
                if not all_claimed:
                    self._claimed += 1
                    return partial(self._prepare_one, self._claimed - 1)
                if self._planned == len(self._sources):
                    return None
                self._changed.wait()
            return None

    def _prepare_one(self, index: int) -> None:
        try:
            prepared = self._prepare(self._sources[index])
        except BaseException as error:  # noqa: BLE001 - raised again by `raise_first`
            self.fail(index, error)
            return
        with self._changed:
            self._prepared[index] = prepared
            while self._planned in self._prepared:
                following = self._prepared.pop(self._planned)
                self._planned += 1
                self._ready.extend(self._plan(following, self._planned == len(self._sources)))
            self._changed.notify_all()


class BackgroundTasks:
    """Functions on threads of their own. None of them outlives the block.

    A thread that is in native code when the interpreter ends would take the process down with it:
    so a block that fails waits for its threads, too.
    """

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []

    def start(self, function: Callable[[], _Result]) -> Callable[[], _Result]:
        """Start `function`.

        Returns:
            A function that waits for it, and returns what it returned or raises what it raised.
        """
        results: list[_Result] = []
        errors: list[BaseException] = []

        def target() -> None:
            try:
                results.append(function())
            # Any at all: it is raised again below, in the thread that asks for the result.
            except BaseException as error:  # noqa: BLE001
                errors.append(error)

        thread = threading.Thread(target=target)
        self._threads.append(thread)
        thread.start()

        def result() -> _Result:
            thread.join()
            if errors:
                raise errors[0]
            return results[0]

        return result

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for thread in self._threads:
            thread.join()

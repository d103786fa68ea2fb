import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minilm.runtime.execution.threads import BackgroundTasks, run_parallel


def _one_batch_each(prepared: int, _last: bool) -> Iterator[int]:
    yield prepared


def _run(sources: Sequence[int], work: Callable[[int], None], workers: int) -> None:
    run_parallel(sources, lambda number: number, _one_batch_each, work, workers=workers)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_source_once(workers: int) -> None:
    done: list[int] = []
    _run(range(200), done.append, workers)
    assert sorted(done) == list(range(200))


def test_batches_are_worked_on_at_the_same_time() -> None:
    together = threading.Barrier(2, timeout=10)

    def work(_: int) -> None:
        together.wait()

    _run([0, 1], work, 2)


def test_sources_are_prepared_at_the_same_time() -> None:
    together = threading.Barrier(2, timeout=10)

    def prepare(number: int) -> int:
        together.wait()
        return number

    done: list[int] = []
    run_parallel([0, 1], prepare, _one_batch_each, done.append, workers=2)
    assert sorted(done) == [0, 1]


def test_a_batch_is_worked_on_while_a_source_is_prepared() -> None:
    together = threading.Barrier(2, timeout=10)

    def prepare(number: int) -> int:
        if number == 2:
            together.wait()
        return number

    def work(number: int) -> None:
        if number == 0:
            together.wait()

    run_parallel([0, 1, 2], prepare, _one_batch_each, work, workers=2)


@settings(max_examples=50, deadline=None)
@given(
    sources=st.integers(0, 60),
    workers=st.integers(1, 6),
    of_each=st.integers(0, 4),
    held=st.integers(1, 5),
)
def test_sources_are_planned_in_order(sources: int, workers: int, of_each: int, held: int) -> None:
    planned: list[tuple[int, bool]] = []
    done: list[int] = []

    def plan(number: int, last: bool) -> list[int]:
        planned.append((number, last))
        return [number] * of_each if len(planned) % held == 0 or last else []

    run_parallel(range(sources), lambda number: number, plan, done.append, workers=workers)
    assert planned == [(number, number == sources - 1) for number in range(sources)]
    full = [n for n in range(sources) if (n + 1) % held == 0 or n == sources - 1]
    assert sorted(done) == sorted(full * of_each)


def test_sources_are_prepared_only_a_few_ahead() -> None:
    prepared: list[int] = []
    most_ahead = 0

    def work(number: int) -> None:
        nonlocal most_ahead
        most_ahead = max(most_ahead, len(prepared) - number)

    def prepare(number: int) -> int:
        prepared.append(number)
        return number

    run_parallel(range(500), prepare, _one_batch_each, work, workers=3)
    assert most_ahead <= 8


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("where", ["prepare", "plan", "work"])
def test_an_error_stops_all_and_comes_out(workers: int, where: str) -> None:
    done: list[int] = []

    def fail(step: str, item: int) -> int:
        if step == where and item == 5:
            raise KeyError(item)
        return item

    before = threading.active_count()
    with pytest.raises(KeyError, match=r"^5$"):
        run_parallel(
            range(100_000),
            lambda item: fail("prepare", item),
            lambda item, _: [fail("plan", item)],
            lambda item: done.append(fail("work", item)),
            workers=workers,
        )
    assert len(done) < 100_000
    assert threading.active_count() == before


def test_the_error_of_the_first_source_comes_out() -> None:
    second_failed = threading.Event()

    def prepare(number: int) -> int:
        if number == 0:
            second_failed.wait(10)
        else:
            second_failed.set()
        raise KeyError(number)

    with pytest.raises(KeyError, match=r"^0$"):
        run_parallel([0, 1], prepare, _one_batch_each, print, workers=2)


def test_no_thread_is_a_daemon() -> None:
    """A daemon in native code at the end of the interpreter aborts the process."""
    daemons: list[bool] = []

    def work(_: int) -> None:
        daemons.append(threading.current_thread().daemon)

    _run(range(50), work, 3)
    with BackgroundTasks() as background:
        background.start(lambda: work(0))
    assert not any(daemons)


def test_background_results_and_errors() -> None:
    with BackgroundTasks() as background:
        assert background.start(lambda: 7)() == 7
        failing = background.start(lambda: int("no number"))
        with pytest.raises(ValueError, match="no number"):
            failing()


def test_a_block_that_fails_waits_for_its_threads() -> None:
    done: list[int] = []

    def slowly() -> None:
        time.sleep(0.05)
        done.append(1)

    def fail() -> None:
        with BackgroundTasks() as background:
            background.start(slowly)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert done == [1]

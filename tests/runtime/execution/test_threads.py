import threading
from collections.abc import Iterator

import pytest
from minilm.runtime.execution.threads import run_parallel, start_in_thread


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_item_once(workers: int) -> None:
    done: list[int] = []
    run_parallel(iter(range(200)), done.append, workers=workers)
    assert sorted(done) == list(range(200))


def _meet(others: threading.Barrier) -> None:
    others.wait()


def test_items_are_worked_on_at_the_same_time() -> None:
    together = threading.Barrier(2, timeout=10)
    run_parallel(iter([together, together]), _meet, workers=2)


def test_the_source_is_asked_by_one_thread_at_a_time() -> None:
    # A generator that is entered twice at once raises ValueError.
    def source() -> Iterator[int]:
        for number in range(2000):
            sum(range(50))
            yield number

    done: list[int] = []
    run_parallel(source(), done.append, workers=4)
    assert len(done) == 2000


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_stops_all_and_comes_out(workers: int) -> None:
    done: list[int] = []

    def work(item: int) -> None:
        if item == 5:
            raise KeyError(item)
        done.append(item)

    before = threading.active_count()
    with pytest.raises(KeyError):
        run_parallel(iter(range(100_000)), work, workers=workers)
    assert len(done) < 100_000
    assert threading.active_count() == before


def test_an_error_of_the_source_comes_out() -> None:
    with pytest.raises(ZeroDivisionError):
        run_parallel((1 // n for n in (1, 0)), lambda _: None, workers=2)


def test_background_results_and_errors() -> None:
    assert start_in_thread(lambda: 7)() == 7
    failing = start_in_thread(lambda: int("no number"))
    with pytest.raises(ValueError, match="no number"):
        failing()

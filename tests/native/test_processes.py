"""One encoder under many threads, over forks, and opened and closed many times."""

import gc
import multiprocessing
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from minilm.runtime.native import NativeEncoder

from tests.native.texts import packed, random_texts


def test_many_threads_at_once(library: Path, small_file: bytes) -> None:
    encoder = NativeEncoder(small_file, path=library)
    batches = [random_texts(range(1, 20), 50, seed) for seed in range(8)]
    expected = [encoder.encode(*packed(batch)) for batch in batches]

    def work(index: int) -> bool:
        vectors = encoder.encode(*packed(batches[index % 8]), threads=1 + index % 3)
        return bool((vectors == expected[index % 8]).all())

    with ThreadPoolExecutor(200) as pool:
        assert all(pool.map(work, range(1000)))


def test_call_releases_the_gil_and_leaves_no_thread(library: Path, small_file: bytes) -> None:
    encoder = NativeEncoder(small_file, path=library)
    texts = packed([[1] * 32] * 200)
    before = psutil.Process().num_threads()
    done = threading.Event()

    def work() -> None:
        for _ in range(20):
            encoder.encode(*texts, threads=2)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    steps = 0
    while not done.is_set():
        steps += 1
    thread.join()
    assert steps > 100
    deadline = time.monotonic() + 60
    while psutil.Process().num_threads() > before and time.monotonic() < deadline:
        time.sleep(0.01)  # one that the system has not run yet finds out first
    assert psutil.Process().num_threads() <= before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forks_under_load(library: Path, small_file: bytes) -> None:
    """Children use the encoder while the parent's threads are in the middle of calls."""
    encoder = NativeEncoder(small_file, path=library)
    texts = packed(random_texts(range(1, 30), 50))
    expected = encoder.encode(*texts).tobytes()
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            encoder.encode(*texts, threads=2)

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    try:
        context = multiprocessing.get_context("fork")
        for _ in range(10):
            queue = context.SimpleQueue()
            child = context.Process(
                target=lambda queue=queue: queue.put(encoder.encode(*texts, threads=2).tobytes())
            )
            child.start()
            assert queue.get() == expected
            child.join()
            assert child.exitcode == 0
    finally:
        stop.set()
        for worker in workers:
            worker.join()


def test_memory_is_flat_over_opening_and_closing(library: Path, small_file: bytes) -> None:
    texts = packed(random_texts(range(1, 30), 50))

    def cycles(count: int) -> int:
        for _ in range(count):
            encoder = NativeEncoder(small_file, path=library)
            encoder.encode(*texts, threads=2)
            encoder.close()
        gc.collect()
        return int(psutil.Process().memory_info().rss)

    before = cycles(500)
    assert cycles(1500) - before < 2_000_000


def test_closing_during_a_call_is_safe(library: Path, small_file: bytes) -> None:
    texts = packed([[1] * 32] * 300)
    for _ in range(20):
        encoder = NativeEncoder(small_file, path=library)
        with ThreadPoolExecutor(1) as pool:
            call = pool.submit(encoder.encode, *texts)
            while not call.running() and not call.done():
                pass
            encoder.close()
            assert call.exception() is not None or np.isfinite(call.result()).all()


def test_rounding_mode_of_the_caller_does_not_matter(library: Path, small_file: bytes) -> None:
    """A library that sets flush-to-zero or another rounding mode changes no byte."""
    import ctypes

    encoder = NativeEncoder(small_file, path=library)
    texts = packed(random_texts(range(1, 30), 50))
    expected = encoder.encode(*texts).tobytes()
    math = ctypes.CDLL(None)
    upward = 0x800 if os.uname().machine == "x86_64" else 0x400000  # FE_UPWARD, fenv.h
    assert math.fesetround(upward) == 0
    try:
        assert encoder.encode(*texts).tobytes() == expected
        assert math.fegetround() == upward
    finally:
        math.fesetround(0)

"""The gate between forks and native calls."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from minilm.runtime import load, loading
from minilm.runtime.forking import native_calls
from minilm.runtime.hardware.host import Host
from minilm.runtime.options import LoadOptions

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")


def _exit_code_of_child(code: int) -> int:
    """Fork; the child ends with `code`."""
    child = os.fork()
    if child == 0:
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _in_thread(inside: threading.Event, seconds: float, done: list[int]) -> threading.Thread:
    def work() -> None:
        with native_calls:
            inside.set()
            time.sleep(seconds)
            done.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
class TestGate:
    def test_a_fork_waits_for_native_calls(self) -> None:
        inside, done = threading.Event(), list[int]()
        thread = _in_thread(inside, 0.2, done)
        inside.wait()
        child = os.fork()
        if child == 0:
            os._exit(len(done))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
        thread.join()

    def test_a_call_goes_further_while_a_fork_waits(self) -> None:
        inside = threading.Event()

        def work() -> None:
            with native_calls:
                inside.set()
                time.sleep(0.1)  # the fork waits by now
                with native_calls:
                    pass

        thread = threading.Thread(target=work)
        thread.start()
        inside.wait()
        assert _exit_code_of_child(3) == 3
        thread.join()

    def test_a_thread_may_fork_inside_a_call(self) -> None:
        """As a signal handler does."""
        with native_calls:
            child = os.fork()
            if child == 0:
                with native_calls:
                    pass
                os._exit(5)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5

    def test_calls_go_on_after_forks(self) -> None:
        for _ in range(20):
            _exit_code_of_child(0)
        threads = [_in_thread(threading.Event(), 0, []) for _ in range(4)]
        for thread in threads:
            thread.join(10)
        assert not any(thread.is_alive() for thread in threads)

    def test_a_fork_waits_for_the_imports_of_a_load(
        self, monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path
    ) -> None:
        """To find out about the host may import, too."""
        inside, done = threading.Event(), list[int]()
        detect = loading._detect

        def slowly(options: LoadOptions) -> Host:
            inside.set()
            time.sleep(0.2)
            done.append(1)
            return detect(options)

        monkeypatch.setattr(loading, "_detect", slowly)
        thread = threading.Thread(target=lambda: load(tiny_bundle, target="native").close())
        thread.start()
        inside.wait()
        child = os.fork()
        if child == 0:
            os._exit(len(done))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
        thread.join()

    def test_no_lock_of_another_module_is_taken_while_a_fork_waits(self, tiny_bundle: Path) -> None:
        command = [sys.executable, "-c", _LOGGING_IMPORTED_LATER, str(tiny_bundle)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        assert (done.stdout, done.stderr) == ("0\n", "")


_LOGGING_IMPORTED_LATER = """
import faulthandler, os, sys, threading, time
from minilm.runtime import load
import concurrent.futures.thread, logging
faulthandler.dump_traceback_later(20, exit=True)
load(sys.argv[1], target="native").close()
from minilm.runtime.forking import native_calls
inside = threading.Event()
def work():
    with native_calls:
        inside.set()
        time.sleep(0.2)  # the fork waits by now
        logging.getLogger("some.library")
        with concurrent.futures.thread._global_shutdown_lock:
            pass
threading.Thread(target=work).start()
inside.wait()
child = os.fork()
if child == 0:
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_hooks_that_another_thread_adds_during_a_fork_leave_the_gate_open() -> None:
    """Then one more hook runs after the fork than ran before it."""
    gate = type(native_calls)()
    gate.before_fork()
    gate.after_fork_in_parent()
    gate.after_fork_in_parent()
    entered = threading.Event()

    def enter() -> None:
        with gate:
            entered.set()

    threading.Thread(target=enter, daemon=True).start()
    assert entered.wait(10)

"""Memory that was freed goes back to the system."""

import subprocess
import sys

import pytest

PROGRAM = """
import threading
from minilm.runtime.hardware.memory import return_freed_memory

def resident_megabytes():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6

def read_in_a_thread():
    thread = threading.Thread(target=lambda: b"x" * (24 << 20))
    thread.start()
    thread.join()

read_in_a_thread()  # glibc keeps blocks of the size that was freed once
return_freed_memory()
before = resident_megabytes()
read_in_a_thread()
print(resident_megabytes() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_content_of_a_large_file_is_returned_once_encoders_are_closed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 5

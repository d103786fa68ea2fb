"""The tests of kernels, arguments and damaged files once more, watched by the sanitizers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from minilm.runtime.native import build

from tests.support.native_library import ROOT, compiled

FLAGS = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
WATCHED = ("test_arguments.py", "test_kernels.py", "test_weight_files.py")


def runtime_libraries() -> list[str]:
    compiler = build.find_compiler()
    found = []
    for name in ("libasan.so", "libubsan.so"):
        done = subprocess.run(
            [*compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True
        )
        found.append(done.stdout.strip())
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="preloads GCC's sanitizers")
def test_no_read_or_write_outside_and_no_undefined_behaviour() -> None:
    libraries = runtime_libraries()
    if not all(Path(path).is_absolute() for path in libraries):
        pytest.skip("GCC's sanitizers are not installed")
    env = {
        **os.environ,
        "MINILM_TESTED_LIBRARY": str(compiled(*FLAGS)),
        "LD_PRELOAD": ":".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",  # Python's own leaks
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
    files = [f"tests/native/{name}" for name in WATCHED]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *files],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

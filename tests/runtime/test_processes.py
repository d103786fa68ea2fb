"""What an encoder does to its process, and what becomes of it in another."""

# Over 300 lines: programs that run in processes of their own stand beside their tests.

import json
import multiprocessing
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from minilm.runtime import Encoder, load
from minilm.verify.reference import PyTorchReference

_TEXTS = ["one text", "another text", "a third, somewhat longer text"] * 20


def _run(code: str, *arguments: object) -> dict[str, Any]:
    """Run `code` in a fresh interpreter; it prints one line of JSON."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _first_vector(encoder: Encoder) -> list[float]:
    vector: list[float] = encoder.encode(_TEXTS)[0].tolist()
    return vector


@pytest.mark.parametrize("target", ["cpu", "openvino"])
def test_pickled_by_path(target: str, tiny_bundle: Path) -> None:
    with load(tiny_bundle, target=target, threads=1, on_long="mean") as encoder:
        data = pickle.dumps(encoder)
        assert len(data) < 1000
        with pickle.loads(data) as other:
            assert other.variant == encoder.variant
            assert other.options == encoder.options
            np.testing.assert_array_equal(other.encode(_TEXTS), encoder.encode(_TEXTS))


def test_carried_to_spawned_processes(tiny: Encoder) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        vector = pool.apply(_first_vector, (tiny,))
    np.testing.assert_allclose(vector, tiny.encode(_TEXTS)[0], atol=1e-6)


def test_carried_by_joblib(tiny: Encoder) -> None:
    import joblib

    with joblib.parallel_config("loky", n_jobs=2):
        found = joblib.Parallel()(joblib.delayed(_first_vector)(tiny) for _ in range(4))
    np.testing.assert_allclose(found, [tiny.encode(_TEXTS)[0]] * 4, atol=1e-6)


def test_carried_by_cloudpickle(tiny: Encoder) -> None:
    """Ray and Spark send functions with it, and what these close over."""
    import cloudpickle

    data = cloudpickle.dumps(lambda: tiny.encode(_TEXTS)[0])
    assert len(data) < 10_000
    np.testing.assert_array_equal(pickle.loads(data)(), tiny.encode(_TEXTS)[0])


_FORK = """
import json, os, sys
from minilm.runtime import load
encoder = load(sys.argv[1], target=sys.argv[2], threads=2)
again = len(sys.argv) > 3
texts = ["some words in a text of the parent"] * 200
before = encoder.encode(texts)
read, write = os.pipe()
if os.fork() == 0:
    try:
        if again:
            encoder = load(sys.argv[1], target=sys.argv[2], threads=2)
        answer = {"same": bool(abs(encoder.encode(texts) - before).max() < 1e-6)}
    except BaseException as error:
        answer = {"error": type(error).__name__, "message": str(error)}
    os.write(write, json.dumps(answer).encode())
    os._exit(0)
os.close(write)
print(os.read(read, 10_000).decode())
os.wait()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
class TestFork:
    def test_onnxruntime_goes_on(self, tiny_bundle: Path) -> None:
        assert _run(_FORK, tiny_bundle, "cpu") == {"same": True}

    def test_openvino_says_that_it_must_be_loaded_again(self, tiny_bundle: Path) -> None:
        answer = _run(_FORK, tiny_bundle, "openvino")
        assert answer["error"] == "EncoderUnusable"
        assert "load the bundle again here, or start processes by" in answer["message"]

    @pytest.mark.parametrize("target", ["cpu", "openvino"])
    def test_loaded_again_it_works(self, target: str, tiny_bundle: Path) -> None:
        assert _run(_FORK, tiny_bundle, target, "again") == {"same": True}

    @pytest.mark.parametrize("act", ["encoder.close()", "del encoder", "pass"])
    def test_a_child_ends_whatever_it_does_with_the_parents(
        self, act: str, tiny_bundle: Path
    ) -> None:
        answer = _run(_FORK_AND_EXIT, tiny_bundle, "openvino", act)
        assert answer == {"code": 7}

    @pytest.mark.parametrize(("target", "code"), [("cpu", "0"), ("openvino", "4")])
    def test_forked_while_other_threads_encode(
        self, target: str, code: str, tiny_bundle: Path
    ) -> None:
        assert _run(_FORK_WHILE_ENCODING, tiny_bundle, target) == {code: 20}

    @pytest.mark.parametrize("target", ["cpu", "openvino"])
    def test_a_pool_forked_while_other_threads_encode(self, target: str, tiny_bundle: Path) -> None:
        expected = {"cpu": {"vectors": 8}, "openvino": {"EncoderUnusable": 8}}
        assert _run(_FORKED_POOL, tiny_bundle, target) == expected[target]

    @pytest.mark.parametrize("target", ["cpu", "openvino", "native"])
    def test_forked_while_another_thread_loads(self, target: str, tiny_bundle: Path) -> None:
        assert _run(_FORK_WHILE_LOADING, tiny_bundle, target) == {"0": 5}


_FORK_WHILE_ENCODING = """
import collections, json, os, signal, sys, threading, time
from minilm.runtime import load
from minilm.runtime.errors import EncoderUnusable
encoder = load(sys.argv[1], target=sys.argv[2], threads=2, on_long="truncate")
texts = ["some words in a text of the parent", "x " * 30] * 50
encoder.encode(texts)
sys.setswitchinterval(1e-5)
def work():
    while True:
        encoder.encode(texts)
        encoder.encode("short text")
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
codes = collections.Counter()
for number in range(20):
    time.sleep(0.007 * (number % 5))
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        try:
            encoder.encode(texts)
            encoder.encode("one")
            os._exit(0)
        except EncoderUnusable:
            os._exit(4)
        except BaseException:
            os._exit(9)
    codes[os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])] += 1
print(json.dumps(codes), flush=True)
os._exit(0)
"""

_FORKED_POOL = """
import collections, json, multiprocessing, os, sys, threading
from minilm.runtime import load
from minilm.runtime.errors import EncoderUnusable
encoder = load(sys.argv[1], target=sys.argv[2], threads=2, on_long="truncate")
texts = ["some words in a text of the parent"] * 100
encoder.encode(texts)
def work():
    while True:
        encoder.encode(texts)
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
def embed(text):
    try:
        encoder.encode([text] * 50)
        return "vectors"
    except EncoderUnusable as error:
        return type(error).__name__
with multiprocessing.get_context("fork").Pool(4, maxtasksperchild=1) as pool:
    found = pool.map_async(embed, ["a text"] * 8, chunksize=1).get(60)
print(json.dumps(collections.Counter(found)), flush=True)
os._exit(0)
"""

_FORK_WHILE_LOADING = """
import collections, json, os, signal, sys, threading, time
from minilm.runtime import load
def work():
    while True:
        load(sys.argv[1], target=sys.argv[2], threads=1).close()
for _ in range(2):
    threading.Thread(target=work, daemon=True).start()
codes = collections.Counter()
for number in range(5):
    time.sleep(0.1 * number)
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        load(sys.argv[1], target=sys.argv[2], threads=2).encode(["a text of some words"] * 100)
        os._exit(0)
    codes[os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])] += 1
print(json.dumps(codes), flush=True)
os._exit(0)
"""

_FORK_AND_EXIT = """
import json, os, sys
from minilm.runtime import load
encoder = load(sys.argv[1], target=sys.argv[2], threads=2)
encoder.encode(["some words in a text of the parent"] * 200)
child = os.fork()
if child == 0:
    exec(sys.argv[3])
    sys.exit(7)  # with all that an interpreter does at its end
print(json.dumps({"code": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}))
"""

_IDLE = """
import json, sys, time
from minilm.runtime import load
encoder = load(sys.argv[1], target=sys.argv[2])
encoder.encode(["some words"] * 500)
encoder.encode("one")
time.sleep(0.5)
before, start = time.process_time(), time.monotonic()
time.sleep(2)
print(json.dumps({"share": (time.process_time() - before) / (time.monotonic() - start)}))
"""


@pytest.mark.parametrize("target", ["cpu", "openvino"])
def test_idle_encoders_use_no_cpu(target: str, tiny_bundle: Path) -> None:
    assert _run(_IDLE, tiny_bundle, target)["share"] < 0.01


_MEMORY = """
import json, resource, sys
from minilm.runtime import load
encoder = load(sys.argv[1], target="cpu", precision="int8", on_long="truncate")
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
def embed(texts):
    for block in encoder.iter_encode(texts): pass
texts = (f"text number {n} " + "word " * (n % 50) for n in range(int(sys.argv[2])))
embed(f"text number {n} " + "word " * (n % 50) for n in range(3000))
before = peak()
exec(sys.argv[3])
print(json.dumps({"growth": peak() - before}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
class TestMemory:
    def test_a_stream_takes_no_more_than_its_start(self, tiny_bundle: Path) -> None:
        assert _run(_MEMORY, tiny_bundle, 8000, "embed(texts)")["growth"] < 10e6

    @pytest.mark.parametrize("unit", ["The quick brown fox. ", "😀"])
    def test_ten_megabytes_of_one_text(self, unit: str, tiny_bundle: Path) -> None:
        code = f"encoder.encode({unit!r} * (10_000_000 // len({unit!r}.encode())))"
        assert _run(_MEMORY, tiny_bundle, 0, code)["growth"] < 150e6


_CYCLES = """
import json, sys
from pathlib import Path
from minilm.runtime import load
def resident(): return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
def cycle():
    with load(sys.argv[1], target=sys.argv[2], threads=2, on_long="truncate") as encoder:
        encoder.encode(["some words of a text"] * 200)
for _ in range(20): cycle()
before = resident()
for _ in range(40): cycle()
print(json.dumps({"growth": resident() - before}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
@pytest.mark.parametrize("target", ["cpu", "openvino"])
def test_memory_stays_flat_over_many_loads(target: str, tiny_bundle: Path) -> None:
    assert _run(_CYCLES, tiny_bundle, target)["growth"] < 5e6


_TEN_MEGABYTES = """
import json, resource, sys
from minilm.runtime import load
encoder = load(sys.argv[1], target="cpu", precision="fp32", on_long="truncate")
encoder.encode("word " * 300)
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
text = sys.argv[2] * (10_000_000 // len(sys.argv[2].encode()))
before = peak()
vector = encoder.encode(text).tolist()
print(json.dumps({"growth": peak() - before, "vector": vector}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
@pytest.mark.parametrize("unit", ["The quick brown fox, it jumps. ", "a", "👩‍👩‍👧 "])
def test_ten_megabytes_are_what_the_original_makes_of_them(
    unit: str, bundle: Path, original: PyTorchReference
) -> None:
    found = _run(_TEN_MEGABYTES, bundle, unit)
    assert found["growth"] < 300e6
    (expected,) = original.encode([unit * (10_000_000 // len(unit.encode()))])
    assert float(np.array(found["vector"]) @ expected) > 0.99999


_OFFLINE = """
import json, socket, sys
def refuse(*_, **__): raise AssertionError("the network was asked for")
socket.socket = socket.create_connection = socket.getaddrinfo = refuse
from minilm.runtime import load
print(json.dumps({"size": load(sys.argv[1]).encode("offline").size}))
"""


def test_no_network(tiny_bundle: Path) -> None:
    assert _run(_OFFLINE, tiny_bundle) == {"size": 32}


_LOAD = """
import sys
from minilm.runtime import load
load(sys.argv[1], target=sys.argv[2]).encode("a text")
print("{}")
"""


@pytest.mark.parametrize("target", ["cpu", "openvino", "native"])
def test_no_backend_writes_into_the_home_directory(
    target: str, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ONNX Runtime does for its telemetry."""
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    _run(_LOAD, tiny_bundle, target)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written(tiny_copy: Path) -> None:
    for path in [tiny_copy, *tiny_copy.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {path: path.stat().st_mtime_ns for path in tiny_copy.rglob("*")}
    time.sleep(0.01)
    for target in ("cpu", "openvino"):
        load(tiny_copy, target=target).encode("read only")
    assert {path: path.stat().st_mtime_ns for path in tiny_copy.rglob("*")} == before
    tiny_copy.chmod(0o755)

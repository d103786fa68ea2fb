"""Thousands of texts from several threads: the same vectors, and no thread waits for ever."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# The watchdog needs no interpreter lock: it ends the process even if a thread hangs with it.
_STRESS = """
import faulthandler, random, sys, threading
import numpy as np
from minilm.runtime import load
faulthandler.dump_traceback_later(90, exit=True)
sys.setswitchinterval(1e-6)
encoder = load(sys.argv[1], target=sys.argv[2], precision=sys.argv[3], threads=4)
rng = random.Random(7)
words = "a text of some words that says no more than it must and is short".split()
texts = [" ".join(rng.choices(words, k=rng.randint(1, 25))) for _ in range(2900)]
found, barrier = {}, threading.Barrier(4)
def work(number):
    barrier.wait()
    for _ in range(2):
        encoder.encode(texts[number])
        found[number] = encoder.encode(texts)
        next(encoder.iter_encode(texts, batch_size=100))
threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
one_by_one = np.stack([encoder.encode(text) for text in texts[:200]])
for vectors in found.values():
    assert ((vectors[:200] * one_by_one).sum(axis=1) > 0.999).all()
print(len(found))
"""

_FIRST_USE = """
import faulthandler, sys, threading
from minilm.runtime import load
faulthandler.dump_traceback_later(60, exit=True)
sys.setswitchinterval(1e-6)
encoders = [load(sys.argv[1], target=sys.argv[2], precision=sys.argv[3]) for _ in range(2)]
barrier = threading.Barrier(8)
def work(encoder):
    barrier.wait()
    encoder.encode("first")
threads = [threading.Thread(target=work, args=(encoders[n % 2],)) for n in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(threads))
"""

# Half of the threads load, the others load and embed, and one encoder is there from the start: no
# order of first load, first batch, second load may hang.
_LOADS = """
import faulthandler, sys, threading
from minilm.runtime import load
faulthandler.dump_traceback_later(90, exit=True)
sys.setswitchinterval(1e-6)
open_one = lambda: load(sys.argv[1], target=sys.argv[2], precision=sys.argv[3], threads=1)
early = open_one() if sys.argv[4] == "early" else None
barrier = threading.Barrier(8)
vectors = []
def work(number):
    barrier.wait()
    encoder = early if early is not None and number % 4 == 0 else open_one()
    if number % 2 == 0:
        vectors.append(encoder.encode("first").tobytes())
threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
vectors.append(open_one().encode("first").tobytes())
print(len(vectors), len(set(vectors)))
"""

_FORKED_WHILE_LOADING = """
import faulthandler, os, sys, threading, time
from minilm.runtime import load
from minilm.runtime.backends import openvino as backend
faulthandler.dump_traceback_later(90, exit=True)
encoder = load(sys.argv[1], target=sys.argv[2], precision=sys.argv[3], threads=1)
held = threading.Event()
def hold():
    with backend._binding.alone_at_first():
        held.set()
        time.sleep(60)
threading.Thread(target=hold, daemon=True).start()
held.wait()
if os.fork() == 0:
    load(sys.argv[1], target=sys.argv[2], precision=sys.argv[3], threads=1).encode("first")
    os._exit(7)
print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
os._exit(0)
"""


def _run(code: str, bundle: Path, variant: str, *more: str) -> str:
    command = [sys.executable, "-c", code, str(bundle), *variant.split("/"), *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("variant", ["cpu/fp32", "openvino/bf16"])
def test_many_texts_from_many_threads(variant: str, tiny_bundle: Path) -> None:
    assert _run(_STRESS, tiny_bundle, variant) == "4"


@pytest.mark.parametrize("variant", ["cpu/int8", "openvino/bf16"])
def test_the_first_use_is_by_several_threads(variant: str, tiny_bundle: Path) -> None:
    assert _run(_FIRST_USE, tiny_bundle, variant) == "8"


@pytest.mark.parametrize("when", ["late", "early"])
@pytest.mark.parametrize("variant", ["cpu/int8", "openvino/bf16"])
def test_loads_by_several_threads_at_once(variant: str, when: str, tiny_bundle: Path) -> None:
    assert _run(_LOADS, tiny_bundle, variant, when) == "5 1"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_fork_in_the_middle_of_a_load_can_load(tiny_bundle: Path) -> None:
    assert _run(_FORKED_WHILE_LOADING, tiny_bundle, "openvino/bf16") == "7"

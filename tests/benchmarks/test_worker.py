import io
import json
import os
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.harness.client import Client, WorkerError
from benchmarks.harness.environments import ROOT
from benchmarks.harness.worker import Worker, serve
from benchmarks.peers import Opened


def fake_encode(texts: Sequence[str], /) -> npt.NDArray[np.float32]:
    if "bad" in texts:
        raise ValueError("no such text\nand more lines")
    return np.array([[len(text), 1] for text in texts], dtype=np.float32)


def fake_peer(name: str) -> Any:
    assert name == "benchmarks.peers.fake"
    module = types.SimpleNamespace()
    module.open_peer = lambda files, options: Opened(
        encode=fake_encode, about=f"{files} {options['precision']}"
    )
    return module


def talk(*requests: dict[str, Any]) -> list[dict[str, Any]]:
    said = io.StringIO()
    lines = io.StringIO("".join(json.dumps(request) + "\n" for request in requests))
    serve(lines, said, Worker(fake_peer))
    return [json.loads(line) for line in said.getvalue().splitlines()]


LOAD = {"do": "load", "module": "fake", "files": "here", "options": {"precision": "int8"}}


def test_worker_loads_and_encodes(tmp_path: Path) -> None:
    path = tmp_path / "vectors.npy"
    texts = ["a", "bcd", "ef"]
    loaded, kept, encoded, single, usage = talk(
        LOAD,
        {"do": "texts", "name": "short", "texts": texts},
        {"do": "encode", "name": "short", "path": str(path)},
        {"do": "singly", "name": "short", "count": 2},
        {"do": "usage"},
    )
    assert loaded["about"] == "here int8"
    assert kept == {}
    assert encoded["seconds"] > 0
    assert np.load(path)[:, 0].tolist() == [1, 3, 2]
    assert len(single["seconds"]) == 2
    assert usage["cpu_seconds"] > 0
    if sys.platform == "linux":
        assert usage["resident_bytes"] > 1e6


def test_a_stream_reports_memory_after_each_block() -> None:
    *_, found = talk(
        LOAD,
        {"do": "texts", "name": "short", "texts": ["a", "b"]},
        {"do": "stream", "name": "short", "count": 3000},
    )
    assert len(found["resident_bytes"]) == 3
    assert found["step"] == 1000


def test_an_error_is_a_reply_and_the_worker_goes_on() -> None:
    *_, failed, fine = talk(
        LOAD,
        {"do": "texts", "name": "short", "texts": ["bad"]},
        {"do": "encode", "name": "short"},
        {"do": "usage"},
    )
    assert failed == {"error": "ValueError: no such text"}
    assert "error" not in fine


def test_nothing_runs_before_a_peer_is_loaded() -> None:
    *_, failed = talk(
        {"do": "texts", "name": "short", "texts": ["a"]}, {"do": "encode", "name": "short"}
    )
    assert failed == {"error": "RuntimeError: no peer is loaded"}


@pytest.fixture
def loud_package(tmp_path: Path) -> Path:
    """A `benchmarks` whose only peer prints, panics or dies as the text says."""
    package = tmp_path / "benchmarks"
    (package / "harness").mkdir(parents=True)
    (package / "__init__.py").write_text("", encoding="utf-8")
    for name in ("__init__.py", "worker.py"):
        source = ROOT / "benchmarks" / "harness" / name
        (package / "harness" / name).write_text(source.read_text("utf-8"), encoding="utf-8")
    peers = package / "peers"
    peers.mkdir()
    (peers / "__init__.py").write_text((ROOT / "benchmarks/peers/__init__.py").read_text("utf-8"))
    (peers / "loud.py").write_text(
        "import os, sys, time\n"
        "from benchmarks.peers import Opened\n"
        "class Panic(BaseException): pass\n"
        "def encode(texts):\n"
        "    print('noise on standard output')\n"
        "    if texts == ['panic']: raise Panic('a panic')\n"
        "    if texts == ['die']: print('last words', file=sys.stderr, flush=True); os._exit(3)\n"
        "    if texts == ['hang']: time.sleep(60)\n"
        "def open_peer(files, options): return Opened(encode=encode)\n",
        encoding="utf-8",
    )
    return tmp_path


def start(package: Path, timeout_seconds: float = 20.0) -> Client:
    client = Client(Path(sys.executable), package, os.environ, timeout_seconds=timeout_seconds)
    client.ask("load", module="loud", files="", options={})
    return client


def test_output_of_a_peer_does_not_reach_the_replies(loud_package: Path) -> None:
    with start(loud_package) as client:
        client.ask("texts", name="short", texts=["fine"])
        assert client.ask("encode", name="short")["seconds"] >= 0
        client.ask("texts", name="short", texts=["panic"])
        with pytest.raises(WorkerError, match=r"^encode: Panic: a panic$"):
            client.ask("encode", name="short")
        assert "cpu_seconds" in client.ask("usage")


def test_a_dead_process_is_named_with_its_last_words(loud_package: Path) -> None:
    with start(loud_package) as client:
        client.ask("texts", name="short", texts=["die"])
        with pytest.raises(WorkerError, match=r"^encode: the process ended or hung: last words$"):
            client.ask("encode", name="short")


def test_a_hanging_process_is_ended(loud_package: Path) -> None:
    with start(loud_package, timeout_seconds=3.0) as client:
        client.ask("texts", name="short", texts=["hang"])
        with pytest.raises(WorkerError, match=r"^encode: the process ended or hung"):
            client.ask("encode", name="short")

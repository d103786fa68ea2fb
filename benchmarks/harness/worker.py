"""The process that runs one peer and does what it is told, a line of JSON at a time.

A request is `{"do": NAME, ...}`; the reply has what was asked for, or `{"error": MESSAGE}`.
What the peer prints goes to standard error: replies have a channel of their own.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final, TextIO

from benchmarks.peers import Encode, Opened

__all__ = ["Worker", "main", "serve"]

_STREAM_BLOCK: Final = 1000


class Worker:
    """One peer and the texts it was given.

    Every public method is a request: its arguments are the request's fields, its result the reply.
    """

    def __init__(self, import_peer: Callable[[str], Any] = import_module) -> None:
        self._import = import_peer
        self._opened: Opened | None = None
        self._texts: dict[str, list[str]] = {}

    def load(self, module: str, files: str, options: Mapping[str, str]) -> dict[str, Any]:
        """Open a peer."""
        opened: Opened = self._import(f"benchmarks.peers.{module}").open_peer(Path(files), options)
        opened.encode(["a text"])
        self._opened = opened
        return {"about": opened.about, **self.usage()}

    def texts(self, name: str, texts: list[str]) -> dict[str, Any]:
        """Keep texts under a name."""
        self._texts[name] = texts
        return {}

    def encode(self, name: str, path: str | None = None) -> dict[str, Any]:
        """Embed texts; seconds. With a path, the vectors are saved there as .npy."""
        texts, encode = self._texts[name], self._encode
        start = time.perf_counter()
        vectors = encode(texts)
        seconds = time.perf_counter() - start
        if path is not None:
            import numpy as np

            np.save(path, vectors)
        return {"seconds": seconds}

    def singly(self, name: str, count: int) -> dict[str, Any]:
        """Embed the first `count` texts, one call each; seconds of each."""
        encode, seconds = self._encode, []
        for text in self._texts[name][:count]:
            one = [text]
            start = time.perf_counter()
            encode(one)
            seconds.append(time.perf_counter() - start)
        return {"seconds": seconds}

    def stream(self, name: str, count: int) -> dict[str, Any]:
        """Embed `count` texts, those of `name` again and again; memory after each thousand."""
        texts, resident = cycle(self._texts[name]), []
        for _ in range(count // _STREAM_BLOCK):
            self._encode(list(islice(texts, _STREAM_BLOCK)))
            resident.append(_resident_bytes())
        return {"resident_bytes": resident, "step": _STREAM_BLOCK}

    def usage(self) -> dict[str, Any]:
        """Resident memory in bytes (None where the system does not say), CPU time in seconds."""
        return {"resident_bytes": _resident_bytes(), "cpu_seconds": time.process_time()}

    @property
    def _encode(self) -> Encode:
        if self._opened is None:
            raise RuntimeError("no peer is loaded")
        return self._opened.encode


def serve(requests: TextIO, replies: TextIO, worker: Worker) -> None:
    """Answer requests until there are no more."""
    for line in requests:
        request = json.loads(line)
        method = getattr(worker, request.pop("do"))
        try:
            reply = method(**request)
        # Peers raise anything, and pyo3's panics are no Exception; the other side has to hear it.
        except BaseException as error:  # noqa: BLE001
            first = (str(error).strip() or "no message").splitlines()[0]
            reply = {"error": f"{type(error).__name__}: {first}"}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def main() -> None:
    """Serve standard input; keep standard output for replies."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as replies:
        os.dup2(2, 1)
        serve(sys.stdin, replies, Worker())


def _resident_bytes() -> int | None:
    try:
        pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    except OSError:
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")

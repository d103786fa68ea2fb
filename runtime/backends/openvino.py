"""OpenVINO: one stream of one thread for each core, on a graph that takes any shape.

A shape that comes back costs nothing; a new one costs some ms and stays in memory: if rows were not
padded to few widths, a process would come to 640 MB. A graph compiled for one shape alone does not
pay. Even with matrix tiles (AMX), and every one compiled beforehand, short texts were 17% slower on
nine such graphs, each with weights of its own, and long ones 11% faster, for half a second and
100 MB each.
"""

import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from weakref import WeakSet

import numpy as np
import numpy.typing as npt
from minilm.runtime.backends import Session, Vectors
from minilm.runtime.errors import InvalidArtifact, UsageError
from minilm.runtime.manifest import Variant

__all__ = ["OpenVinoOptions", "open_session"]

_OUTPUT: Final = "sentence_embedding"
_INPUTS: Final = ("input_ids", "attention_mask")
_BUDGET_TOKENS: Final = 512
_LANES: Final = 16
"""Rows are padded to a multiple of this, the floats of a vector of 512 bits: softmax adds up a row
that does not fill its last vector in another order, and int8 codes that move by one then make a
text's vector depend on the batch. So padded, 2,500 texts had the same bits alone and in batches."""

# OpenVINO's binding fills tables of NumPy's types at the first use, under a guard of C++ that it
# waits for with the interpreter lock held: two threads there at once wait for each other for ever
# (seen in 2026.4.1, in every other run of eight first batches). So the first batch of a process
# runs alone, and until it is done nothing is loaded beside it, nor beside another load.
_first = threading.Lock()
_first_done = threading.Event()


_sessions: "WeakSet[_OpenVinoSession]" = WeakSet()


def _survive_fork() -> None:
    """In a forked child: make the lock anew, and let no graph of the parent's be freed.

    Whoever held the lock is not here to let go of it. And freeing a graph waits for its threads,
    which are not here either: the child would abort or hang, when it exits at the latest.
    """
    global _first  # noqa: PLW0603 - a lock cannot be made anew in place
    _first = threading.Lock()
    if _sessions:
        import ctypes

        for session in _sessions:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_survive_fork)


@dataclass(frozen=True, kw_only=True)
class OpenVinoOptions:
    """How to run a graph.

    Attributes:
        threads: streams of one thread each.
        max_tokens: width of the longest row.
        cache_dir: where OpenVINO keeps what it compiled, so that the next process need not.
    """

    threads: int
    max_tokens: int
    cache_dir: Path | None = None


def open_session(
    variant: Variant, graph: bytes, weights: bytes, options: OpenVinoOptions
) -> Session:
    """Make a session of a graph.

    Args:
        variant: what the graph is.
        graph: content of its .xml file.
        weights: content of its .bin file.
        options: how to run it.

    Raises:
        InvalidArtifact: OpenVINO cannot read the graph.
        UsageError: `cache_dir` cannot be used.
    """
    with _alone_at_first():
        return _OpenVinoSession(variant, graph, weights, options)


@contextmanager
def _alone_at_first() -> Iterator[None]:
    """Keep every other thread out of the binding, unless a batch has gone through it before."""
    if _first_done.is_set():
        yield
        return
    with _first:
        yield


class _OpenVinoSession:
    def __init__(
        self, variant: Variant, graph: bytes, weights: bytes, options: OpenVinoOptions
    ) -> None:
        import openvino as ov

        self.workers = options.threads
        self.budget_tokens = _BUDGET_TOKENS
        self.survives_fork = False
        self._limit = options.max_tokens
        config: dict[str, Any] = {
            "NUM_STREAMS": str(options.threads),
            "INFERENCE_NUM_THREADS": options.threads,
            "PERFORMANCE_HINT": "THROUGHPUT" if options.threads > 1 else "LATENCY",
        }
        if options.cache_dir is not None:
            config["CACHE_DIR"] = str(_usable(options.cache_dir))
        core: Any = ov.Core()
        try:
            model = core.read_model(graph, weights)
            output = next(out for out in model.outputs if _OUTPUT in out.get_names())
            # Without the token vectors, which nobody reads and each run would write.
            model = ov.Model([output], model.get_parameters(), variant.name)
            self._compiled = core.compile_model(model, "CPU", config)
        except (RuntimeError, StopIteration) as error:
            raise InvalidArtifact(
                f"OpenVINO {ov.__version__} cannot read {variant.files[0]}: {error}"
            ) from error
        self._idle: deque[Any] = deque()
        _sessions.add(self)

    def width(self, tokens: int) -> int:
        return min(-(-tokens // _LANES) * _LANES, self._limit)

    def run(self, ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> Vectors:
        if _first_done.is_set():
            return self._infer(ids, mask)
        with _alone_at_first():
            vectors = self._infer(ids, mask)
            _first_done.set()
        return vectors

    def _infer(self, ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> Vectors:
        # A request serves one thread at a time.
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        feed = dict(zip(_INPUTS, (ids, mask), strict=True))
        outputs = request.infer(feed, share_inputs=True, share_outputs=True)
        vectors = np.array(outputs[0], dtype=np.float32)
        # Only now: another thread may take it, and with it the memory of the outputs.
        self._idle.append(request)
        return vectors


def _usable(cache_dir: Path) -> Path:
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cache_dir {cache_dir} cannot be used: {error}") from error
    return cache_dir

"""OpenVINO: one stream of one thread for each core, on shapes that come back.

The dynamic graph takes any shape and is compiled once, at load. On CPUs with matrix tiles (AMX) a
static shape runs 20 to 25% faster, elsewhere 2 to 8%, for half a second and some 50 MB each: there
a full batch gets a graph of its own once its shape has come a few times. Rows are padded to one of
a few widths, so that shapes do come back.
"""

import os
import threading
from collections import Counter, deque
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
_BUDGET_TOKENS: Final = 1024
_WIDTHS: Final = (8, 12, 16, 20, 24, 32, 40, 48, 64, 96, 128, 192, 256, 384, 512)
_COMMON: Final = 4
"""Times that a shape has to come before it is worth a compilation."""

_Shape = tuple[int, int]

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
        static_shapes: compile a graph for each shape that is common.
        cache_dir: where OpenVINO keeps what it compiled, so that the next process need not.
    """

    threads: int
    max_tokens: int
    static_shapes: bool = False
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


class _Compiled:
    """A compiled graph and its idle requests: each serves one thread at a time."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self._idle: deque[Any] = deque()

    def run(self, ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> Vectors:
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


class _OpenVinoSession:
    def __init__(
        self, variant: Variant, graph: bytes, weights: bytes, options: OpenVinoOptions
    ) -> None:
        import openvino as ov

        self.workers = options.threads
        self.budget_tokens = _BUDGET_TOKENS
        self.survives_fork = False
        limit = options.max_tokens
        self._widths = (*(width for width in _WIDTHS if width < limit), limit)
        self._config: dict[str, Any] = {
            "NUM_STREAMS": str(options.threads),
            "INFERENCE_NUM_THREADS": options.threads,
            "PERFORMANCE_HINT": "THROUGHPUT" if options.threads > 1 else "LATENCY",
        }
        if options.cache_dir is not None:
            self._config["CACHE_DIR"] = str(_usable(options.cache_dir))
        self._core: Any = ov.Core()
        try:
            model = self._core.read_model(graph, weights)
            output = next(out for out in model.outputs if _OUTPUT in out.get_names())
            # Without the token vectors, which nobody reads and each run would write.
            self._model: Any = ov.Model([output], model.get_parameters(), variant.name)
            self._any_shape = _Compiled(self._compile(None))
        except (RuntimeError, StopIteration) as error:
            raise InvalidArtifact(
                f"OpenVINO {ov.__version__} cannot read {variant.files[0]}: {error}"
            ) from error
        self._static: dict[_Shape, _Compiled] = {}
        self._seen: Counter[_Shape] = Counter()
        self._compiling = threading.Lock()
        self._makes_static = options.static_shapes
        if not options.static_shapes:
            self._model = None
        _sessions.add(self)

    def width(self, tokens: int) -> int:
        return next(width for width in self._widths if width >= tokens)

    def run(self, ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> Vectors:
        shape = ids.shape[0], ids.shape[1]
        if _first_done.is_set():
            return self._graph_for(shape).run(ids, mask)
        with _alone_at_first():
            vectors = self._graph_for(shape).run(ids, mask)
            _first_done.set()
        return vectors

    def _graph_for(self, shape: _Shape) -> _Compiled:
        """The graph of that very shape if there is one or it is time to have it."""
        if not self._makes_static:
            return self._any_shape
        found = self._static.get(shape)
        if found is None and self._is_common(shape) and self._compiling.acquire(blocking=False):
            # The other threads go on meanwhile, on the graph of any shape.
            try:
                found = self._static[shape] = _Compiled(self._compile(shape))
            finally:
                self._compiling.release()
        return found or self._any_shape

    def _is_common(self, shape: _Shape) -> bool:
        height, width = shape
        if height not in {1, max(1, _BUDGET_TOKENS // width)}:
            return False
        self._seen[shape] += 1
        return self._seen[shape] >= _COMMON

    def _compile(self, shape: _Shape | None) -> Any:
        model = self._model
        if shape is not None:
            model = model.clone()
            model.reshape({name: list(shape) for name in _INPUTS})
        return self._core.compile_model(model, "CPU", self._config)


def _usable(cache_dir: Path) -> Path:
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cache_dir {cache_dir} cannot be used: {error}") from error
    return cache_dir

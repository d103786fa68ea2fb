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
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from weakref import WeakSet

import numpy as np
from minilm.runtime.backends import Session, SessionOptions
from minilm.runtime.backends.batch import TokenBatch, Vectors, rows_of_equal_length
from minilm.runtime.errors import InvalidArtifact, UsageError
from minilm.runtime.manifest import Variant

__all__ = ["open_session"]

_OUTPUT: Final = "sentence_embedding"
_INPUTS: Final = ("input_ids", "attention_mask")
_GROUP_SIZE: Final = "DYNAMIC_QUANTIZATION_GROUP_SIZE"
_BUDGET_TOKENS: Final = 512
_LANES: Final = 16
"""Rows are padded to a multiple of this, the floats of a vector of 512 bits: softmax adds up a row
that does not fill its last vector in another order, and int8 codes that move by one then make a
text's vector depend on the batch. So padded, 2,500 texts had the same bits alone and in batches."""


class _BindingGuard:
    """Keeps threads and forks apart inside OpenVINO's Python binding.

    The binding fills tables of NumPy's types at the first use, under a guard of C++ that it waits
    for with the interpreter lock held: two threads there at once wait for each other for ever
    (seen in 2026.4.1, in every other run of eight first batches). So the first batch of a process
    runs alone, and until it is done nothing is loaded beside it, nor beside another load.
    """

    def __init__(self) -> None:
        self._first = threading.Lock()
        self._first_done = threading.Event()
        self._sessions: WeakSet[_OpenVinoSession] = WeakSet()

    @contextmanager
    def alone_at_first(self) -> Iterator[None]:
        """Keep every other thread out of the binding until a batch has passed through it."""
        if self._first_done.is_set():
            yield
            return
        with self._first:
            yield

    @property
    def first_is_done(self) -> bool:
        """Whether a batch has passed through the binding."""
        return self._first_done.is_set()

    def finish_first(self) -> None:
        """Let threads in side by side from now on."""
        self._first_done.set()

    def keep(self, session: "_OpenVinoSession") -> None:
        """Keep the session alive in forked children."""
        self._sessions.add(session)

    def after_fork_in_child(self) -> None:
        """Make the lock anew, and let no graph of the parent's be freed.

        The thread that held the lock is not in the child. Nor are those that freeing a graph waits
        for: the child would abort or hang, when it exits at the latest.
        """
        self._first = threading.Lock()
        if self._sessions:
            import ctypes

            for session in self._sessions:
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))


_binding: Final = _BindingGuard()
"""One for the process, as the binding's tables are."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_binding.after_fork_in_child)


def open_session(variant: Variant, files: Mapping[str, bytes], options: SessionOptions) -> Session:
    """Make a session of a graph.

    Raises:
        InvalidArtifact: OpenVINO cannot read the graph.
        UsageError: `cache_dir` cannot be used.
    """
    graph, weights = (files[name] for name in variant.files)
    with _binding.alone_at_first():
        return _OpenVinoSession(variant, graph, weights, options)


class _OpenVinoSession:
    def __init__(
        self, variant: Variant, graph: bytes, weights: bytes, options: SessionOptions
    ) -> None:
        import openvino as ov

        self.workers = options.threads
        self.budget_tokens = _BUDGET_TOKENS
        self.survives_fork = False
        self._max_tokens = options.max_tokens
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
            pruned = ov.Model([output], model.get_parameters(), variant.name)
            self._compiled = core.compile_model(pruned, "CPU", config | _options_of(model))
        except (RuntimeError, StopIteration) as error:
            raise InvalidArtifact(
                f"OpenVINO {ov.__version__} cannot read {variant.files[0]}: {error}"
            ) from error
        self._idle: deque[Any] = deque()
        _binding.keep(self)

    def padded_length(self, tokens: int) -> int:
        return min(-(-tokens // _LANES) * _LANES, self._max_tokens)

    def rows_within(self, budget_tokens: int, lengths: Iterable[int]) -> int:
        return rows_of_equal_length(self.padded_length(next(iter(lengths))), budget_tokens)

    def run(self, batch: TokenBatch) -> Vectors:
        if _binding.first_is_done:
            return self._infer(batch)
        with _binding.alone_at_first():
            vectors = self._infer(batch)
            _binding.finish_first()
        return vectors

    def _infer(self, batch: TokenBatch) -> Vectors:
        # A request serves one thread at a time.
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        tensors = batch.padded(self.padded_length(batch.longest))
        feed = dict(zip(_INPUTS, tensors, strict=True))
        outputs = request.infer(feed, share_inputs=True, share_outputs=True)
        vectors = np.array(outputs[0], dtype=np.float32)
        # Only now: another thread may take it, and with it the memory of the outputs.
        self._idle.append(request)
        return vectors


def _options_of(model: Any) -> dict[str, str]:
    """The options that the file asks for; OpenVINO reads them of a whole model alone."""
    place = ["runtime_options", _GROUP_SIZE]
    return {_GROUP_SIZE: model.get_rt_info(place).astype(str)} if model.has_rt_info(place) else {}


def _usable(cache_dir: Path) -> Path:
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cache_dir {cache_dir} cannot be used: {error}") from error
    return cache_dir

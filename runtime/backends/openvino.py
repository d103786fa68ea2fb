"""OpenVINO: static shapes, compiled when first needed, on one stream for each core.

A dynamic graph costs 20 to 25% and a compilation for each new shape. Here a row is padded to one of
a few widths, and a batch is either one row or as many as the budget allows: sixteen shapes in all.
"""

import threading
from collections import deque
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from minilm.runtime.backends import Session, Vectors
from minilm.runtime.errors import InvalidArtifact, UsageError
from minilm.runtime.manifest import Variant

__all__ = ["open_session"]

_OUTPUT: Final = "sentence_embedding"
_INPUTS: Final = ("input_ids", "attention_mask")
_BUDGET_TOKENS: Final = 1024
_WIDTHS: Final = (16, 24, 32, 48, 64, 128, 256, 512)


def open_session(
    variant: Variant,
    graph: bytes,
    weights: bytes,
    *,
    threads: int,
    max_tokens: int,
    cache_dir: Path | None = None,
) -> Session:
    """Make a session of a graph.

    Args:
        variant: what the graph is.
        graph: content of its .xml file.
        weights: content of its .bin file.
        threads: streams of one thread each.
        max_tokens: width of the longest row.
        cache_dir: where OpenVINO keeps what it compiled, so that the next process need not.

    Raises:
        InvalidArtifact: OpenVINO cannot read the graph.
        UsageError: `cache_dir` cannot be written.
    """
    return _OpenVinoSession(variant, graph, weights, threads, max_tokens, cache_dir)


class _OpenVinoSession:
    survives_fork = False

    def __init__(
        self,
        variant: Variant,
        graph: bytes,
        weights: bytes,
        threads: int,
        max_tokens: int,
        cache_dir: Path | None,
    ) -> None:
        import openvino as ov

        self.workers = threads
        self.budget_tokens = _BUDGET_TOKENS
        self._widths = (*(width for width in _WIDTHS if width < max_tokens), max_tokens)
        self._core = ov.Core()
        self._config: dict[str, Any] = {
            "NUM_STREAMS": str(threads),
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "THROUGHPUT" if threads > 1 else "LATENCY",
        }
        if cache_dir is not None:
            _check_cache_dir(cache_dir)
            self._config["CACHE_DIR"] = str(cache_dir)
        try:
            model = self._core.read_model(graph, weights)
            output = next(out for out in model.outputs if _OUTPUT in out.get_names())
        except (RuntimeError, StopIteration) as error:
            raise InvalidArtifact(
                f"OpenVINO {ov.__version__} cannot read {variant.files[0]}: {error}"
            ) from error
        # Without the token vectors, which nobody reads and each run would copy.
        self._model: Any = ov.Model([output], model.get_parameters(), variant.name)
        self._weights = weights
        self._idle: dict[tuple[int, int], deque[Any]] = {}
        self._compiled: dict[tuple[int, int], Any] = {}
        self._compiling = threading.Lock()

    def width(self, tokens: int) -> int:
        return next(width for width in self._widths if width >= tokens)

    def height(self, width: int, budget_tokens: int) -> int:  # noqa: ARG002
        # The shape is compiled: a smaller share of the budget would cost as much.
        return max(1, _BUDGET_TOKENS // width)

    def run(self, ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> Vectors:
        rows, width = ids.shape
        height = 1 if rows == 1 else self.height(width, _BUDGET_TOKENS)
        if rows > height:
            parts = [
                self.run(ids[start : start + height], mask[start : start + height])
                for start in range(0, rows, height)
            ]
            return np.concatenate(parts)
        if rows < height:
            ids = np.concatenate([ids, np.repeat(ids[-1:], height - rows, axis=0)])
            mask = np.concatenate([mask, np.repeat(mask[-1:], height - rows, axis=0)])
        request, idle = self._take(height, width)
        try:
            outputs = request.infer(
                dict(zip(_INPUTS, (ids, mask), strict=True)), share_inputs=True, share_outputs=True
            )
            return np.array(outputs[0][:rows], dtype=np.float32)
        finally:
            idle.append(request)

    def close(self) -> None:
        self._idle.clear()
        self._compiled.clear()
        self._model = self._core = None

    def _take(self, height: int, width: int) -> tuple[Any, deque[Any]]:
        """A request of that shape which no other thread uses, and where to put it back."""
        shape = (height, width)
        if shape not in self._compiled:
            with self._compiling:
                if shape not in self._compiled:
                    self._idle[shape] = deque()
                    self._compiled[shape] = self._compile(shape)
        idle = self._idle[shape]
        try:
            return idle.pop(), idle
        except IndexError:
            return self._compiled[shape].create_infer_request(), idle

    def _compile(self, shape: tuple[int, int]) -> Any:
        model = self._model.clone()
        model.reshape({name: list(shape) for name in _INPUTS})
        return self._core.compile_model(model, "CPU", self._config)


def _check_cache_dir(cache_dir: Path) -> None:
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cache_dir {cache_dir} cannot be used: {error}") from error

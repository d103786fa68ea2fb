"""ONNX Runtime: one session of one thread, called by several threads at once.

A session with a thread pool splits each operator, waits at each end, and spins while it waits. One
without a pool, run by as many callers as there are cores, shares one copy of the weights, was 10 to
15% faster on short texts, uses nothing when idle, and survives a fork.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from minilm.runtime.backends import Session, Vectors
from minilm.runtime.errors import BackendUnavailable, InvalidArtifact
from minilm.runtime.hardware.cuda import PROVIDER
from minilm.runtime.manifest import Variant

__all__ = ["open_session"]

_OUTPUT: Final = "sentence_embedding"
_BUDGET_TOKENS: Final = {"cpu": 512, "cuda": 16384}
_LOG_ERRORS_ONLY: Final = 3
_CUDA_OPTIONS: Final = {
    # TF32 rounds the Q/DQ graph's products to 10 bits: on an H200 a text's vectors, alone and in a
    # padded batch, agreed to 0.9988 with it and to 0.9992 without, and speed is within a tenth.
    "use_tf32": "0",
    # Bit 4, fused attention where it fits, else products: by default cuDNN plans 40 ms for each new
    # length, and is no faster then.
    "sdpa_kernel": "4",
}


def open_session(
    variant: Variant, graph: bytes, *, threads: int, provider: str | None = None
) -> Session:
    """Make a session of a graph.

    Args:
        variant: what the graph is.
        graph: content of its file.
        threads: that may run at once.
        provider: to run on; the target's own by default.

    Raises:
        BackendUnavailable: ONNX Runtime has no such provider, or did not take the graph to it.
        InvalidArtifact: ONNX Runtime cannot read the graph.
    """
    return _OnnxSession(variant, graph, threads, provider)


class _OnnxSession:
    def __init__(self, variant: Variant, graph: bytes, threads: int, provider: str | None) -> None:
        import onnxruntime as ort

        target_provider = PROVIDER if variant.target == "cuda" else None
        wanted = provider or target_provider or "CPUExecutionProvider"
        on_cpu = wanted == "CPUExecutionProvider"
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        # The graphs for the CPU are optimized when they are built, and better: ONNX Runtime finds
        # nothing in them that runs faster, short texts or long, and at level BASIC looks for it
        # for 6 of the 26 ms that loading int8 takes (medians of 9).
        if variant.target == "cpu":
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = _LOG_ERRORS_ONLY
        # Every batch has its own shape: a memory pattern for each costs memory and 5 to 30% time.
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        own = (wanted, _CUDA_OPTIONS) if wanted == PROVIDER else wanted
        providers = [wanted] if on_cpu else [own, "CPUExecutionProvider"]
        try:
            self._session: Any = ort.InferenceSession(graph, options, providers=providers)
        except _errors() as error:
            raise InvalidArtifact(
                f"ONNX Runtime {ort.__version__} cannot read {variant.files[0]}: {error}"
            ) from error
        # It keeps the file, should a provider be set later: as much memory again as the weights.
        self._session._model_bytes = None  # noqa: SLF001 - there is no public way
        if wanted not in self._session.get_providers():
            raise BackendUnavailable(
                f"{variant.name} was to run on {wanted}, and ONNX Runtime {ort.__version__} fell "
                f"back to {', '.join(self._session.get_providers())}: its drivers are missing"
            )
        self.workers = threads if on_cpu else 1
        self.budget_tokens = _BUDGET_TOKENS["cpu" if on_cpu else "cuda"]
        self.survives_fork = on_cpu

    def width(self, tokens: int) -> int:
        return tokens

    def run(self, ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> Vectors:
        feed = {"input_ids": ids, "attention_mask": mask}
        vectors: Vectors = self._session.run([_OUTPUT], feed)[0]
        return vectors


def _errors() -> tuple[type[Exception], ...]:
    """ONNX Runtime's exceptions, which have no base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    found = [value for value in vars(state).values() if isinstance(value, type)]
    return (RuntimeError, *(value for value in found if issubclass(value, Exception)))

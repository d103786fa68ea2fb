"""ONNX Runtime: one session of one thread, called by several threads at once.

A session with a thread pool splits each operator, waits at each end, and spins while it waits. One
without a pool, run by as many callers as there are cores, shares one copy of the weights, was 10 to
15% faster on short texts, uses nothing when idle, and survives a fork.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from minilm.runtime.backends import BACKENDS, CPU_PROVIDER, Session, SessionOptions
from minilm.runtime.backends.batch import TokenBatch, Vectors, rows_of_equal_length
from minilm.runtime.backends.external_data import external_files
from minilm.runtime.backends.requirements import install_line
from minilm.runtime.errors import BackendUnavailable, InvalidArtifact
from minilm.runtime.hardware.cuda import PROVIDER as CUDA_PROVIDER
from minilm.runtime.manifest import Variant

__all__ = ["open_session"]

_OUTPUT: Final = "sentence_embedding"
_CPU_BUDGET_TOKENS: Final = 512
_GPU_BUDGET_TOKENS: Final = 16384
_LOG_ERRORS_ONLY: Final = 3
_SIGNS_OF_AGE: Final = (
    "NOT_IMPLEMENTED",
    "Unsupported model IR version",
    "is under development and support for this is limited",
)
"""In messages about graphs that a later ONNX Runtime reads."""
_CUDA_OPTIONS: Final = {
    # TF32 rounds the Q/DQ graph's products to 10 bits: on an H200 a text's vectors, alone and in a
    # padded batch, agreed to 0.9988 with it and to 0.9992 without, and speed is within a tenth.
    "use_tf32": "0",
    # Bit 4, fused attention where it fits, else products: by default cuDNN plans 40 ms for each new
    # length, and is no faster then.
    "sdpa_kernel": "4",
}


def open_session(variant: Variant, files: Mapping[str, bytes], options: SessionOptions) -> Session:
    """Make a session of a graph.

    Raises:
        BackendUnavailable: ONNX Runtime has no such provider, or did not take the graph to it.
        InvalidArtifact: ONNX Runtime cannot read the graph, or the graph keeps weights elsewhere.
    """
    graph = files[variant.files[0]]
    _refuse_external_data(variant.files[0], graph)
    return _OnnxSession(variant, graph, options)


def _refuse_external_data(name: str, graph: bytes) -> None:
    """ONNX Runtime would read such a file from the working directory: no manifest covers it.

    Raises:
        InvalidArtifact: The graph keeps tensors in other files, or is no ONNX model.
    """
    try:
        paths = external_files(graph)
    except ValueError as error:
        raise InvalidArtifact(f"cannot read {name}: not an ONNX model: {error}") from error
    if paths:
        raise InvalidArtifact(
            f"{name} keeps weights in {', '.join(map(repr, paths))}: a bundle's graph is one file "
            "that holds them all; build the bundle again"
        )


class _OnnxSession:
    def __init__(self, variant: Variant, graph: bytes, options: SessionOptions) -> None:
        import onnxruntime as ort

        own = BACKENDS[variant.backend].provider or CPU_PROVIDER
        provider = options.provider or own
        on_cpu = provider == CPU_PROVIDER
        settings = ort.SessionOptions()
        settings.intra_op_num_threads = 1
        settings.inter_op_num_threads = 1
        # The graphs for the CPU are optimized when they are built, and better: ONNX Runtime finds
        # nothing in them that runs faster, short texts or long, and at level BASIC looks for it
        # for 6 of the 26 ms that loading int8 takes (medians of 9).
        if own == CPU_PROVIDER:
            settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        settings.log_severity_level = _LOG_ERRORS_ONLY
        # Every batch has its own shape: a memory pattern for each costs memory and 5 to 30% time.
        settings.enable_mem_pattern = False
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        first = (provider, _CUDA_OPTIONS) if provider == CUDA_PROVIDER else provider
        providers = [provider] if on_cpu else [first, CPU_PROVIDER]
        try:
            self._session: Any = ort.InferenceSession(graph, settings, providers=providers)
        except _errors() as error:
            cause = " ".join(str(error).split())
            if any(sign in cause for sign in _SIGNS_OF_AGE):
                extra = BACKENDS[variant.backend].extra
                raise BackendUnavailable(
                    f"{variant.name} is newer than ONNX Runtime {ort.__version__} ({cause}): "
                    f"{install_line(extra, upgrade=True)}"
                ) from error
            raise InvalidArtifact(
                f"ONNX Runtime {ort.__version__} cannot read {variant.files[0]}: {cause}"
            ) from error
        # It keeps the file, should a provider be set later: as much memory again as the weights.
        self._session._model_bytes = None  # noqa: SLF001 - there is no public way
        if provider not in self._session.get_providers():
            raise BackendUnavailable(
                f"{variant.name} was to run on {provider}, and ONNX Runtime {ort.__version__} fell "
                f"back to {', '.join(self._session.get_providers())}: its drivers are missing"
            )
        self.workers = options.threads if on_cpu else 1
        self.budget_tokens = _CPU_BUDGET_TOKENS if on_cpu else _GPU_BUDGET_TOKENS
        self.survives_fork = on_cpu

    def rows_within(self, budget_tokens: int, lengths: Iterable[int]) -> int:
        return rows_of_equal_length(next(iter(lengths)), budget_tokens)

    def run(self, batch: TokenBatch) -> Vectors:
        ids, mask = batch.padded(batch.longest)
        feed = {"input_ids": ids, "attention_mask": mask}
        vectors: Vectors = self._session.run([_OUTPUT], feed)[0]
        return vectors


def _errors() -> tuple[type[Exception], ...]:
    """ONNX Runtime's exceptions, which have no base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    found = [value for value in vars(state).values() if isinstance(value, type)]
    return (RuntimeError, *(value for value in found if issubclass(value, Exception)))

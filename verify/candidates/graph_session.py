"""A graph run as it stands in its file, without the loader: padding is chosen here.

The loader sorts and pads to be fast, and hides what padding does to a graph; other runtimes pad
as they like, so the graph itself is judged too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
from minilm.runtime.errors import BackendUnavailable, InvalidArtifact
from minilm.runtime.hardware.cpu import available_cores

__all__ = ["GraphOutputs", "GraphSession", "match_outputs", "open_session", "pad_batch", "pool"]

_SENTENCE: Final = ("sentence_embedding", "sentence_embeddings")
_STATES: Final = ("last_hidden_state", "token_embeddings")
_INPUTS: Final = ("input_ids", "attention_mask", "token_type_ids", "position_ids")

Array = npt.NDArray[Any]
Outputs = Mapping[str, npt.NDArray[np.float32]]


class GraphSession(Protocol):
    """A graph that takes token ids and a mask."""

    def run(self, ids: Array, mask: Array) -> Outputs:
        """Outputs by name, float32, for int64 (batch, tokens) ids and mask."""

    def close(self) -> None:
        """Let go of the graph's memory."""


def open_session(path: Path, *, threads: int | None = None) -> GraphSession:
    """Open an ONNX file or an OpenVINO IR on the CPU.

    Args:
        path: `.onnx` or `.xml`.
        threads: to compute with; None for as many as there are cores to use.

    Raises:
        BackendUnavailable: the backend for that kind of file is not installed.
        InvalidArtifact: the file cannot be opened, or its inputs are not a text encoder's.
    """
    count = threads or available_cores()[0]
    graph: _OnnxSession | _OpenVinoSession
    if path.suffix == ".onnx":
        graph = _OnnxSession(path, count)
    elif path.suffix == ".xml":
        graph = _OpenVinoSession(path, count)
    else:
        raise InvalidArtifact(f"{path} is neither an ONNX file nor an OpenVINO IR (.onnx, .xml)")
    strange = sorted(set(graph.inputs) - set(_INPUTS))
    if strange or "input_ids" not in graph.inputs:
        raise InvalidArtifact(
            f"{path} takes the inputs {', '.join(graph.inputs)}: expected input_ids and "
            "attention_mask (and perhaps token_type_ids, position_ids), as text encoders do"
        )
    return graph


def pad_batch(
    rows: Sequence[Sequence[int]], *, to: int | None = None, fill: int = 0
) -> tuple[Array, Array]:
    """Token ids as one block.

    Args:
        rows: token ids of each text.
        to: tokens of the block; None for the longest row.
        fill: id of the padding token.

    Returns:
        Ids and mask, int64, (texts, tokens).
    """
    width = to or max(map(len, rows))
    ids = np.full((len(rows), width), fill, dtype=np.int64)
    mask = np.zeros((len(rows), width), dtype=np.int64)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = row
        mask[place, : len(row)] = 1
    return ids, mask


def pool(states: Array, mask: Array, pooling: str) -> npt.NDArray[np.float64]:
    """Sentence vectors from token vectors, not normalized.

    Args:
        states: float, (batch, tokens, dimension).
        mask: int64, (batch, tokens).
        pooling: "mean" or "cls".

    Returns:
        float64, (batch, dimension).
    """
    wide = states.astype(np.float64)
    if pooling == "cls":
        return np.asarray(wide[:, 0])
    weights = mask[:, :, None].astype(np.float64)
    return np.asarray((wide * weights).sum(axis=1) / weights.sum(axis=1))


@dataclass(frozen=True, kw_only=True)
class GraphOutputs:
    """The outputs of a run, at least one of them there.

    Attributes:
        sentence: float, (batch, dimension), or None.
        states: float, (batch, tokens, dimension), or None.
    """

    sentence: Array | None
    states: Array | None

    def pooled(self, mask: Array, pooling: str) -> Array:
        """Sentence vectors, pooled from token vectors if the graph did not."""
        if self.sentence is not None:
            return self.sentence
        assert self.states is not None
        return pool(self.states, mask, pooling)


def match_outputs(outputs: Outputs, graph: str = "the graph") -> GraphOutputs:
    """Tell the outputs of a run apart.

    An output of another name counts where it is the only one of its rank. BERT's `pooler_output` is
    no sentence vector: it was made for guessing the next sentence.

    Args:
        outputs: name to array.
        graph: what a message calls it.

    Raises:
        InvalidArtifact: the outputs can be neither, or it cannot be told which they are.
    """
    found: list[Array | None] = []
    for rank, names in ((2, _SENTENCE), (3, _STATES)):
        known = [outputs[name] for name in names if name in outputs]
        others = [v for name, v in outputs.items() if v.ndim == rank and name != "pooler_output"]
        found.append(known[0] if known else others[0] if len(others) == 1 else None)
    if all(value is None for value in found):
        has = ", ".join(f"{name} {tuple(value.shape)}" for name, value in outputs.items())
        raise InvalidArtifact(
            f"{graph} gives {has}: expected sentence_embedding, last_hidden_state or "
            "token_embeddings, or one output of that rank"
        )
    return GraphOutputs(sentence=found[0], states=found[1])


def _feeds(inputs: Sequence[str], ids: Array, mask: Array) -> dict[str, Array]:
    every = {
        "input_ids": ids,
        "attention_mask": mask,
        "token_type_ids": np.zeros_like(ids),
        "position_ids": np.broadcast_to(np.arange(ids.shape[1]), ids.shape).copy(),
    }
    return {name: every[name] for name in inputs}


class _OnnxSession:
    def __init__(self, path: Path, threads: int) -> None:
        try:
            import onnxruntime as ort
        except ImportError as error:
            raise BackendUnavailable(
                f"{path.name} needs ONNX Runtime, which is not installed: "
                'pip install "minilm-toolkit[cpu]"'
            ) from error
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads
        # Threads that spin between two runs take the cores from the variant judged beside this.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        # ONNX Runtime's errors share no base but Exception.
        except Exception as error:
            raise InvalidArtifact(f"ONNX Runtime cannot open {path}: {error}") from error
        self.inputs = tuple(item.name for item in self._session.get_inputs())
        self._names = [item.name for item in self._session.get_outputs()]

    def run(self, ids: Array, mask: Array) -> Outputs:
        found = self._session.run(None, _feeds(self.inputs, ids, mask))
        return {
            name: np.asarray(value, dtype=np.float32)
            for name, value in zip(self._names, found, strict=True)
        }

    def close(self) -> None:
        del self._session


class _OpenVinoSession:
    def __init__(self, path: Path, threads: int) -> None:
        try:
            import openvino as ov
        except ImportError as error:
            raise BackendUnavailable(
                f"{path.name} needs OpenVINO, which is not installed: "
                'pip install "minilm-toolkit[openvino]"'
            ) from error
        config = {"INFERENCE_NUM_THREADS": threads}
        try:
            self._model = ov.Core().compile_model(str(path), "CPU", config)
        except RuntimeError as error:
            raise InvalidArtifact(f"OpenVINO cannot open {path}: {error}") from error
        self.inputs = tuple(port.get_any_name() for port in self._model.inputs)
        self._request = self._model.create_infer_request()

    def run(self, ids: Array, mask: Array) -> Outputs:
        found = self._request.infer(_feeds(self.inputs, ids, mask))
        return {
            port.get_any_name(): np.array(value, dtype=np.float32) for port, value in found.items()
        }

    def close(self) -> None:
        del self._request, self._model

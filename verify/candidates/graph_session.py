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
from minilm.runtime.errors import InvalidArtifact
from minilm.runtime.hardware.cpu import available_cores
from minilm.verify.candidates.graph_backends import (
    GraphBackend,
    OnnxBackend,
    OpenVinoBackend,
    Outputs,
)
from minilm.verify.candidates.weight_file import WEIGHT_FILE_SUFFIX

__all__ = ["GraphOutputs", "GraphSession", "match_outputs", "open_session", "pad_batch", "pool"]

_SENTENCE: Final = ("sentence_embedding", "sentence_embeddings")
_STATES: Final = ("last_hidden_state", "token_embeddings")
_INPUTS: Final = ("input_ids", "attention_mask", "token_type_ids", "position_ids")
_DTYPES: Final[Mapping[str, str]] = {
    **{name: name for name in ("int32", "int64", "float32")},
    "float": "float32",  # ONNX Runtime's name
    "i32": "int32",
    "i64": "int64",
    "f32": "float32",
}
"""Names of the libraries' types of numbers that an input may have, and NumPy's."""

Array = npt.NDArray[Any]


class GraphSession(Protocol):
    """A graph that takes token ids and a mask."""

    def run(self, ids: Array, mask: Array) -> Outputs:
        """Outputs by name, float32, for int64 (batch, tokens) ids and mask."""

    def close(self) -> None:
        """Let go of the graph's memory."""


def open_session(path: Path, *, threads: int | None = None, fill: int = 0) -> GraphSession:
    """Open an ONNX file, an OpenVINO IR or the native encoder's weight file on the CPU.

    A graph of fixed batch size or length is run at its own shape, and gets integers of its own
    type; whoever calls `run` sees none of that.

    Args:
        path: `.onnx`, `.xml` or `.safetensors`.
        threads: Threads to compute with; None for as many as there are cores to use.
        fill: Id of the padding token, for a graph of fixed length.

    Raises:
        BackendUnavailable: The backend for that kind of file is not installed.
        InvalidArtifact: The file cannot be opened, or its inputs are not a text encoder's.
    """
    count = threads or available_cores()[0]
    if path.suffix == WEIGHT_FILE_SUFFIX:
        return _NativeSession(path, count)
    backend: GraphBackend
    if path.suffix == ".onnx":
        backend = OnnxBackend(path, count)
    elif path.suffix == ".xml":
        backend = OpenVinoBackend(path, count)
    else:
        raise InvalidArtifact(f"{path} is neither an ONNX file nor an OpenVINO IR (.onnx, .xml)")
    strange = sorted(set(backend.inputs) - set(_INPUTS))
    if strange or "input_ids" not in backend.inputs:
        raise InvalidArtifact(
            f"{path} takes the inputs {', '.join(backend.inputs)}: expected input_ids and "
            "attention_mask (and perhaps token_type_ids, position_ids), as text encoders do"
        )
    for name, item in backend.inputs.items():
        if item.dtype not in _DTYPES or len(item.shape) != 2:
            raise InvalidArtifact(
                f"{path} takes {name} as {item.dtype} {item.shape}: expected numbers of "
                "(texts, tokens)"
            )
    return _AnyShapeSession(backend, path, fill)


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


class _AnyShapeSession:
    """Runs blocks of any shape on a graph that may have a fixed one."""

    def __init__(self, backend: GraphBackend, path: Path, fill: int) -> None:
        self._backend = backend
        self._path = path
        self._fill = fill
        self._batch, self._length = backend.inputs["input_ids"].shape

    def run(self, ids: Array, mask: Array) -> Outputs:
        rows, width = ids.shape
        step = self._batch or rows
        blocks = [
            self._run(ids[at : at + step], mask[at : at + step], step)
            for at in range(0, rows, step)
        ]
        return {
            name: self._trimmed([block[name] for block in blocks], rows, width)
            for name in blocks[0]
        }

    def close(self) -> None:
        self._backend.close()

    def _run(self, block: Array, mask: Array, rows: int) -> Outputs:
        ids, ones = self._fitted(block, rows, self._fill), self._fitted(mask, rows, 0)
        # Rows that fill the batch: without a token, a mean would divide by zero.
        ones[len(block) :, 0] = 1
        every = {
            "input_ids": ids,
            "attention_mask": ones,
            "token_type_ids": np.zeros_like(ids),
            "position_ids": np.broadcast_to(np.arange(ids.shape[1]), ids.shape),
        }
        feeds = {
            name: np.ascontiguousarray(every[name], dtype=_DTYPES[item.dtype])
            for name, item in self._backend.inputs.items()
        }
        try:
            return self._backend.run(feeds)
        # The libraries' errors share no base but Exception.
        except Exception as error:
            reason = str(error).strip().splitlines()[0]
            raise InvalidArtifact(
                f"{self._path} cannot be run on texts of {ids.shape[1]} tokens with ids up to "
                f"{ids.max()}: {reason}"
            ) from error

    def _fitted(self, block: Array, rows: int, fill: int) -> Array:
        """The block at the graph's own batch size and length."""
        width = self._length or block.shape[1]
        if block.shape[1] > width:
            raise InvalidArtifact(
                f"{self._path} takes texts of {width} tokens, and got one of {block.shape[1]}"
            )
        fitted = np.full((rows, width), fill, dtype=np.int64)
        fitted[: len(block), : block.shape[1]] = block
        return fitted

    def _trimmed(self, outputs: Sequence[Array], rows: int, width: int) -> Array:
        """An output of all blocks, without the rows and tokens that were added."""
        if outputs[0].ndim < 2:
            return outputs[0]
        whole = np.concatenate(outputs) if len(outputs) > 1 else outputs[0]
        trimmed = whole[:rows]
        return trimmed[:, :width] if self._length and whole.ndim == 3 else trimmed


class _NativeSession:
    """The native encoder takes texts without padding, so what the mask hides never gets there."""

    def __init__(self, path: Path, threads: int) -> None:
        from minilm.runtime.native.library import NativeEncoder

        self._encoder = NativeEncoder(path.read_bytes())
        self._threads = threads

    def run(self, ids: Array, mask: Array) -> Outputs:
        offsets = np.concatenate([[0], np.cumsum(mask.sum(axis=1))])
        packed = ids[mask.astype(bool)].astype(np.int32)
        vectors = self._encoder.encode(packed, offsets, threads=self._threads)
        return {_SENTENCE[0]: vectors}

    def close(self) -> None:
        self._encoder.close()

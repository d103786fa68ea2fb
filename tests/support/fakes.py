"""Stand-ins for a candidate and a reference."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from minilm.runtime.manifest import TensorInfo, Variant
from minilm.verify.candidates.graph_info import GraphInfo, MatMulPrecisions
from minilm.verify.reference import PyTorchReference, Vectors

__all__ = ["TABLE", "CachedReference", "FakeCandidate", "FakeReference"]

Array = npt.NDArray[Any]
TABLE = np.random.default_rng(0).normal(size=(30522, 24))
"""A vector for each token of the default vocabulary, float64, (tokens, 24)."""

_PORT = TensorInfo(name="input_ids", dtype="int64", shape=("batch", "tokens"))


class CachedReference:
    """A reference that embeds each list of texts once."""

    corpus = None

    def __init__(self, reference: PyTorchReference) -> None:
        self._reference = reference
        self._seen: dict[tuple[str, ...], Vectors] = {}
        self.name = reference.name
        self.weights_sha256 = reference.weights_sha256
        self.max_tokens = reference.max_tokens

    def encode(self, texts: Sequence[str]) -> Vectors:
        key = tuple(texts)
        if key not in self._seen:
            self._seen[key] = self._reference.encode(texts)
        return self._seen[key]

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        return self._reference.token_ids(texts)


class FakeReference:
    """A quick stand-in for the original: any text has vectors and tokens, none a meaning."""

    name = "numbered"
    weights_sha256 = "ab" * 32
    max_tokens = 16
    corpus = None

    def encode(self, texts: Sequence[str]) -> Vectors:
        return np.arange(len(texts) * 3, dtype=np.float32).reshape(-1, 3)

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        return [[101, *map(ord, text[:14]), 102] for text in texts]


class FakeCandidate:
    """Averages a random vector for each token; every method can be replaced by a faulty one."""

    name = kind = "cpu/fp32"
    runs_on = "made up"
    files = (Path("made-up.onnx"),)
    promised: Variant | None = Variant(
        name="cpu/fp32",
        files=("made-up.onnx",),
        opset=17,
        inputs=(_PORT,),
        outputs=(),
        operators={"MatMul": 1},
        backend="onnxruntime",
        backend_version="1.0",
        instruction_sets=(),
    )
    info: GraphInfo | None = GraphInfo(
        operators={"MatMul": 1},
        precisions=MatMulPrecisions(kinds=(("float32", "float32"),)),
        opset=17,
        inputs=(_PORT,),
        outputs=(),
    )
    thread_counts = (1, 2)
    pooling = "mean"
    normalized = True

    def __init__(self, tokenizer: Any, limit: int) -> None:
        self.tokenizer = tokenizer
        self.limit = self.padded = limit
        self.outputs: tuple[str, ...] = ("sentence_embedding", "last_hidden_state")
        self.change: Callable[[Array, Sequence[str]], Array] = lambda vectors, _: vectors
        self.change_padded: Callable[[Array], Array] = lambda vectors: vectors
        self.change_mixed: Callable[[Array], Array] = lambda vectors: vectors
        self.change_bare: Callable[[Array], Array] = lambda vectors: vectors
        self.closed = 0

    def ids(self, text: str) -> list[int]:
        ids = list(self.tokenizer.encode(text.strip()).ids)
        return ids if len(ids) <= self.limit else [*ids[: self.limit - 1], ids[-1]]

    def encode(self, texts: Sequence[str]) -> Vectors:
        rows = np.stack([TABLE[self.ids(text)].mean(axis=0) for text in texts])
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(self.change(rows, texts), dtype=np.float32)

    def open_graph(self) -> "FakeCandidate":
        return self

    def run(self, ids: Array, mask: Array) -> Mapping[str, npt.NDArray[np.float32]]:
        states = TABLE[ids]
        pooled = (states * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
        if len(ids) == 1:
            pooled = self.change_bare(pooled)
        else:
            padded = ids.shape[1] == self.padded
            pooled = (self.change_padded if padded else self.change_mixed)(pooled)
        found = {"sentence_embedding": pooled, "last_hidden_state": states}
        return {name: found[name].astype(np.float32) for name in self.outputs}

    def read_graph(self) -> GraphInfo | None:
        return self.info

    def close(self) -> None:
        self.closed += 1

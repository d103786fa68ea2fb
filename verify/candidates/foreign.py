"""A graph of a directory in the Hugging Face layout, run as it stands."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
from minilm.runtime.backends.external_data import external_files
from minilm.runtime.errors import BackendUnavailable, InvalidArtifact
from minilm.runtime.hardware.cpu import available_cores
from minilm.runtime.manifest import Variant
from minilm.verify.candidates import hf_config
from minilm.verify.candidates.graph_info import (
    GraphInfo,
    MatMulPrecisions,
    can_read_graph,
    read_graph_info,
)
from minilm.verify.candidates.graph_session import (
    GraphSession,
    match_outputs,
    open_session,
    pad_batch,
)
from minilm.verify.metrics import l2_normalize
from minilm.verify.reference.base import Vectors
from minilm.verify.tokenizer import open_tokenizer, padding_id, token_ids

__all__ = ["ForeignCandidate", "find_graphs"]

_BATCH: Final = 32


def find_graphs(directory: Path) -> list[str]:
    """Paths of the ONNX files and OpenVINO IRs below `directory`, relative to it, in order.

    Raises:
        InvalidArtifact: There is no such directory, or nothing in it.
    """
    if not directory.is_dir():
        raise InvalidArtifact(f"{directory} is no directory")
    found = [path for kind in ("*.onnx", "*.xml") for path in directory.rglob(kind)]
    if not found:
        raise InvalidArtifact(
            f"{directory} is no model directory: no ONNX file and no OpenVINO IR is below it"
        )
    return sorted(path.relative_to(directory).as_posix() for path in found)


class ForeignCandidate:
    """A graph of a directory in the Hugging Face layout.

    Attributes:
        name: Path of the graph in the directory.
        kind: "target/precision", by the file and how it stores its weights.
        runs_on: Batch size, pooling, limit and threads, in one sentence.
        files: Files of the graph.
        promised: None: there is no manifest.
        thread_counts: Threads of `encode`, and another number for `open_graph`.
        pooling: "mean" or "cls", as `1_Pooling/config.json` says; "mean" without one.
        normalized: Whether `modules.json` lists a Normalize module.
        limit: Tokens that the model reads, as the directory's configuration says.
    """

    promised: Variant | None = None

    def __init__(self, directory: Path, file: str, *, threads: int | None = None) -> None:
        """Read the configuration; the graph is opened when it is first needed.

        Raises:
            InvalidArtifact: A file is missing or cannot be understood.
            BackendUnavailable: The library that reads such files is not installed.
        """
        path = directory / file
        if not path.is_file():
            has = ", ".join(find_graphs(directory))
            raise InvalidArtifact(f"{directory} has no graph {file!r}; it has: {has}")
        if not can_read_graph(path):
            raise BackendUnavailable(
                f"the library that reads {path.name} is not installed: "
                'pip install "minilm-toolkit[build]"'
            )
        self.files = [path, *_weights_of(path)]
        self._info = read_graph_info(path)
        self.name = file
        self.kind = (
            f"{'cpu' if path.suffix == '.onnx' else 'openvino'}/{_precision(self._info.precisions)}"
        )
        ours = threads or available_cores()[0]
        self.thread_counts = (ours, 2 if ours == 1 else 1)
        self.pooling = hf_config.pooling(directory)
        self.normalized = hf_config.normalized(directory)
        self.limit = hf_config.max_seq_length(directory)
        _check_length(path, self._info, self.limit)
        self.runs_on = (
            f"{file}, as it stands, in batches of {_BATCH}: {self.pooling} pooling, "
            f"cut at {self.limit} tokens, {ours} threads"
        )
        self._tokenizer = open_tokenizer(directory)
        self._tokenizer.enable_truncation(self.limit)
        self._fill = padding_id(self._tokenizer)
        self._session: GraphSession | None = None

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Embed with the graph: float32, (texts, dimension), of unit length."""
        self._session = self._session or self._open(self.thread_counts[0])
        rows = [token_ids(self._tokenizer, text.strip()) for text in texts]
        order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
        found: dict[int, Vectors] = {}
        for start in range(0, len(order), _BATCH):
            indices = order[start : start + _BATCH]
            block = pad_batch([rows[index] for index in indices], fill=self._fill)
            outputs = match_outputs(self._session.run(*block), self.name)
            vectors = outputs.pooled(block[1], self.pooling)
            found |= dict(zip(indices, l2_normalize(vectors), strict=True))
        return np.asarray([found[index] for index in range(len(rows))], dtype=np.float32)

    def open_graph(self) -> GraphSession:
        """Open the graph with another number of threads than in `encode`."""
        return self._open(self.thread_counts[1])

    def read_graph(self) -> GraphInfo:
        """Contents of the graph's file."""
        return self._info

    def _open(self, threads: int) -> GraphSession:
        return open_session(self.files[0], threads=threads, fill=self._fill)

    def close(self) -> None:
        """Release the graph."""
        if self._session is not None:
            self._session.close()
            self._session = None


def _check_length(path: Path, info: GraphInfo, limit: int) -> None:
    """A graph of fixed length reads every text only if it is long enough for the longest.

    Raises:
        InvalidArtifact: It is too short.
    """
    for port in info.inputs:
        length = port.shape[1] if len(port.shape) == 2 else None
        if isinstance(length, int) and length < limit:
            raise InvalidArtifact(
                f"{path} takes {port.name} of {length} tokens, and the directory says that the "
                f"model reads {limit}: export it with a dynamic length, or of {limit} tokens"
            )


def _precision(precisions: MatMulPrecisions) -> str:
    """By storage, so that int8 storage without int8 arithmetic fails the gate "precision"."""
    stored = [kept for _, kept in precisions.kinds]
    if any(kept.endswith("int8") for kept in stored):
        return "int8"
    return "fp16" if stored and all(kept == "float16" for kept in stored) else "fp32"


def _weights_of(path: Path) -> list[Path]:
    """Files beside a graph's own that hold its weights.

    Raises:
        InvalidArtifact: The graph cannot be read, or keeps weights outside its own folder.
    """
    if path.suffix != ".onnx":
        weights = path.with_suffix(".bin")
        return [weights] if weights.is_file() else []
    try:
        names = external_files(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidArtifact(f"cannot read {path}: {error}") from error
    return [_beside(path, name) for name in names]


def _beside(path: Path, name: str) -> Path:
    """The file that a graph names, as ONNX Runtime finds it: relative to the graph.

    The path may lead into a folder below, and through links, as in the Hub's cache.
    """
    parts = PurePosixPath(name).parts
    inside = parts and not name.startswith("/") and not {"..", "*"} & {*parts}
    if not inside or any(character in name for character in "\\:\0"):
        raise InvalidArtifact(
            f"{path} keeps weights in {name!r}: expected a file in its own folder, {path.parent}"
        )
    if not (path.parent / name).is_file():
        raise InvalidArtifact(f"{path} keeps weights in {name!r}, which is not in {path.parent}")
    return path.parent / name

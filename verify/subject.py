"""What is judged: a variant of a bundle, as the shipped loader runs it and as its graph stands."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from minilm.runtime import Encoder, load
from minilm.runtime.hardware.cpu import available_cores
from minilm.runtime.hardware.host import detect_host
from minilm.runtime.manifest import Manifest, Variant
from minilm.verify.graphs import Graph, open_graph
from minilm.verify.reference import Vectors

__all__ = ["BundleSubject", "Subject"]


class Subject(Protocol):
    """Anything that turns texts into vectors and can show its graph."""

    @property
    def name(self) -> str:
        """For the report."""

    @property
    def kind(self) -> str:
        """ "target/precision"."""

    @property
    def runs_on(self) -> str:
        """How it runs, one sentence."""

    @property
    def files(self) -> Sequence[Path]:
        """Of the graph; the first is the one to open."""

    @property
    def promised(self) -> Variant | None:
        """What the manifest says of the graph; None if there is no manifest."""

    @property
    def thread_counts(self) -> tuple[int, int]:
        """That one text computes with in `encode`, and in the graph of `open_graph`."""

    @property
    def pooling(self) -> str:
        """ "mean" or "cls"."""

    @property
    def normalized(self) -> bool:
        """Whether the graph's sentence vectors should have unit length."""

    def encode(self, texts: Sequence[str], *, batch_size: int | None = None) -> Vectors:
        """Vectors as a user gets them: float32, (texts, dimension)."""

    def open_graph(self) -> Graph:
        """The graph, run without the loader and by another number of threads."""

    def close(self) -> None:
        """Let go of memory."""


class BundleSubject:
    """A variant of a bundle.

    Attributes:
        name: "target/precision".
        kind: the same.
        runs_on: why the loader runs it as it does.
        files: of the graph; the first is the one to open.
        promised: what the manifest says of it.
        thread_counts: the loader gives one text one thread; the graph gets several.
        pooling: "mean" or "cls".
        normalized: whether vectors have unit length.
    """

    def __init__(
        self, bundle: Path, manifest: Manifest, name: str, *, threads: int | None = None
    ) -> None:
        """Load it; the bundle's files have been checked already.

        Raises:
            BackendUnavailable: the backend is not installed.
            InvalidArtifact: the graph cannot be loaded.
        """
        self.name = self.kind = name
        self.pooling = manifest.model.pooling
        self.normalized = manifest.model.normalized
        variant = manifest.variant(name)
        self.files = tuple(bundle / path for path in variant.files)
        self.promised: Variant | None = variant
        cores = available_cores()[0]
        self.thread_counts = (1, max(2, threads or cores))
        self._encoder = _load(bundle, name, threads or cores)
        self.runs_on = self._encoder.why

    def encode(self, texts: Sequence[str], *, batch_size: int | None = None) -> Vectors:
        """Vectors through the shipped loader: float32, (texts, dimension)."""
        return np.asarray(self._encoder.encode(list(texts), batch_size=batch_size))

    def open_graph(self) -> Graph:
        """The first file of the variant, run without the loader."""
        return open_graph(self.files[0], threads=self.thread_counts[1])

    def close(self) -> None:
        """Let go of the encoder."""
        self._encoder.close()


def _load(bundle: Path, name: str, threads: int) -> Encoder:
    target, _, precision = name.partition("/")
    # Asked for by name: the numbers of a GPU's graph can be checked without a GPU.
    provider = "CPUExecutionProvider" if target == "cuda" and not _has_cuda() else None
    return load(
        bundle,
        target=target,
        precision=precision,
        provider=provider,
        threads=threads,
        verify="none",
        on_long="truncate",
    )


def _has_cuda() -> bool:
    gpu = detect_host().gpu
    return gpu is not None and not gpu.obstacle

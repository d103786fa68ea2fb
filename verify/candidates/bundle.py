"""A variant of a bundle: run by the shipped loader, and its graph without the loader."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import numpy as np
from minilm.runtime import Encoder, integrity, load
from minilm.runtime.backends import BACKENDS
from minilm.runtime.hardware.cpu import available_cores
from minilm.runtime.hardware.host import detect_host
from minilm.runtime.manifest import Manifest, Variant, read
from minilm.verify.candidates.graph_info import (
    GraphInfo,
    can_read_graph,
    read_graph_info,
)
from minilm.verify.candidates.graph_session import GraphSession, open_session
from minilm.verify.candidates.onnx_check import check_onnx
from minilm.verify.reference.base import Vectors

__all__ = ["BundleCandidate", "CheckedBundle", "check_bundle"]


@dataclass(frozen=True, kw_only=True)
class CheckedBundle:
    """A bundle whose files are those of its manifest.

    Attributes:
        directory: Directory of the bundle.
        manifest: Its manifest.
        variants: Names of the variants to evaluate.
        unlisted: Paths of files that the manifest does not list and no runtime reads.
    """

    directory: Path
    manifest: Manifest
    variants: tuple[str, ...]
    unlisted: tuple[str, ...] = ()


def check_bundle(directory: Path, variants: Sequence[str] | None = None) -> CheckedBundle:
    """Compare every file of a bundle with the manifest.

    Args:
        directory: The bundle's.
        variants: Names of the variants to evaluate; None for all.

    Raises:
        InvalidArtifact: The bundle is damaged, or has no such variant.
    """
    manifest = read(directory)
    names = list(variants) if variants is not None else [v.name for v in manifest.variants]
    for name in names:
        manifest.variant(name)
    with ThreadPoolExecutor(1, thread_name_prefix="hash") as pool:
        hashed = pool.submit(integrity.check, directory, manifest, "full", variants=names)
        _import_backends(manifest, names)
        unlisted = hashed.result()
    return CheckedBundle(
        directory=directory, manifest=manifest, variants=tuple(names), unlisted=unlisted
    )


class BundleCandidate:
    """A variant of a bundle.

    Attributes:
        name: "target/precision".
        kind: The same.
        runs_on: The loader's reason for running it as it does.
        files: Files of the graph; the first is the one to open.
        promised: The manifest's entry.
        thread_counts: One, since the loader gives one text one thread, and several for the graph.
        pooling: "mean" or "cls".
        normalized: Whether vectors have unit length.
    """

    def __init__(
        self, directory: Path, manifest: Manifest, name: str, *, threads: int | None = None
    ) -> None:
        """Load it; the bundle's files have been checked already.

        Raises:
            BackendUnavailable: The backend is not installed.
            InvalidArtifact: The graph cannot be loaded.
        """
        self.name = self.kind = name
        self.pooling = manifest.model.pooling
        self.normalized = manifest.model.normalized
        variant = manifest.variant(name)
        self.files = tuple(directory / path for path in variant.files)
        self.promised: Variant | None = variant
        cores = available_cores()[0]
        self.thread_counts = (1, max(2, threads or cores))
        self._encoder = _load(directory, name, threads or cores)
        self.runs_on = self._encoder.why

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Embed through the shipped loader: float32, (texts, dimension)."""
        return np.asarray(self._encoder.encode(list(texts)))

    def open_graph(self) -> GraphSession:
        """Open the first file of the variant without the loader."""
        return open_session(self.files[0], threads=self.thread_counts[1])

    def read_graph(self) -> GraphInfo | None:
        """Read the first file; None if the library that reads it is not installed."""
        path = self.files[0]
        if not can_read_graph(path):
            return None
        info = read_graph_info(path)
        return replace(info, objection=check_onnx(path)) if path.suffix == ".onnx" else info

    def close(self) -> None:
        """Release the encoder."""
        self._encoder.close()


def _import_backends(manifest: Manifest, names: Sequence[str]) -> None:
    """Import the variants' backends before threads do.

    A library that one thread is still importing has no version for the loader in another.
    """
    for name in names:
        backend = BACKENDS.get(manifest.variant(name).backend)
        if backend is not None:
            with suppress(ImportError):
                import_module(backend.module)


def _load(directory: Path, name: str, threads: int) -> Encoder:
    target, _, precision = name.partition("/")
    # Asked for by name: the numbers of a GPU's graph can be checked without a GPU.
    provider = "CPUExecutionProvider" if target == "cuda" and not _has_cuda() else None
    return load(
        directory,
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

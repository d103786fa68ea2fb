"""Protocol of a candidate: anything that turns texts into vectors and can show its graph."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from minilm.runtime.manifest import Variant
from minilm.verify.candidates.graph_info import GraphInfo
from minilm.verify.candidates.graph_session import GraphSession
from minilm.verify.reference.base import Vectors

__all__ = ["Candidate"]


class Candidate(Protocol):
    """Anything that turns texts into vectors and can show its graph."""

    @property
    def name(self) -> str:
        """Name for the report."""

    @property
    def kind(self) -> str:
        """ "target/precision"."""

    @property
    def runs_on(self) -> str:
        """Backend, device and reason for the choice, in one sentence."""

    @property
    def files(self) -> Sequence[Path]:
        """Files of the graph; the first is the one to open."""

    @property
    def promised(self) -> Variant | None:
        """The manifest's entry of the graph; None without a manifest."""

    @property
    def thread_counts(self) -> tuple[int, int]:
        """Threads per text in `encode`, and in the graph of `open_graph`."""

    @property
    def pooling(self) -> str:
        """ "mean" or "cls"."""

    @property
    def normalized(self) -> bool:
        """Whether the graph's sentence vectors should have unit length."""

    def encode(self, texts: Sequence[str], /) -> Vectors:
        """Vectors as a user gets them: float32, (texts, dimension)."""

    def open_graph(self) -> GraphSession:
        """Open the graph without the loader, with another number of threads."""

    def read_graph(self) -> GraphInfo | None:
        """Read the graph's file; None if the library that reads it is not installed."""

    def close(self) -> None:
        """Release memory."""

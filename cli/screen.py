"""Vectors on standard output: a preview on a terminal, JSON lines elsewhere."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from minilm.bulk.writers import WRITERS

if TYPE_CHECKING:
    from minilm.bulk.writers import Block
    from minilm.runtime import EncodeReport

__all__ = ["ScreenSink"]


class ScreenSink:
    """A `minilm.bulk.VectorSink` on standard output. It cannot be resumed.

    Attributes:
        rows: number of rows so far.
        report: counts of their texts.
    """

    def __init__(self, dimension: int) -> None:
        from minilm.runtime import EncodeReport

        self.rows = 0
        self.report = EncodeReport()
        self._writer = None if sys.stdout.isatty() else WRITERS[".jsonl"](dimension)

    def rest(self, texts: Iterable[str]) -> Iterator[str]:
        """All of `texts`: none has a row yet."""
        return iter(texts)

    def add(self, texts: Sequence[str], block: "Block", report: "EncodeReport") -> None:
        """Print rows: k texts, float32 (k, dimension), and the report of this run's texts."""
        self.rows += len(texts)
        self.report = report
        if self._writer is not None:
            sys.stdout.write(self._writer.rows(texts, block).decode("ascii"))
        else:
            _preview(texts, block)


def _preview(texts: Sequence[str], block: "Block") -> None:
    for text, vector in zip(texts, block, strict=True):
        short = text if len(text) <= 40 else text[:39] + "…"
        numbers = ", ".join(f"{value:7.4f}" for value in vector[:4])
        sys.stdout.write(f"{short!r:<42} [{numbers}, … {len(vector)} numbers]\n")

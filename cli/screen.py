"""Vectors on standard output: a preview on a terminal, JSON lines elsewhere."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from minilm.bulk import WRITERS, Record
from minilm.runtime.display import visible, visible_json

if TYPE_CHECKING:
    from minilm.bulk.records import Block
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

    def rest(self, records: Iterable[Record]) -> Iterator[Record]:
        """All of `records`: none has a row yet."""
        return iter(records)

    def add(self, records: Sequence[Record], block: "Block", report: "EncodeReport") -> None:
        """Print rows: k records, float32 (k, dimension), and the report of this run's texts."""
        self.rows += len(records)
        self.report = report
        if self._writer is not None:
            sys.stdout.write(visible_json(self._writer.rows(records, block).decode("ascii")))
        else:
            _preview([record.text for record in records], block)


def _preview(texts: Sequence[str], block: "Block") -> None:
    for text, vector in zip(texts, block, strict=True):
        short = text if len(text) <= 40 else text[:39] + "…"
        numbers = ", ".join(f"{value:7.4f}" for value in vector[:4])
        sys.stdout.write(f"{visible(repr(short)):<42} [{numbers}, … {len(vector)} numbers]\n")

"""File formats for vectors: the head of a file, the bytes of each block, the end.

A writer only appends, so that a file cut off behind a block is a valid beginning.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

from minilm.bulk.records import Record, to_json

if TYPE_CHECKING:
    from minilm.bulk.records import Block

__all__ = ["WRITERS", "VectorWriter"]


class VectorWriter(Protocol):
    """Rows of records and vectors as bytes of one file format."""

    def start(self, records: Sequence[Record]) -> bytes:
        """Bytes at the beginning of a file, for which the first rows are shown."""
        ...

    def resume(self, part: Path, stream: IO[bytes]) -> None:
        """Prepare for more rows behind those of `part`, in place of `start`.

        The bytes of `part` are afterwards what `start` and `rows` gave, whatever `finish` did.
        """
        ...

    def rows(self, records: Sequence[Record], block: "Block") -> bytes:
        """Bytes of one block of rows.

        Args:
            records: the block's records, k of them.
            block: vectors of their texts, float32 (k, dimension).
        """
        ...

    def finish(self, part: Path, stream: IO[bytes], rows: int) -> Path:
        """Make a whole file of `part`, which has all its blocks. May be called again after a crash.

        Args:
            part: the file that the blocks were appended to.
            stream: the same file, open for reading and writing.
            rows: number of its rows.

        Returns:
            The whole file: `part` itself, or one beside it.
        """
        ...


class _NpyWriter:
    """NumPy's array file: float32 (texts, dimension).

    NumPy pads a file's header so that a longer first axis still fits (`GROWTH_AXIS_MAX_DIGITS` in
    numpy/lib/_format_impl.py), so the header is written twice, to the same length.
    """

    def __init__(self, dimension: int, schema: Any = None) -> None:  # noqa: ARG002 - as the others
        self._dimension = dimension

    def start(self, records: Sequence[Record]) -> bytes:  # noqa: ARG002 - the protocol's
        return self._header(0)

    def resume(self, part: Path, stream: IO[bytes]) -> None:  # noqa: ARG002 - as above
        stream.seek(0)
        stream.write(self._header(0))

    def rows(self, records: Sequence[Record], block: "Block") -> bytes:  # noqa: ARG002 - as above
        return block.astype("<f4", copy=False).tobytes()

    def finish(self, part: Path, stream: IO[bytes], rows: int) -> Path:
        stream.seek(0)
        stream.write(self._header(rows))
        return part

    def _header(self, rows: int) -> bytes:
        import io

        from numpy.lib import format as npy

        header = {"descr": "<f4", "fortran_order": False, "shape": (rows, self._dimension)}
        stream = io.BytesIO()
        npy.write_array_header_1_0(stream, header)
        return stream.getvalue()


class _JsonLinesWriter:
    """A line for each record: {"text": …, other fields, "embedding": […]}.

    Numbers of the embedding have the digits that float32 needs.
    """

    def __init__(self, dimension: int, schema: Any = None) -> None:  # noqa: ARG002 - as the others
        self._numbers = ", ".join(["%.9g"] * dimension)  # 9 digits give a float32 back exactly

    def start(self, records: Sequence[Record]) -> bytes:  # noqa: ARG002 - the protocol's
        return b""

    def resume(self, part: Path, stream: IO[bytes]) -> None:
        pass

    def rows(self, records: Sequence[Record], block: "Block") -> bytes:
        return "".join(
            f'{_opened(record)}, "embedding": [{self._numbers % tuple(vector)}]}}\n'
            for record, vector in zip(records, block.tolist(), strict=True)
        ).encode("ascii")

    def finish(self, part: Path, stream: IO[bytes], rows: int) -> Path:  # noqa: ARG002 - as above
        return part


def _opened(record: Record) -> str:
    """The JSON object of a record, without its closing brace."""
    return to_json({"text": record.text, **record.fields})[:-1]


def _parquet(dimension: int, schema: Any = None) -> VectorWriter:
    from minilm.bulk.parquet_writer import ParquetWriter

    return ParquetWriter(dimension, schema)


WRITERS: Final[Mapping[str, "Callable[..., VectorWriter]"]] = {
    ".npy": _NpyWriter,
    ".jsonl": _JsonLinesWriter,
    ".parquet": _parquet,
}
"""File name suffix to writer.

A writer is made with the dimension of a vector and the Arrow schema of the fields that are kept,
None if it is not known before the first rows.
"""

"""File formats for vectors: the head of a file, the bytes of each block, the end.

A writer only appends, so that a file cut off behind a block is a valid beginning.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

from minilm.runtime.extras import require_extra

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Block = NDArray[np.float32]

__all__ = ["WRITERS", "VectorWriter"]

_GROUP_ROWS: Final = 16_384
_GROUP_BYTES: Final = 32_000_000
"""A row group of a Parquet file ends behind the batch that reaches one of the two: 384 floats and a
text a row make some 30 MB, which a reader holds at a time."""


class VectorWriter(Protocol):
    """Rows of texts and vectors as bytes of one file format."""

    def start(self) -> bytes:
        """Bytes at the beginning of a file."""
        ...

    def rows(self, texts: Sequence[str], block: "Block") -> bytes:
        """Bytes of one block of rows.

        Args:
            texts: the block's texts, k of them.
            block: their vectors, float32 (k, dimension).
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

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension

    def start(self) -> bytes:
        return self._header(0)

    def rows(self, texts: Sequence[str], block: "Block") -> bytes:  # noqa: ARG002 - the protocol's
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
    """A line for each text: {"text": …, "embedding": […]}, with the digits that float32 needs."""

    def __init__(self, dimension: int) -> None:
        self._numbers = ", ".join(["%.9g"] * dimension)  # 9 digits give a float32 back exactly

    def start(self) -> bytes:
        return b""

    def rows(self, texts: Sequence[str], block: "Block") -> bytes:
        import json

        return "".join(
            f'{{"text": {json.dumps(text)}, "embedding": [{self._numbers % tuple(vector)}]}}\n'
            for text, vector in zip(texts, block.tolist(), strict=True)
        ).encode("ascii")

    def finish(self, part: Path, stream: IO[bytes], rows: int) -> Path:  # noqa: ARG002 - as above
        return part


class _ParquetWriter:
    """Columns `text`, a string, and `embedding`, a list of float32.

    A Parquet file cannot be appended to: its footer, at the end, says where everything is. Until
    the last row is there, rows are kept as a stream of Arrow, which can; it is turned into Parquet
    at the end, and takes as much room as that once more until then.
    """

    def __init__(self, dimension: int) -> None:
        with require_extra("parquet", "Writing Parquet"):
            import pyarrow as pa
            import pyarrow.parquet
        self._arrow: Any = pa
        self._parquet: Any = pyarrow.parquet
        self._dimension = dimension
        self._schema = pa.schema(
            [
                pa.field("text", pa.string(), nullable=False),
                pa.field("embedding", pa.list_(pa.float32(), dimension), nullable=False),
            ]
        )

    def start(self) -> bytes:
        return bytes(self._schema.serialize())

    def rows(self, texts: Sequence[str], block: "Block") -> bytes:
        pa = self._arrow
        numbers = pa.array(block.astype("<f4", copy=False).ravel())
        columns = [
            pa.array(texts, pa.string()),
            pa.FixedSizeListArray.from_arrays(numbers, self._dimension),
        ]
        return bytes(pa.record_batch(columns, schema=self._schema).serialize())

    def finish(self, part: Path, stream: IO[bytes], rows: int) -> Path:  # noqa: ARG002 - as above
        whole = part.with_name(f"{part.name}.whole")
        pa, group, size = self._arrow, [], 0
        with (
            pa.OSFile(str(part)) as source,
            pa.ipc.open_stream(source) as batches,
            whole.open("wb") as target,
        ):
            # No two vectors share a number: a dictionary of them would only be thrown away.
            with self._parquet.ParquetWriter(
                target, self._schema, use_dictionary=["text"]
            ) as writer:
                for batch in batches:
                    group.append(batch)
                    size += batch.nbytes
                    if size >= _GROUP_BYTES or sum(map(len, group)) >= _GROUP_ROWS:
                        writer.write_table(pa.Table.from_batches(group))
                        group, size = [], 0
                if group:
                    writer.write_table(pa.Table.from_batches(group))
            target.flush()
            os.fsync(target.fileno())
        return whole


WRITERS: Final[Mapping[str, Callable[[int], VectorWriter]]] = {
    ".npy": _NpyWriter,
    ".jsonl": _JsonLinesWriter,
    ".parquet": _ParquetWriter,
}
"""File name suffix to writer; a writer is made with the dimension of a vector."""

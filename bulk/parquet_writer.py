"""Parquet: columns `text`, the fields that are kept, and `embedding`, a list of float32."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from minilm.bulk.parquet_reader import ArrowFields
from minilm.bulk.records import Record, to_json
from minilm.runtime.errors import UsageError
from minilm.runtime.extras import require_extra

if TYPE_CHECKING:
    from minilm.bulk.records import Block

__all__ = ["ParquetWriter"]

_GROUP_ROWS: Final = 16_384
_GROUP_BYTES: Final = 32_000_000
"""A row group of a Parquet file ends behind the batch that reaches one of the two: 384 floats and a
text a row make some 30 MB, which a reader holds at a time."""

_JSON: Final = {b"encoding": b"json"}
"""Metadata of a column that holds JSON text: for objects, lists and values of several kinds."""

_ADVICE: Final = "write .jsonl, or say which other fields to keep with --keep"


class ParquetWriter:
    """Rows of a Parquet file.

    A Parquet file cannot be appended to: its footer, at the end, says where everything is. Until
    the last row is there, rows are kept as a stream of Arrow, which can; it is turned into Parquet
    at the end, and takes as much room as that once more until then.
    """

    def __init__(self, dimension: int, schema: Any = None) -> None:
        with require_extra("parquet", "Writing Parquet"):
            import pyarrow as pa
            import pyarrow.parquet
        self._arrow: Any = pa
        self._parquet: Any = pyarrow.parquet
        self._dimension = dimension
        self._fields = schema
        if schema is not None:
            self._schema = self._with_vectors(schema)

    def start(self, records: Sequence[Record]) -> bytes:
        """The head of an Arrow stream; kinds of the fields are those of the first rows."""
        if self._fields is None:
            self._fields = _infer(records)
            self._schema = self._with_vectors(self._fields)
        return bytes(self._schema.serialize())

    def resume(self, part: Path, stream: IO[bytes]) -> None:  # noqa: ARG002 - the protocol's
        """Take the columns of `part`."""
        with self._arrow.OSFile(str(part)) as source, self._arrow.ipc.open_stream(source) as rows:
            self._schema = rows.schema
        names = [name for name in self._schema.names if name not in {"text", "embedding"}]
        self._fields = self._arrow.schema([self._schema.field(name) for name in names])

    def rows(self, records: Sequence[Record], block: "Block") -> bytes:
        """A batch of an Arrow stream.

        Raises:
            UsageError: a field has another kind than in the first rows, or was not there.
        """
        pa = self._arrow
        numbers = pa.array(block.astype("<f4", copy=False).ravel())
        columns = [
            pa.array([record.text for record in records], pa.string()),
            *(self._arrow_columns(records) or self._python_columns(records)),
            pa.FixedSizeListArray.from_arrays(numbers, self._dimension),
        ]
        return bytes(pa.record_batch(columns, schema=self._schema).serialize())

    def finish(self, part: Path, stream: IO[bytes], rows: int) -> Path:  # noqa: ARG002 - protocol's
        """Turn the stream of `part` into a Parquet file beside it."""
        whole = part.with_name(f"{part.name}.whole")
        whole.unlink(missing_ok=True)  # a dead run's
        pa = self._arrow
        with (
            pa.OSFile(str(part)) as source,
            pa.ipc.open_stream(source) as batches,
            whole.open("xb") as target,
            _removed_on_error(whole),
        ):
            # No two vectors share a number: a dictionary of them would only be thrown away.
            names = [name for name in batches.schema.names if name != "embedding"]
            with self._parquet.ParquetWriter(
                target, batches.schema, use_dictionary=names
            ) as writer:
                for group in _groups(batches):
                    writer.write_table(pa.Table.from_batches(group))
            target.flush()
            os.fsync(target.fileno())
        return whole

    def _with_vectors(self, fields: Any) -> Any:
        pa = self._arrow
        return pa.schema(
            [
                pa.field("text", pa.string(), nullable=False),
                *fields,
                pa.field("embedding", pa.list_(pa.float32(), self._dimension), nullable=False),
            ]
        )

    def _arrow_columns(self, records: Sequence[Record]) -> list[Any]:
        """Columns cut out of the batches that the fields were read from, type for type."""
        fields = [record.fields for record in records if isinstance(record.fields, ArrowFields)]
        if not fields or len(fields) < len(records):
            return []
        slices = [_slice(list(run)) for _, run in groupby(fields, lambda row: id(row.batch))]
        table = self._arrow.Table.from_batches(slices)
        columns = [table.column(name) for name in self._fields.names]
        return [self._arrow.concat_arrays(column.chunks) for column in columns]

    def _python_columns(self, records: Sequence[Record]) -> list[Any]:
        columns = []
        for field in self._fields:
            values = [record.fields.get(field.name) for record in records]
            if (field.metadata or {}).get(b"encoding") == b"json":
                values = [None if value is None else to_json(value) for value in values]
            elif problem := _misfit(values, field.type):
                raise UsageError(
                    f"field {field.name!r} is {field.type} in the first records, and later "
                    f"{problem}: {_ADVICE}",
                    option="--output",
                )
            columns.append(self._arrow.array(values, field.type))
        known = set(self._fields.names)
        for record in records:
            if more := [name for name in record.fields if name not in known]:
                raise UsageError(
                    f"field {more[0]!r} is in none of the first records, and later it is: "
                    f"{_ADVICE}",
                    option="--output",
                )
        return columns


def _slice(fields: Sequence[ArrowFields]) -> Any:
    """Rows of one batch."""
    batch, rows = fields[0].batch, [field.row for field in fields]
    if rows == list(range(rows[0], rows[0] + len(rows))):
        return batch.slice(rows[0], len(rows))
    return batch.take(rows)


def _groups(batches: Iterable[Any]) -> Iterator[list[Any]]:
    """Batches of a row group each."""
    group: list[Any] = []
    for batch in batches:
        group.append(batch)
        size, rows = sum(each.nbytes for each in group), sum(map(len, group))
        if size >= _GROUP_BYTES or rows >= _GROUP_ROWS:
            yield group
            group = []
    if group:
        yield group


def _infer(records: Sequence[Record]) -> Any:
    """An Arrow schema for the fields of records: JSON's plain kinds, and JSON text for the rest."""
    import pyarrow as pa

    names = dict.fromkeys(name for record in records for name in record.fields)
    return pa.schema(
        [_field(name, [record.fields.get(name) for record in records]) for name in names]
    )


def _field(name: str, values: Sequence[Any]) -> Any:
    import pyarrow as pa

    kinds = {type(value) for value in values if value is not None}
    plain = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}
    kind = plain.get(next(iter(kinds))) if len(kinds) == 1 else None
    if kinds == {int, float}:
        kind = pa.float64()
    if kind is None or _misfit(values, kind):
        return pa.field(name, pa.string(), metadata=_JSON)
    return pa.field(name, kind)


def _misfit(values: Sequence[Any], kind: Any) -> str:
    """The first value that a column cannot hold as it is; "" if there is none."""
    import pyarrow as pa

    for value in values:
        fits = value is None or (
            isinstance(value, str)
            if kind == pa.string()
            else isinstance(value, bool)
            if kind == pa.bool_()
            else type(value) is int and -(1 << 63) <= value < 1 << 63
            if kind == pa.int64()
            else type(value) is float or (type(value) is int and abs(value) <= 1 << 53)
        )
        if not fits:
            return f"{type(value).__name__} ({to_json(value)[:40]})"
        if isinstance(value, str) and not value.isascii() and _has_surrogate(value):
            return "a str with a lone surrogate"
    return ""


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in text)


@contextmanager
def _removed_on_error(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise

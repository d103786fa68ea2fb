"""Texts of a column of a Parquet file, a few at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from minilm.runtime.errors import UsageError
from minilm.runtime.extras import require_extra

__all__ = ["texts_of_column"]

_ROWS: Final = 128
_READ_BYTES: Final = 1 << 20
"""Read at a time: without it, a row group's whole column is in memory at once."""


def texts_of_column(source: Path, column: str | None) -> Iterator[str]:
    """The texts of a column, in constant memory.

    Args:
        source: the file.
        column: name of the column.

    Raises:
        UsageError: not a Parquet file, no such column, or one that holds no texts: at once.
            A null, or a page that cannot be read: when its row is reached.
        BackendUnavailable: pyarrow is not installed.
    """
    with require_extra("parquet", f"Reading {source}"):
        import pyarrow as pa
        import pyarrow.parquet as pq

    try:
        file: Any = pq.ParquetFile(source, buffer_size=_READ_BYTES, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise _bad(f"{source} is not Parquet: {error}") from error
    schema = file.schema_arrow
    kinds = {name: str(kind) for name, kind in zip(schema.names, schema.types, strict=True)}
    has = ", ".join(f"{name} ({kind})" for name, kind in kinds.items()) or "none"
    if column is None or schema.names.count(column) != 1:
        problem = "say which column has the text" if column is None else f"no column {column!r}"
        raise UsageError(f"{source}: {problem}; it has: {has}", option="--field")
    if not _holds_texts(schema.field(column).type):
        raise _bad(f"{source}: column {column!r} is {kinds[column]}, not a string")
    return _texts(file, source, column)


def _holds_texts(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _texts(file: Any, source: Path, column: str) -> Iterator[str]:
    import pyarrow as pa

    row = 0
    try:
        with file:
            for batch in file.iter_batches(_ROWS, columns=[column], use_threads=False):
                for text in batch.column(column).to_pylist():
                    row += 1
                    if text is None:
                        raise _bad(f"{source}, row {row}: column {column!r} is null, not a string")
                    yield text
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _bad(f"{source}, after row {row}: cannot be read: {error}") from error


def _bad(message: str) -> UsageError:
    return UsageError(message, option="--input")

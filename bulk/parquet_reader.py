"""Records of a Parquet file, a few at a time."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from minilm.bulk.records import Place, Prepared, Selection, clash
from minilm.bulk.text_formats import Items
from minilm.runtime.errors import UsageError
from minilm.runtime.extras import require_extra

__all__ = ["ArrowFields", "open_parquet"]

_ROWS: Final = 128
_READ_BYTES: Final = 1 << 20
"""Read at a time: without it, a row group's whole column is in memory at once."""


class ArrowFields(Mapping[str, Any]):
    """Fields of a row of an Arrow table, turned into Python objects when they are asked for.

    Attributes:
        batch: record batch of the fields that are kept.
        row: number of the row in it.
    """

    def __init__(self, batch: Any, row: int) -> None:
        self.batch = batch
        self.row = row

    def __getitem__(self, name: str) -> Any:
        if name not in self.batch.schema.names:
            raise KeyError(name)
        value = self.batch.column(name)[self.row]
        try:
            return value.as_py()
        except ValueError:  # nanoseconds, for which Python has no type
            import pyarrow as pa

            return value.cast(pa.string()).as_py()

    def __iter__(self) -> Iterator[str]:
        return iter(self.batch.schema.names)

    def __len__(self) -> int:
        return int(self.batch.num_columns)


def open_parquet(source: Path, selection: Selection) -> tuple[Items, Any]:
    """Open a file.

    Returns:
        The records, and the Arrow schema of the fields that are kept.

    Raises:
        UsageError: not a Parquet file, no such column, or one that holds no texts: at once. A page
            that cannot be read: when its row is reached.
        BackendUnavailable: pyarrow is not installed.
    """
    with require_extra("parquet", f"Reading {source}"):
        import pyarrow as pa
        import pyarrow.parquet as pq

    try:
        file: Any = pq.ParquetFile(source, buffer_size=_READ_BYTES, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{source} is not Parquet: {error}", option="--input") from error
    schema = file.schema_arrow
    column = _text_column(source, schema, selection.field)
    kept = _kept_columns(source, schema, selection)
    fields = pa.schema([_decoded_field(source, schema.field(name)) for name in kept])
    return _rows(file, source, column, fields), fields


def _text_column(source: Path, schema: Any, field: str | None) -> str:
    """Name of the column that has the text, or in whose structs it is."""
    kinds = {name: str(kind) for name, kind in zip(schema.names, schema.types, strict=True)}
    has = ", ".join(f"{name} ({kind})" for name, kind in kinds.items()) or "none"
    if field is None:
        raise UsageError(
            f"{source}: say which column has the text; it has: {has}", option="--field"
        )
    if schema.names.count(field) == 1:
        if not _holds_texts(schema.field(field).type):
            problem = f"{source}: column {field!r} is {kinds[field]}, not a string"
            raise UsageError(problem, option="--input")
        return field
    top = field.partition(".")[0]
    if field not in kinds and top != field and schema.names.count(top) == 1:
        return top
    raise UsageError(f"{source}: no column {field!r}; it has: {has}", option="--field")


def _kept_columns(source: Path, schema: Any, selection: Selection) -> list[str]:
    names = schema.names if selection.keep is None else selection.keep
    for name in names:
        if schema.names.count(name) != 1:
            found = "there twice" if name in schema.names else "missing"
            raise UsageError(f"{source}: column {name!r} is {found}", option="--keep")
    kept = [name for name in names if name != selection.field]
    for name in ("text", "embedding"):
        if name in kept:
            raise UsageError(f"{source}: {clash(name)}", option="--keep")
    return kept


def _decoded_field(source: Path, field: Any) -> Any:
    """The field without a dictionary, which a stream of batches could not carry."""
    from pyarrow import types

    kind = field.type.value_type if types.is_dictionary(field.type) else field.type
    if "dictionary<" in str(kind):
        raise UsageError(
            f"{source}: column {field.name!r} is {kind}, which cannot be kept: say which other "
            "fields to keep, or none: --keep none",
            option="--keep",
        )
    return field.with_type(kind)


def _holds_texts(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _rows(file: Any, source: Path, column: str, fields: Any) -> Items:
    import pyarrow as pa

    row = 0
    columns = list(dict.fromkeys([column, *fields.names]))
    try:
        with file:
            for batch in file.iter_batches(_ROWS, columns=columns, use_threads=False):
                kept = _kept(batch, fields)
                for number, text in enumerate(batch.column(column).to_pylist()):
                    row += 1
                    others: Mapping[str, Any] = {} if kept is None else ArrowFields(kept, number)
                    yield Place(str(source), "row", row), Prepared({column: text}, others)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        problem = f"{source}, after row {row}: cannot be read: {error}"
        raise UsageError(problem, option="--input") from error


def _kept(batch: Any, fields: Any) -> Any:
    import pyarrow as pa

    if not fields.names:
        return None
    columns = [batch.column(name) for name in fields.names]
    return pa.record_batch(
        [
            column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
            for column in columns
        ],
        schema=fields,
    )

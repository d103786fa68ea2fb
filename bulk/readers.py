"""Read texts and their records from a file or standard input, in constant memory."""

import io
import sys
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from minilm.bulk.records import InputCounts, Place, Record, Selection
from minilm.bulk.text_formats import TEXT_FORMATS, Items
from minilm.runtime.errors import UsageError

__all__ = ["STDIN", "InputFormat", "RecordSource", "read_records", "read_texts", "records_of"]

STDIN: Final = Path("-")
"""Stands for standard input where a file is expected."""

InputFormat = Literal["text", "jsonl", "json", "csv", "tsv", "parquet"]

_SUFFIXES: Final[dict[str, InputFormat]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
_WITH_FIELDS: Final = {"jsonl": "JSON lines", "csv": "CSV", "tsv": "TSV", "parquet": "Parquet"}
_FOREIGN: Final = frozenset(
    {
        *(".arrow", ".avro", ".db", ".docx", ".feather", ".h5", ".npy", ".npz", ".orc", ".pdf"),
        *(".pkl", ".sqlite", ".xls", ".xlsx"),
        *(".7z", ".bz2", ".tar", ".tgz", ".xz", ".zip", ".zst"),
    }
)
_MAGIC: Final = {
    b"\x1f\x8b": "gzip under a name that does not end in .gz",
    b"PK\x03\x04": "a ZIP archive or an Office document",
    b"%PDF-": "PDF",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
"""First bytes of a file to what it holds."""
_MAGIC_BYTES: Final = max(map(len, _MAGIC))


@dataclass
class RecordSource:
    """The records of one input; iterate over it once.

    Attributes:
        name: name of the input, for messages.
        selection: rules for what is taken from each record.
        items: places of the input and what stands there.
        schema: Arrow schema of the fields that are kept, if the input has one.
        counts: counts of what has been read so far.
    """

    name: str
    selection: Selection
    counts: InputCounts
    items: Items
    schema: Any = None

    def __iter__(self) -> Iterator[Record]:
        for place, value in self.items:
            record = self.selection.take(value, place, self.counts)
            if record is not None:
                yield record

    def notes(self) -> list[str]:
        """Sentences about what was read that the user should know."""
        counts, notes = self.counts, []
        if not counts.records:
            notes.append(f"{self.name} holds no text")
        if counts.blank_lines:
            notes.append(f"{self.name}: {counts.blank_lines} blank lines became empty texts")
        if counts.nulls:
            first = ", ".join(map(str, counts.first_nulls))
            more = ", …" if counts.nulls > len(counts.first_nulls) else ""
            notes.append(
                f"{self.name}: {counts.nulls} records without a text were skipped: {first}{more}"
            )
        absent = set(self.selection.keep or ()) - counts.fields if counts.records else set()
        notes += [f"{self.name}: no record has a field {name!r} to keep" for name in sorted(absent)]
        return notes


def read_records(
    source: Path, selection: Selection, input_format: InputFormat | None = None
) -> RecordSource:
    """Open an input.

    Args:
        source: a file of text lines, JSON lines, a JSON array, CSV, TSV or Parquet; all but Parquet
            may be compressed (.gz). "-" is standard input.
        selection: rules for what is taken from each record.
        input_format: format of the input; None to tell it by the suffix, and for standard input by
            whether a field is named.

    Raises:
        UsageError: no such file, a format that cannot be read, or no field named where records have
            fields: at once. Bad content: when it is reached; the message has its place.
        BackendUnavailable: a Parquet file, and pyarrow is not installed.
    """
    name = "standard input" if source == STDIN else str(source)
    chosen = input_format or _format_of(source, selection)
    if selection.field is None and chosen in _WITH_FIELDS:
        if chosen == "parquet":
            _expect_file(source)
        else:
            raise UsageError(
                f"{name} holds {_WITH_FIELDS[chosen]}: say which field has the text",
                option="--field",
            )
    if selection.field is not None and chosen == "text":
        raise UsageError(f"{name} holds text lines, which have no fields", option="--field")
    if source != STDIN:
        _expect_file(source)
    counts = InputCounts()
    if chosen == "parquet":
        from minilm.bulk.parquet_reader import open_parquet

        if source == STDIN:
            raise UsageError("Parquet cannot be read from standard input", option="--format")
        items, schema = open_parquet(source, selection)
        return RecordSource(name, selection, counts, items, schema)
    return RecordSource(name, selection, counts, _read(source, name, chosen, counts))


def records_of(texts: Iterable[str], name: str = "arguments") -> RecordSource:
    """Texts that are at hand as a source of records."""
    items = ((Place(name, "text", number), text) for number, text in enumerate(texts, start=1))
    return RecordSource(name, Selection(), InputCounts(), items)


def read_texts(source: Path, field: str | None = None) -> Iterator[str]:
    """The texts of an input, without other fields; as `read_records`."""
    return (record.text for record in read_records(source, Selection(field=field)))


def _format_of(source: Path, selection: Selection) -> InputFormat:
    if source == STDIN:
        return "text" if selection.field is None else "jsonl"
    suffixes = [suffix.lower() for suffix in source.suffixes]
    last = suffixes[-1] if suffixes else ""
    if last == ".gz":
        last = suffixes[-2] if len(suffixes) > 1 else ""
        if last == ".parquet" or last in _FOREIGN:
            raise UsageError(f"{source}: decompress it first", option="--input")
    if last in _FOREIGN:
        known = ", ".join(_SUFFIXES)
        raise UsageError(
            f"{source}: {last} cannot be read; convert it to one of {known} or text lines, or say "
            f"what it holds with --format ({', '.join(get_args(InputFormat))})",
            option="--input",
        )
    return _SUFFIXES.get(last, "text" if selection.field is None else "jsonl")


def _expect_file(source: Path) -> None:
    if source.is_dir() or not source.exists():  # a pipe or a device is as good as a file
        found = "a directory" if source.is_dir() else "nothing"
        raise UsageError(f"no file {source}: found {found}", option="--input")


def _read(source: Path, name: str, chosen: InputFormat, counts: InputCounts) -> Items:
    if source == STDIN:
        yield from _parse(sys.stdin.buffer, name, chosen, counts)
        return
    if source.suffix.lower() != ".gz":
        with source.open("rb") as stream:
            yield from _parse(stream, name, chosen, counts)
        return
    import gzip

    with gzip.open(source, "rb") as stream:
        try:
            yield from _parse(stream, name, chosen, counts)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise UsageError(
                f"{name} is not gzip, or cut short: {error}", option="--input"
            ) from error


def _parse(stream: Any, name: str, chosen: InputFormat, counts: InputCounts) -> Items:
    if not hasattr(stream, "peek"):  # a stream that stands in for standard input
        stream = io.BufferedReader(stream)
    head: bytes = stream.peek(_MAGIC_BYTES)[:_MAGIC_BYTES]
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            raise UsageError(f"{name} holds {kind}, expected text in UTF-8", option="--input")
    yield from TEXT_FORMATS[chosen](stream, name, counts)

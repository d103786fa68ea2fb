"""Read texts from a file or standard input, one at a time."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from minilm.runtime.errors import UsageError

__all__ = ["STDIN", "read_texts"]

STDIN: Final = Path("-")
"""Stands for standard input where a file is expected."""

_JSON_LINES: Final = frozenset({".jsonl", ".ndjson"})
_PARQUET: Final = ".parquet"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def read_texts(source: Path, field: str | None = None) -> Iterator[str]:
    """The texts of a file, in constant memory.

    Args:
        source: UTF-8 file of text lines, or of JSON lines if `field` is given, or a Parquet file;
            "-" is stdin.
        field: of each JSON object that holds the text, or column of the Parquet file.

    Raises:
        UsageError: no such file, or JSON lines without a field: at once. Not UTF-8, not
            JSON or no such field: when that line is reached; the message has its number. For
            Parquet as `minilm.bulk.parquet.texts_of_column`.
        BackendUnavailable: a Parquet file, and pyarrow is not installed.
    """
    if source != STDIN:
        if source.is_dir() or not source.exists():  # a pipe or a device is as good as a file
            found = "a directory" if source.is_dir() else "nothing"
            raise UsageError(f"no file {source}: found {found}", option="--input")
        if field is None and source.suffix in _JSON_LINES:
            raise UsageError(
                f"{source} holds JSON lines: say which field has the text", option="--field"
            )
        if source.suffix == _PARQUET:
            from minilm.bulk.parquet import texts_of_column

            return texts_of_column(source, field)
    return _lines(source, field)


def _lines(source: Path, field: str | None) -> Iterator[str]:
    if source == STDIN:
        yield from _parse(sys.stdin.buffer, "standard input", field)
    else:
        with source.open("rb") as stream:
            yield from _parse(stream, str(source), field)


def _parse(stream: BinaryIO, name: str, field: str | None) -> Iterator[str]:
    for number, line in enumerate(stream, start=1):
        raw = line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
        if not raw:  # the mark was all there is
            return
        try:
            text = raw.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
        except UnicodeDecodeError as error:
            raise _bad_line(
                name, number, f"not UTF-8: {error.reason} at byte {error.start}"
            ) from None
        if field is None:
            yield text
        elif text.strip():  # a blank line between JSON lines holds no record
            yield _field(text, field, name, number)


def _field(text: str, field: str, name: str, number: int) -> str:
    try:
        record = json.loads(text)
    except ValueError as error:
        raise _bad_line(name, number, f"not JSON: {error}") from None
    if not isinstance(record, dict) or field not in record:
        has = ", ".join(record) if isinstance(record, dict) else type(record).__name__
        raise _bad_line(name, number, f"no field {field!r}; it has: {has or 'none'}")
    value = record[field]
    if not isinstance(value, str):
        raise _bad_line(name, number, f"field {field!r} is {type(value).__name__}, not a string")
    return value


def _bad_line(name: str, number: int, what: str) -> UsageError:
    return UsageError(f"{name}, line {number}: {what}", option="--input")

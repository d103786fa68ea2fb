"""Parsers of text lines, JSON lines, JSON arrays, CSV and TSV, one record at a time.

Each yields places and what stands there: a str, a mapping, or whatever JSON has.
"""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, Final

from minilm.bulk.json_stream import json_elements
from minilm.bulk.records import InputCounts, Place
from minilm.runtime.errors import UsageError

__all__ = ["TEXT_FORMATS", "Items"]

Items = Iterator[tuple[Place, Any]]

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_HEAD_BYTES: Final = 4096
_CELL_CHARS: Final = 1 << 30
"""The csv module refuses cells over 131,072 characters unless it is told more."""


def text_lines(stream: BinaryIO, source: str, counts: InputCounts) -> Items:
    """A text a line; only line feeds end a line."""
    for place, text in _lines(stream, source):
        counts.blank_lines += not text
        yield place, text


def json_lines(stream: BinaryIO, source: str, _: InputCounts) -> Items:
    """A JSON value a line; blank lines hold none."""
    for place, text in _lines(stream, source):
        if text.strip():
            yield place, _parse_json(text, place)


def json_array(stream: BinaryIO, source: str, counts: InputCounts) -> Items:
    """The elements of a JSON array. JSON lines under the same suffix are read as such."""
    head = stream.peek(_HEAD_BYTES)[:_HEAD_BYTES]  # type: ignore[attr-defined]  # all of ours have it
    if head.removeprefix(_BYTE_ORDER_MARK).lstrip()[:1] == b"{":
        yield from json_lines(stream, source, counts)
        return
    with _decoded(stream, source) as text:
        yield from json_elements(text, source)


def separated(delimiter: str) -> Callable[[BinaryIO, str, InputCounts], Items]:
    """A parser of rows of cells behind a header that names the columns."""

    def rows(stream: BinaryIO, source: str, _: InputCounts) -> Items:
        import csv

        csv.field_size_limit(_CELL_CHARS)
        with _decoded(stream, source) as text:
            reader = csv.reader(text, delimiter=delimiter, strict=True)
            try:
                yield from _rows(reader, source)
            except csv.Error as error:
                raise Place(source, "line", reader.line_num).error(f"not CSV: {error}") from error

    return rows


TEXT_FORMATS: Final[Mapping[str, Callable[[BinaryIO, str, InputCounts], Items]]] = {
    "text": text_lines,
    "jsonl": json_lines,
    "json": json_array,
    "csv": separated(","),
    "tsv": separated("\t"),
}
"""Name of a format to its parser."""


def _rows(reader: Any, source: str) -> Items:
    header: list[str] = next(reader, [])
    if twice := [name for name in header if header.count(name) > 1]:
        raise Place(source, "line", 1).error(f"column {twice[0]!r} is there twice")
    for cells in reader:
        if not cells:  # a blank line
            continue
        place = Place(source, "line", reader.line_num)
        if len(cells) != len(header):
            raise place.error(f"{len(cells)} cells, the header has {len(header)}")
        yield place, dict(zip(header, cells, strict=True))


def _lines(stream: BinaryIO, source: str) -> Iterator[tuple[Place, str]]:
    for number, line in enumerate(stream, start=1):
        raw = line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
        if not raw:  # the mark was all there is
            return
        place = Place(source, "line", number)
        try:
            yield place, raw.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
        except UnicodeDecodeError as error:
            raise place.error(f"not UTF-8: {error.reason} at byte {error.start}") from None


def _parse_json(text: str, place: Place) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise place.error("not JSON that can be read: nested too deeply") from None
    except ValueError as error:
        raise place.error(f"not JSON: {error}") from None


@contextmanager
def _decoded(stream: BinaryIO, source: str) -> Iterator[io.TextIOWrapper]:
    """The stream as text; it stays open."""
    text = io.TextIOWrapper(stream, "utf-8-sig", newline="")
    try:
        yield text
    except UnicodeDecodeError as error:
        raise UsageError(f"{source}: not UTF-8: {error.reason}", option="--input") from error
    finally:
        text.detach()

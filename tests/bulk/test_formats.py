"""Formats of inputs: read as they are meant, or refused by name."""

import csv
import gzip
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from minilm.bulk import json_stream
from minilm.bulk.json_stream import json_elements
from minilm.bulk.readers import InputFormat, RecordSource, read_records
from minilm.bulk.records import Record, Selection
from minilm.runtime.errors import UsageError

BODY = Selection(field="body", keep=None)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def source(
    path: Path, content: bytes, selection: Selection = BODY, kind: InputFormat | None = None
) -> RecordSource:
    path.write_bytes(content)
    return read_records(path, selection, kind)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b'id,body\r\n7,one\r\n8,"two,\r\nlines"\r\n'),
        ("a.CSV", b'\xef\xbb\xbfid,body\n7,one\n8,"two,\r\nlines"\n'),
        ("a.tsv", b'id\tbody\n7\tone\n8\t"two,\r\nlines"\n'),
        ("a.jsonl", b'{"id": "7", "body": "one"}\n\n{"id": "8", "body": "two,\\r\\nlines"}'),
        ("a.NDJSON", b'{"id": "7", "body": "one"}\n{"id": "8", "body": "two,\\r\\nlines"}'),
        ("a.json", b'[{"id": "7", "body": "one"},\n {"id": "8", "body": "two,\\r\\nlines"}]\n'),
        ("a.Json", b'\xef\xbb\xbf{"id": "7", "body": "one"}\n{"id":"8","body":"two,\\r\\nlines"}'),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_records_of_every_format(
    name: str, content: bytes, compressed: bool, tmp_path: Path
) -> None:
    path = tmp_path / (f"{name}.GZ" if compressed else name)
    found = source(path, gzip.compress(content) if compressed else content)
    assert list(found) == [Record("one", {"id": "7"}), Record("two,\r\nlines", {"id": "8"})]


def test_text_lines_may_be_compressed(tmp_path: Path) -> None:
    found = source(tmp_path / "texts.txt.gz", gzip.compress(b"one\ntwo\n"), Selection())
    assert [record.text for record in found] == ["one", "two"]


def test_the_format_may_be_said(tmp_path: Path) -> None:
    found = source(tmp_path / "export.dat", b"body\na\n", BODY, "csv")
    assert [record.text for record in found] == ["a"]


def test_an_array_of_texts_needs_no_field(tmp_path: Path) -> None:
    found = source(tmp_path / "texts.json", b'["one", "two"]', Selection())
    assert [record.text for record in found] == ["one", "two"]


@pytest.mark.parametrize("suffix", [".xlsx", ".zip", ".bz2", ".npy", ".PDF"])
def test_a_foreign_suffix_is_refused_by_name(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"{suffix.lower()} cannot be read; convert it to one of"):
        source(tmp_path / f"texts{suffix}", b"")


def test_compressed_parquet_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"texts\.parquet\.gz: decompress it first"):
        source(tmp_path / "texts.parquet.gz", b"")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (gzip.compress(b"text"), "gzip under a name that does not end in .gz"),
        (b"PK\x03\x04", "a ZIP archive or an Office document"),
        ("a text".encode("utf-16"), "UTF-16"),
        (b"%PDF-1.7", "PDF"),
    ],
)
def test_foreign_content_is_refused_by_name(content: bytes, kind: str, tmp_path: Path) -> None:
    found = source(tmp_path / "texts.txt", content, Selection())
    with pytest.raises(UsageError, match=re.escape(f"texts.txt holds {kind}, expected text in")):
        list(found)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"id,body\n1\n", "line 2: 1 cells, the header has 2"),
        ("a.csv", b"body,body\n1,2\n", "line 1: column 'body' is there twice"),
        ("a.csv", b'body\n"one\n', "line 2: not CSV: unexpected end of data"),
        ("a.csv", b"id\n1\n", "line 2: no field 'body'; it has: id"),
        ("a.csv", b"body\n\xff\n", "not UTF-8: invalid start byte"),
        ("a.json", b'{"a": {}}', "line 1: no field 'body'; it has: a"),
        ("a.json", b"3", "holds no JSON array"),
        ("a.json", b"", "holds no JSON array"),
        ("a.json", b'[{"body": "a"}', "element 2: not JSON: expected a comma or the end"),
        ("a.json", b'[{"body": "a"} {"body": "b"}]', "element 2: not JSON: expected a comma"),
        ("a.json", b'[{"body": tru}]', "element 1: not JSON: Expecting value"),
        ("a.json", b'[{"body": "a"},]', "element 2: not JSON: Expecting value"),
        ("a.json", b'[{"body": "a"}] x', "not JSON: more text behind the array"),
        ("a.json", b'["a"]', "element 1: found str, expected a record with field 'body'"),
        ("a.json", b"[" * 100_000, "element 1: not JSON that can be read: nested too deeply"),
        ("a.jsonl", b"[" * 100_000, "line 1: not JSON that can be read: nested too deeply"),
        ("a.jsonl", b'{"body": "\\ud800"}', "line 1: a lone surrogate, U+D800, at character 0"),
        ("a.jsonl.gz", b"text", "a.jsonl.gz is not gzip, or cut short: Not a gzipped file"),
        ("a.jsonl.gz", gzip.compress(b"{}\n" * 99)[:-9], "a.jsonl.gz is not gzip, or cut short"),
    ],
)
def test_bad_content_is_named(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    found = source(tmp_path / name, content, Selection(field="body", skip_null="gz" in name))
    with pytest.raises(UsageError) as failure:
        list(found)
    assert str(tmp_path / name) in str(failure.value)
    assert message in str(failure.value)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.CSV.gz"])
def test_records_need_a_field_at_once(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="say which field has the text") as failure:
        source(tmp_path / name, b"", Selection())
    assert failure.value.option == "--field"


@given(values=st.lists(JSON, max_size=6), indent=st.sampled_from([None, 1]), size=st.integers(1, 9))
def test_a_json_array_in_chunks_of_any_size(
    values: list[Any], indent: int | None, size: int
) -> None:
    text = f" {json.dumps(values, indent=indent)}\n"
    before = json_stream._CHUNK_CHARS
    try:
        json_stream._CHUNK_CHARS = size  # type: ignore[misc]
        found = [value for _, value in json_elements(io.StringIO(text), "a file")]
    finally:
        json_stream._CHUNK_CHARS = before  # type: ignore[misc]
    assert found == values


@given(text=st.text('[]{},:"\\ntrue0.- eE', max_size=30))
def test_no_json_array_gives_another_error_than_ours(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError:
        expected = None
    try:
        found = [value for _, value in json_elements(io.StringIO(text), "a file")]
    except UsageError:
        found = None
    assert found == (expected if isinstance(expected, list) else None)


def test_an_error_in_an_array_does_not_read_the_rest() -> None:
    text = io.StringIO('[{"a": nonsense}, ' + '"x", ' * 1_000_000)
    with pytest.raises(UsageError, match="element 1: not JSON"):
        list(json_elements(text, "a file"))
    assert text.tell() < 200_000


@given(rows=st.lists(st.tuples(TEXT, TEXT), max_size=5))
def test_csv_gives_every_cell(
    rows: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = [(a.replace("\r", ""), b.replace("\r", "")) for a, b in rows]
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([("id", "body"), *rows])
    found = list(read_records(path, BODY))
    assert [(record.fields["id"], record.text) for record in found] == rows


def test_a_long_cell(tmp_path: Path) -> None:
    found = list(source(tmp_path / "a.csv", b"body\n" + b"word " * 100_000 + b"\n"))
    assert len(found[0].text) == 500_000

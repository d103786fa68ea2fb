"""What is taken from a record: the text, other fields, nothing in place of null."""

import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from minilm.bulk.readers import RecordSource, read_records
from minilm.bulk.records import Record, Selection, to_json
from minilm.runtime.errors import UsageError
from pyarrow import parquet


def records(path: Path, rows: list[dict[str, Any]]) -> Path:
    """A file of `rows`: JSON lines or Parquet, by the suffix."""
    if path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(params=["rows.jsonl", "rows.parquet"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / str(request.param)


def found(source: RecordSource) -> list[tuple[str, dict[str, Any]]]:
    return [(record.text, dict(record.fields)) for record in source]


ROWS = [{"id": 7, "body": "one", "tags": ["x"]}, {"id": 8, "body": "two", "tags": []}]


@pytest.mark.parametrize(
    ("keep", "kept"),
    [(None, ["id", "tags"]), ((), []), (("tags",), ["tags"]), (("tags", "id"), ["tags", "id"])],
)
def test_other_fields_are_kept(path: Path, keep: tuple[str, ...] | None, kept: list[str]) -> None:
    source = read_records(records(path, ROWS), Selection(field="body", keep=keep))
    expected = [(row["body"], {name: row[name] for name in kept}) for row in ROWS]
    assert found(source) == expected


def test_a_nested_field(path: Path) -> None:
    rows = [{"id": 7, "meta": {"body": "one"}}, {"id": 8, "meta": {"body": "two"}}]
    source = read_records(records(path, rows), Selection(field="meta.body", keep=("id",)))
    assert found(source) == [("one", {"id": 7}), ("two", {"id": 8})]


def test_an_element_of_a_list(path: Path) -> None:
    rows = [{"choices": [{"text": "one"}, {"text": "two"}]}]
    source = read_records(records(path, rows), Selection(field="choices.1.text"))
    assert found(source) == [("two", {})]


def test_a_name_with_a_dot_goes_before_a_path(path: Path) -> None:
    rows = [{"a": {"b": "nested"}, "a.b": "flat"}]
    assert found(read_records(records(path, rows), Selection(field="a.b"))) == [("flat", {})]


def test_a_nested_field_that_is_not_there(path: Path) -> None:
    source = read_records(records(path, [{"meta": {"x": 1}}]), Selection(field="meta.body"))
    with pytest.raises(UsageError, match=r" 1: no field 'meta\.body'; it has: meta, meta\.x"):
        list(source)


def test_nulls_are_skipped_on_request_and_told(path: Path) -> None:
    nulls: list[dict[str, Any]] = [{"body": None}] * 6
    rows = [{"body": "one"}, *nulls, {"body": "two"}]
    source = read_records(records(path, rows), Selection(field="body", skip_null=True))
    assert found(source) == [("one", {}), ("two", {})]
    assert source.notes() == [f"{path}: 6 records without a text were skipped: 2, 3, 4, 5, 6, …"]
    refused = read_records(path, Selection(field="body"))
    with pytest.raises(UsageError, match="2: field 'body' is null, not a string: skip such reco"):
        list(refused)


def test_an_absent_field_is_skipped_as_null(tmp_path: Path) -> None:
    path = records(tmp_path / "rows.jsonl", [{"body": "one"}, {"id": 7}, {"body": "two"}])
    source = read_records(path, Selection(field="body", skip_null=True))
    assert [record.text for record in source] == ["one", "two"]


@pytest.mark.parametrize("name", ["text", "embedding"])
def test_a_field_with_a_name_of_the_output_is_refused(path: Path, name: str) -> None:
    rows = [{"body": "one", name: "other"}]
    with pytest.raises(UsageError, match=f"field '{name}' has the name of one of the") as failure:
        list(read_records(records(path, rows), Selection(field="body", keep=None)))
    assert failure.value.option == "--keep"
    assert found(read_records(path, Selection(field="body"))) == [("one", {})]


def test_a_field_to_keep_that_no_record_has_is_told(tmp_path: Path) -> None:
    path = records(tmp_path / "rows.jsonl", [{"body": "one"}, {"body": "two", "id": 7}])
    source = read_records(path, Selection(field="body", keep=("id", "absent")))
    assert found(source) == [("one", {}), ("two", {"id": 7})]
    assert source.notes() == [f"{path}: no record has a field 'absent' to keep"]


def test_a_column_to_keep_that_is_not_there(tmp_path: Path) -> None:
    path = records(tmp_path / "rows.parquet", ROWS)
    with pytest.raises(UsageError, match="column 'absent' is missing") as failure:
        read_records(path, Selection(field="body", keep=("absent",)))
    assert failure.value.option == "--keep"


@pytest.mark.parametrize(
    ("name", "content", "field", "notes"),
    [
        ("a.txt", b"", None, ["{} holds no text"]),
        ("a.txt", b"one\n\n\ntwo\n", None, ["{}: 2 blank lines became empty texts"]),
        ("a.jsonl", b'\n{"b": "x"}\n\n', "b", []),  # between records they hold none
        ("a.csv", b"b\n\nx\n", "b", []),
        ("a.csv", b"b\n", "b", ["{} holds no text"]),
        ("a.json", b"[]", None, ["{} holds no text"]),
        ("a.txt", b"one\n", None, []),
    ],
)
def test_blank_lines_and_empty_files_are_told(
    name: str, content: bytes, field: str | None, notes: list[str], tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    source = read_records(path, Selection(field=field))
    list(source)
    assert source.notes() == [note.format(path) for note in notes]


def test_fields_are_part_of_the_fingerprint() -> None:
    prints = {Record("a", fields).fingerprint() for fields in ({}, {"id": 1}, {"id": 2})}
    assert len(prints) == 3
    assert Record("a").fingerprint() == b"a"
    assert (
        Record("a", {"x": 1, "y": 2}).fingerprint() == Record("a", {"y": 2, "x": 1}).fingerprint()
    )


@given(
    value=st.recursive(
        st.none() | st.floats() | st.text() | st.binary() | st.datetimes() | st.decimals(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=6,
    )
)
def test_json_is_always_valid(value: Any) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    line = to_json(value)
    assert line.isascii()
    assert "\n" not in line
    json.loads(line, parse_constant=refuse)


def test_json_has_null_for_what_it_cannot_say() -> None:
    assert to_json({"a": math.nan, "b": [math.inf, 1.5]}) == '{"a": null, "b": [null, 1.5]}'

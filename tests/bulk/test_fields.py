"""Other fields of the input beside the vectors, in JSON lines and Parquet."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from minilm.bulk.readers import RecordSource, read_records
from minilm.bulk.records import Record, Selection
from minilm.bulk.sinks import open_output
from minilm.runtime import EncodeReport
from minilm.runtime.errors import UsageError
from pyarrow import parquet


def write(output: Path, source: RecordSource, *, block: int = 3, stop: int | None = None) -> None:
    """Embed in blocks, as the command does; `stop` at a number of rows, `None` resumes."""
    with open_output(output, 2, schema=source.schema, resume=True) as sink:
        rest = list(sink.rest(source))
        for start in range(0, len(rest), block):
            if sink.rows == stop:
                raise KeyboardInterrupt
            part = rest[start : start + block]
            sink.add(part, np.ones((len(part), 2), np.float32), EncodeReport(texts=len(part)))


def copied(tmp_path: Path, rows: list[dict[str, Any]], name: str) -> Path:
    path, output = tmp_path / "rows.jsonl", tmp_path / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    write(output, read_records(path, Selection(field="body", keep=None)))
    return output


ROWS: list[dict[str, Any]] = [
    {"id": 1, "body": "a", "score": 1, "flag": True, "tags": ["x"], "mixed": 1, "none": None},
    {"id": 2, "body": "b", "score": 2.5, "flag": None, "tags": {"y": 1}, "mixed": "1"},
    *({"id": n, "body": f"text {n}", "score": 0.5, "mixed": None} for n in range(3, 9)),
]


def test_json_lines_keep_the_fields(tmp_path: Path) -> None:
    output = copied(tmp_path, ROWS, "vectors.jsonl")
    found = [json.loads(line) for line in output.read_text().splitlines()]
    expected = [
        {"text": row["body"], **{k: v for k, v in row.items() if k != "body"}, "embedding": [1, 1]}
        for row in ROWS
    ]
    assert found == expected
    assert next(iter(found[0])) == "text"
    assert list(found[0])[-1] == "embedding"


def test_parquet_keeps_the_fields(tmp_path: Path) -> None:
    table = parquet.read_table(copied(tmp_path, ROWS, "vectors.parquet"))
    kinds = dict(zip(table.schema.names, map(str, table.schema.types), strict=True))
    assert kinds == {
        "text": "string",
        "id": "int64",
        "score": "double",
        "flag": "bool",
        "tags": "string",
        "mixed": "string",
        "none": "string",
        "embedding": "fixed_size_list<element: float>[2]",
    }
    rows = table.to_pylist()
    assert [row["id"] for row in rows] == [row["id"] for row in ROWS]
    assert [row["score"] for row in rows[:2]] == [1.0, 2.5]
    assert [row["tags"] for row in rows[:3]] == ['["x"]', '{"y": 1}', None]
    assert [row["mixed"] for row in rows[:3]] == ["1", '"1"', None]
    assert table.schema.field("mixed").metadata == {b"encoding": b"json"}


@pytest.mark.parametrize(
    ("field", "early", "late", "message"),
    [
        ("n", 1, 1.5, r"field 'n' is int64 in the first records, and later float \(1.5\)"),
        ("n", 1, True, r"field 'n' is int64 in the first records, and later bool \(true\)"),
        ("n", 1, 1 << 70, r"field 'n' is int64 in the first records, and later int "),
        ("n", 0.5, (1 << 53) + 1, r"field 'n' is double in the first records, and later int "),
        ("n", "a", 1, r"field 'n' is string in the first records, and later int \(1\)"),
        ("n", "a", "\ud800", "later a str with a lone surrogate"),
    ],
)
def test_a_field_that_changes_its_kind_is_refused_not_altered(
    field: str, early: object, late: object, message: str, tmp_path: Path
) -> None:
    rows = [{"body": "a", field: early}] * 3 + [{"body": "b", field: late}]
    with pytest.raises(UsageError, match=message):
        copied(tmp_path, rows, "vectors.parquet")
    assert copied(tmp_path, rows, "vectors.jsonl").exists()


def test_a_field_that_appears_late_is_refused_not_lost(tmp_path: Path) -> None:
    rows = [{"body": "a"}] * 3 + [{"body": "b", "late": 1}]
    with pytest.raises(UsageError, match="field 'late' is in none of the first records"):
        copied(tmp_path, rows, "vectors.parquet")


TABLE = pa.table(
    {
        "when": pa.array([datetime(2026, 1, day, tzinfo=UTC) for day in range(1, 10)]),
        "nanos": pa.array([10**18 + day for day in range(9)], pa.timestamp("ns")),
        "price": pa.array([Decimal(day) / 4 for day in range(9)], pa.decimal128(5, 2)),
        "kind": pa.array(["x", "y", None] * 3).dictionary_encode(),
        "blob": pa.array([bytes([day]) for day in range(9)]),
        "small": pa.array(range(9), pa.int8()),
        "nested": pa.array([{"a": [day]} for day in range(9)]),
        "body": [f"text {day}" for day in range(9)],
    }
)


def test_columns_of_parquet_keep_their_types(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minilm.bulk.parquet_reader._ROWS", 4)  # blocks lie across batches
    path, output = tmp_path / "rows.parquet", tmp_path / "vectors.parquet"
    parquet.write_table(TABLE, path)
    write(output, read_records(path, Selection(field="body", keep=None)))
    found = parquet.read_table(output)
    for name in TABLE.schema.names[:-1]:
        expected = TABLE.column(name)
        if name == "kind":
            expected = expected.cast(pa.string())
        assert found.column(name).combine_chunks() == expected.combine_chunks(), name
    assert found.column("text").to_pylist() == TABLE.column("body").to_pylist()


def test_columns_of_parquet_as_json_lines(tmp_path: Path) -> None:
    path, output = tmp_path / "rows.parquet", tmp_path / "vectors.jsonl"
    parquet.write_table(TABLE, path)
    write(output, read_records(path, Selection(field="body", keep=None)))
    first = json.loads(output.read_text().splitlines()[1])
    del first["blob"], first["nanos"]
    assert first == {
        "text": "text 1",
        "when": "2026-01-02 00:00:00+00:00",
        "price": "0.25",
        "kind": "y",
        "small": 1,
        "nested": {"a": [1]},
        "embedding": [1, 1],
    }


@pytest.mark.parametrize("source", ["rows.jsonl", "rows.parquet"])
@pytest.mark.parametrize("name", ["vectors.jsonl", "vectors.parquet"])
def test_a_stopped_run_keeps_its_fields(
    source: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minilm.bulk.checkpoint._CHECKPOINT_EVERY_SECONDS", 0)
    path = tmp_path / source
    if path.suffix == ".parquet":
        parquet.write_table(TABLE, path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    selection = Selection(field="body", keep=None)
    output, whole = tmp_path / name, tmp_path / f"whole-{name}"
    write(whole, read_records(path, selection))
    with pytest.raises(KeyboardInterrupt):
        write(output, read_records(path, selection), stop=6)
    write(output, read_records(path, selection))
    assert output.read_bytes() == whole.read_bytes()


def test_resume_refuses_other_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minilm.bulk.checkpoint._CHECKPOINT_EVERY_SECONDS", 0)
    path, output = tmp_path / "rows.jsonl", tmp_path / "vectors.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    selection = Selection(field="body", keep=None)
    with pytest.raises(KeyboardInterrupt):
        write(output, read_records(path, selection), stop=6)
    path.write_text(path.read_text().replace('"id": 2', '"id": 20'))
    with pytest.raises(UsageError, match="the first 6 texts of the input are others now"):
        write(output, read_records(path, selection))


def test_an_empty_input_gives_an_empty_table(tmp_path: Path) -> None:
    assert parquet.read_table(copied(tmp_path, [], "vectors.parquet")).num_rows == 0


def test_records_without_fields_are_as_before(tmp_path: Path) -> None:
    with open_output(tmp_path / "vectors.jsonl", 2) as sink:
        sink.add([Record('quo"te')], np.array([[0.5, -1]], np.float32), EncodeReport())
    text = (tmp_path / "vectors.jsonl").read_text()
    assert text == '{"text": "quo\\"te", "embedding": [0.5, -1]}\n'

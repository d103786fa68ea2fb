"""Texts from arguments, files and standard input."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from minilm.bulk.readers import STDIN, read_texts
from minilm.runtime.errors import BackendUnavailable, UsageError
from pyarrow import parquet

LINE = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]))


def read(tmp_path: Path, content: bytes, field: str | None = None) -> list[str]:
    path = tmp_path / "texts.txt"
    path.write_bytes(content)
    return list(read_texts(path, field))


@given(lines=st.lists(LINE.filter(lambda line: not line.endswith("\r"))))
def test_each_line_is_one_text(lines: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("lines") / "texts"
    path.write_bytes(b"\xef\xbb\xbf" + "".join(f"{line}\r\n" for line in lines).encode())
    assert list(read_texts(path, None)) == lines


@given(texts=st.lists(st.text()), field=st.text(min_size=1))
def test_json_lines_give_the_field(
    texts: list[str], field: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("lines") / "texts.jsonl"
    path.write_text("".join(json.dumps({"other": 1, field: text}) + "\n" for text in texts))
    assert list(read_texts(path, field)) == texts


def test_an_empty_line_is_an_empty_text(tmp_path: Path) -> None:
    assert read(tmp_path, b"one\n\nthree") == ["one", "", "three"]


def test_only_line_feeds_end_a_line(tmp_path: Path) -> None:
    assert read(tmp_path, "a\u2028b\x0bc\rd\n".encode()) == ["a\u2028b\x0bc\rd"]


def test_a_blank_line_between_records_is_none(tmp_path: Path) -> None:
    assert read(tmp_path, b'{"t": "a"}\n\n{"t": "b"}\n', "t") == ["a", "b"]


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\nb\n")))
    assert list(read_texts(STDIN, None)) == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "field", "message"),
    [
        (b"fine\n\xff\n", None, "line 2: not UTF-8: invalid start byte at byte 0"),
        (b'{"t": "a"}\nnope\n', "t", "line 2: not JSON: Expecting value"),
        (b'{"a": 1, "b": 2}\n', "t", "line 1: no field 't'; it has: a, b"),
        (b"[1]\n", "t", "line 1: found list, expected a record with field 't'"),
        (b'{"t": 3}\n', "t", "line 1: field 't' is int, not a string"),
    ],
)
def test_a_bad_line_is_named(
    tmp_path: Path, content: bytes, field: str | None, message: str
) -> None:
    with pytest.raises(UsageError) as failure:
        read(tmp_path, content, field)
    assert f"{tmp_path / 'texts.txt'}, {message}" in str(failure.value)


def test_json_lines_need_a_field(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.touch()
    with pytest.raises(UsageError, match="say which field has the text"):
        read_texts(path, None)


@pytest.mark.parametrize(("make", "found"), [(False, "nothing"), (True, "a directory")])
def test_no_such_file_is_found_at_once(tmp_path: Path, make: bool, found: str) -> None:
    path = tmp_path / "texts"
    if make:
        path.mkdir()
    with pytest.raises(UsageError, match=f"no file .*: found {found}"):
        read_texts(path, None)


KINDS = [
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.dictionary(pa.int32(), pa.string()),
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_parquet_gives_the_column(tmp_path: Path, kind: pa.DataType) -> None:
    path = tmp_path / "texts.parquet"
    texts = [f"é {number}" for number in range(1000)]
    column = pa.array(texts).cast(kind)
    table = pa.table({"number": range(1000), "a.b": column, "a": [{"b": 1}] * 1000})
    parquet.write_table(table, path, row_group_size=300)
    assert list(read_texts(path, "a.b")) == texts


def test_parquet_is_read_a_little_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "texts.parquet"
    texts = pa.array([f"{number:010000}" for number in range(30_000)])
    parquet.write_table(pa.table({"text": texts}), path, use_dictionary=False, compression=None)
    del texts
    pool = pa.default_memory_pool()
    before = pool.bytes_allocated()
    most = 0
    for text in read_texts(path, "text"):
        assert len(text) == 10_000
        most = max(most, pool.bytes_allocated() - before)
    assert path.stat().st_size > 300e6
    assert most < 60e6


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (None, "say which column has the text; it has: text (string), number (int64)"),
        ("body", "no column 'body'; it has: text (string), number (int64)"),
        ("number", "column 'number' is int64, not a string"),
    ],
)
def test_a_column_that_has_no_texts(tmp_path: Path, field: str | None, message: str) -> None:
    path = tmp_path / "texts.parquet"
    parquet.write_table(pa.table({"text": ["a", "b", None], "number": [1, 2, 3]}), path)
    with pytest.raises(UsageError, match=re.escape(f"{path}: {message}")):
        read_texts(path, field)
    texts = read_texts(path, "text")
    assert [next(texts), next(texts)] == ["a", "b"]
    with pytest.raises(
        UsageError,
        match=r"row 3: field 'text' is null, not a string: skip such records with --skip-null",
    ):
        next(texts)


@pytest.mark.parametrize("content", [b"", b"no Parquet", b"PAR1" + bytes(100) + b"PAR1"])
def test_what_is_no_parquet(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "texts.parquet"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=f"^{re.escape(str(path))} is not Parquet: "):
        read_texts(path, "text")


def test_a_page_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "texts.parquet"
    parquet.write_table(pa.table({"text": [f"text {number}" for number in range(5000)]}), path)
    data = bytearray(path.read_bytes())
    data[100:20_000] = bytes(19_900)
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r", after row \d+: cannot be read: "):
        list(read_texts(path, "text"))


def test_parquet_without_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "texts.parquet"
    path.touch()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(BackendUnavailable, match=re.escape('pip install "minilm-toolkit[parquet]')):
        read_texts(path, "text")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_as_good_as_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "texts"
    os.mkfifo(pipe)
    with subprocess.Popen(["sh", "-c", f"printf 'a\\nb\\n' > '{pipe}'"]):
        assert list(read_texts(pipe, None)) == ["a", "b"]

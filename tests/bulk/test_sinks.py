"""Vectors to .npy, JSON lines and the screen."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from minilm.bulk.records import Record
from minilm.bulk.sinks import check_output, open_output
from minilm.bulk.writers import WRITERS
from minilm.runtime import EncodeReport
from minilm.runtime.errors import BackendUnavailable, UsageError
from numpy.typing import NDArray
from pyarrow import parquet

Vectors = NDArray[np.float32]
BLOCKS = st.lists(
    st.integers(0, 5).flatmap(
        lambda rows: arrays.arrays(
            np.float32, (rows, 3), elements=st.floats(-1, 1, width=32, allow_subnormal=False)
        )
    ),
    max_size=4,
)


def write(path: Path, blocks: list[Vectors]) -> None:
    with open_output(path, 3) as sink:
        for block in blocks:
            records = [Record(f"text {number}") for number in range(len(block))]
            sink.add(records, block, EncodeReport())


@given(blocks=BLOCKS)
def test_npy_holds_every_row(
    blocks: list[Vectors],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("out") / "vectors.npy"
    write(path, blocks)
    loaded = np.load(path, allow_pickle=False)
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(loaded, np.concatenate([np.empty((0, 3), np.float32), *blocks]))


def test_npy_is_what_numpy_would_have_written(tmp_path: Path) -> None:
    vectors = np.linspace(0, 1, 21, dtype=np.float32).reshape(7, 3)
    write(tmp_path / "ours.npy", [vectors[:4], vectors[4:]])
    np.save(tmp_path / "theirs.npy", vectors)
    assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "theirs.npy").read_bytes()


@given(blocks=BLOCKS)
def test_json_lines_give_float32_back(
    blocks: list[Vectors],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("out") / "vectors.jsonl"
    write(path, blocks)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    expected = [
        ({"text": f"text {number}"}, vector)
        for block in blocks
        for number, vector in enumerate(block)
    ]
    assert [{"text": row["text"]} for row in rows] == [text for text, _ in expected]
    for row, (_, vector) in zip(rows, expected, strict=True):
        np.testing.assert_array_equal(np.array(row["embedding"], np.float32), vector)


@given(blocks=BLOCKS)
def test_parquet_holds_every_row(
    blocks: list[Vectors],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("out") / "vectors.parquet"
    write(path, blocks)
    assert list(path.parent.iterdir()) == [path]
    table = parquet.read_table(path)
    assert [str(kind) for kind in table.schema.types] == [
        "string",
        "fixed_size_list<element: float>[3]",
    ]
    texts = [f"text {number}" for block in blocks for number in range(len(block))]
    assert table["text"].to_pylist() == texts
    vectors = table["embedding"].combine_chunks().flatten().to_numpy().reshape(-1, 3)
    np.testing.assert_array_equal(vectors, np.concatenate([np.empty((0, 3), np.float32), *blocks]))


def test_row_groups_of_parquet_stay_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minilm.bulk.parquet_writer._GROUP_ROWS", 10)
    write(tmp_path / "rows.parquet", [np.zeros((4, 3), np.float32)] * 7)
    monkeypatch.setattr("minilm.bulk.parquet_writer._GROUP_BYTES", 40)
    write(tmp_path / "bytes.parquet", [np.zeros((4, 3), np.float32)] * 7)
    for name, expected in (("rows", [12, 12, 4]), ("bytes", [4] * 7)):
        found = parquet.ParquetFile(tmp_path / f"{name}.parquet").metadata
        groups = [found.row_group(number).num_rows for number in range(found.num_row_groups)]
        assert groups == expected


def test_parquet_without_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr("minilm.bulk.sinks.find_spec", lambda _: None)
    message = 'needs pyarrow.*: pip install "minilm-toolkit[parquet]"'.replace("[", r"\[")
    with pytest.raises(BackendUnavailable, match=message):
        check_output(tmp_path / "vectors.parquet")
    with pytest.raises(BackendUnavailable, match=message):
        WRITERS[".parquet"](3)


@pytest.mark.parametrize("name", [f"vectors{suffix}" for suffix in WRITERS])
def test_a_failure_leaves_what_stood_there(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("before")

    def fail_after_one_row() -> None:
        with open_output(path, 3) as sink:
            sink.add([Record("a")], np.zeros((1, 3), np.float32), EncodeReport())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_after_one_row()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit on file sizes to set")
@pytest.mark.parametrize("name", [f"vectors{suffix}" for suffix in WRITERS])
def test_a_full_disk_is_named_and_left_as_it_was(tmp_path: Path, name: str) -> None:
    code = f"""
import resource
from pathlib import Path
import numpy as np
from minilm.bulk.records import Record
from minilm.bulk.sinks import open_output
from minilm.runtime import EncodeReport
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
path = Path({str(tmp_path / name)!r})
try:
    with open_output(path, 384) as sink:
        for _ in range(100):
            sink.add([Record("a text")], np.zeros((1, 384), np.float32), EncodeReport())
except OSError as error:
    assert error.filename == str(path), error
else:
    raise AssertionError("nothing failed")
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vectors.csv", "the name must end in .npy, .jsonl or .parquet"),
        ("folder.npy", "is a directory"),
        ("absent/vectors.npy", "there is no directory"),
    ],
)
def test_a_hopeless_output_is_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(UsageError, match=message):
        check_output(tmp_path / name)


def test_a_good_output_passes(tmp_path: Path) -> None:
    assert check_output(tmp_path / "vectors.npy") == tmp_path / "vectors.npy"

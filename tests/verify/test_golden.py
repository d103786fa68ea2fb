import contextlib
import io
import os
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from minilm.runtime.errors import InvalidArtifact
from minilm.verify.reference import (
    GOLDEN_NAME,
    GoldenReference,
    PyTorchReference,
    Reference,
    write_golden,
)

from tests.support.fakes import FakeReference


@pytest.fixture
def written(original: PyTorchReference, tmp_path: Path) -> Path:
    (tmp_path / "tokenizer.json").write_bytes((original.directory / "tokenizer.json").read_bytes())
    write_golden(tmp_path, FakeReference())
    return tmp_path


def test_what_is_written_is_read_back(written: Path) -> None:
    ours: Reference = FakeReference()
    read: Reference = GoldenReference(written)
    texts = [sample.text for sample in GoldenReference(written).corpus]
    assert len(texts) > 300
    assert "" in texts
    np.testing.assert_array_equal(read.encode(texts), ours.encode(texts))
    assert read.token_ids(texts[::-1]) == ours.token_ids(texts)[::-1]
    assert (read.weights_sha256, read.max_tokens) == (ours.weights_sha256, ours.max_tokens)


def test_the_same_content_gives_the_same_bytes(written: Path) -> None:
    before = (written / GOLDEN_NAME).read_bytes()
    write_golden(written, FakeReference())
    assert (written / GOLDEN_NAME).read_bytes() == before
    assert sorted(path.name for path in written.iterdir()) == [GOLDEN_NAME, "tokenizer.json"]
    for info in zipfile.ZipFile(io.BytesIO(before)).infolist():
        assert info.date_time == (1980, 1, 1, 0, 0, 0)


def test_the_originals_bytes_do_not_depend_on_the_process(
    original: PyTorchReference, tmp_path: Path
) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from minilm.verify.reference import PyTorchReference, write_golden\n"
        "write_golden(Path(sys.argv[1]), PyTorchReference(None))\n"
    )
    found = []
    for place, settings in enumerate(({"OMP_NUM_THREADS": "1"}, {"PYTHONHASHSEED": "7"})):
        folder = tmp_path / str(place)
        folder.mkdir()
        tokenizer = (original.directory / "tokenizer.json").read_bytes()
        (folder / "tokenizer.json").write_bytes(tokenizer)
        subprocess.run(
            [sys.executable, "-c", code, str(folder)], check=True, env={**os.environ, **settings}
        )
        found.append((folder / GOLDEN_NAME).read_bytes())
    assert found[0] == found[1]


def test_a_missing_file_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(InvalidArtifact, match=r"nothing to compare with; pip install") as e:
        GoldenReference(tmp_path)
    assert e.value.exit_code == 3


@pytest.mark.parametrize("keep", [0, 10, 1000, 50_000])
def test_a_cut_file(written: Path, keep: int) -> None:
    path = written / GOLDEN_NAME
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InvalidArtifact, match="cannot read"):
        GoldenReference(written)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("format", np.array(9), "format 9, this version reads 1"),
        ("vectors", np.zeros((2, 3), np.float32), "vectors of shape"),
        ("vectors", np.zeros(3, np.float32), r"vectors is <f4 \(3,\), expected <f4 of 2 axes"),
        ("text_ends", np.array([5, 3]), "pieces end at"),
        ("categories", np.frombuffer(b"{", np.uint8), "is inconsistent"),
        ("texts", np.full(9, 255, np.uint8), "is inconsistent"),
    ],
)
def test_arrays_that_do_not_fit(
    written: Path, name: str, value: np.ndarray[tuple[int, ...], np.dtype[np.generic]], message: str
) -> None:
    with np.load(written / GOLDEN_NAME) as archive:
        arrays = dict(archive)
    arrays[name] = value
    np.savez(written / GOLDEN_NAME, **arrays)
    with pytest.raises(InvalidArtifact, match=message):
        GoldenReference(written)


def rewritten(written: Path, **arrays: Any) -> None:
    with np.load(written / GOLDEN_NAME) as archive:
        kept = dict(archive)
    np.savez(written / GOLDEN_NAME, **{**kept, **arrays})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("vectors", np.array([{"a": 1}], dtype=object), r"vectors is \|O \(1,\), expected <f4"),
        ("vectors", np.zeros((2, 3), ">f4"), r"vectors is >f4 \(2, 3\), expected <f4 of 2 axes"),
        ("texts", np.zeros(3, "U5"), r"texts is <U5 \(3,\), expected \|u1 of 1 axes"),
        ("max_tokens", np.array(1 << 40), "max_tokens 1099511627776, expected 3 to 32768"),
        ("max_tokens", np.array(0), "max_tokens 0, expected 3 to 32768"),
        ("max_tokens", np.array([5]), r"max_tokens is <i8 \(1,\), expected"),
        ("categories", np.frombuffer(b"[" * 100_000, np.uint8), "is inconsistent"),
        ("categories", np.frombuffer(b'{"a": 1}', np.uint8), "categories are no list"),
        ("ids", np.zeros(0, np.int32), "pieces end at"),
    ],
)
def test_arrays_of_another_kind_are_refused(
    written: Path, name: str, value: npt.NDArray[Any], message: str
) -> None:
    rewritten(written, **{name: value})
    with pytest.raises(InvalidArtifact, match=message):
        GoldenReference(written)


def test_no_texts_at_all_are_refused(written: Path) -> None:
    nothing = {
        "texts": np.zeros(0, np.uint8),
        "text_ends": np.zeros(0, np.int64),
        "categories": np.frombuffer(b"[]", np.uint8),
        "vectors": np.zeros((0, 3), np.float32),
        "ids": np.zeros(0, np.int32),
        "id_ends": np.zeros(0, np.int64),
    }
    rewritten(written, **nothing)
    with pytest.raises(InvalidArtifact, match="0 texts, 0 categories, 0 token lists"):
        GoldenReference(written)


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode("latin-1").ljust(200) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def with_member(written: Path, name: str, content: bytes, **settings: Any) -> None:
    with zipfile.ZipFile(written / GOLDEN_NAME) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(written / GOLDEN_NAME, "w") as archive:
        for other, kept in members.items():
            if other != f"{name}.npy":
                archive.writestr(other, kept)
        archive.writestr(f"{name}.npy", content, **settings)


def shape_of(numbers: str) -> str:
    return f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({numbers}), }}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            npy(shape_of(f"{1 << 40}, 384")),
            "vectors of shape .* takes 1688849860263936 bytes, has 0",
        ),
        (npy(shape_of("-1, 384")), "vectors does not begin as an array"),
        (npy(shape_of("2, 3"), b"1234"), "takes 24 bytes, has 4"),
        (npy(shape_of("9" * 99)), "vectors does not begin as an array"),
        (npy("{'descr': " + "(" * 180), "vectors does not begin as an array"),
        (npy("-" * 190 + "1"), "vectors does not begin as an array"),
        (b"", "vectors does not begin as an array"),
        (b"\x93NUMPY\x02\x00", "vectors does not begin as an array"),
    ],
)
def test_a_header_is_not_believed(written: Path, content: bytes, message: str) -> None:
    with_member(written, "vectors", content)
    with pytest.raises(InvalidArtifact, match=message):
        GoldenReference(written)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_compressed_arrays_are_refused_unread(written: Path, method: int) -> None:
    bomb = npy(shape_of("100000, 1000"), bytes(400_000_000))
    with_member(written, "vectors", bomb, compress_type=method)
    assert (written / GOLDEN_NAME).stat().st_size < 2_000_000
    tracemalloc.start()
    try:
        with pytest.raises(InvalidArtifact, match="vectors is compressed, expected arrays as they"):
            GoldenReference(written)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_an_unknown_method_of_compression_is_refused(written: Path) -> None:
    path = written / GOLDEN_NAME
    data = path.read_bytes()
    for mark, offset in ((b"PK\x01\x02", 10), (b"PK\x03\x04", 8)):
        at = data.index(mark) + offset
        data = data[:at] + b"\x63\x00" + data[at + 2 :]
    path.write_bytes(data)
    with pytest.raises(InvalidArtifact, match="cannot read"):
        GoldenReference(written)


def test_a_file_too_large_is_refused(written: Path) -> None:
    with (written / GOLDEN_NAME).open("r+b") as file:
        file.truncate(1 << 30)
    with pytest.raises(InvalidArtifact, match="has 1073741824 bytes, expected at most 67108864"):
        GoldenReference(written)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_is_refused(written: Path) -> None:
    (written / GOLDEN_NAME).unlink()
    os.mkfifo(written / GOLDEN_NAME)
    with pytest.raises(InvalidArtifact, match="is not a regular file"):
        GoldenReference(written)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """Golden vectors of two texts."""
    directory = tmp_path_factory.mktemp("small")
    arrays: Any = {
        "format": np.array(1, np.int32),
        "texts": np.frombuffer(b"onetwo", np.uint8),
        "text_ends": np.array([3, 6]),
        "categories": np.frombuffer(b'["a", "b"]', np.uint8),
        "vectors": np.eye(2, 3, dtype=np.float32),
        "ids": np.arange(6, dtype=np.int32),
        "id_ends": np.array([3, 6]),
        "max_tokens": np.array(16, np.int32),
        "weights_sha256": np.zeros(32, np.uint8),
    }
    np.savez(directory / GOLDEN_NAME, **arrays)
    return directory, (directory / GOLDEN_NAME).read_bytes()


@given(st.data())
@hypothesis.settings(max_examples=300)
def test_altered_bytes_are_read_or_refused(small: tuple[Path, bytes], data: st.DataObject) -> None:
    directory, whole = small
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    del changed[data.draw(st.integers(len(changed) // 2, len(changed)) | st.just(len(changed))) :]
    (directory / GOLDEN_NAME).write_bytes(changed)
    with contextlib.suppress(InvalidArtifact):
        found = GoldenReference(directory)
        texts = [sample.text for sample in found.corpus]
        assert len(found.encode(texts)) == len(found.token_ids(texts)) == len(texts)


def test_nothing_half_written_is_left(
    original: PyTorchReference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tokenizer.json").write_bytes((original.directory / "tokenizer.json").read_bytes())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_golden(tmp_path, FakeReference())
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer.json"]

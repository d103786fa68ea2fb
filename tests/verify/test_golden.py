import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
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
        ("vectors", np.zeros(3, np.float32), "vectors of shape"),
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


def test_pickled_content_is_refused(written: Path) -> None:
    with np.load(written / GOLDEN_NAME) as archive:
        arrays = dict(archive)
    arrays["vectors"] = np.array([{"a": 1}], dtype=object)
    np.savez(written / GOLDEN_NAME, **arrays)
    with pytest.raises(InvalidArtifact, match="allow_pickle"):
        GoldenReference(written)


def test_nothing_half_written_is_left(
    original: PyTorchReference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tokenizer.json").write_bytes((original.directory / "tokenizer.json").read_bytes())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        write_golden(tmp_path, FakeReference())
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer.json"]

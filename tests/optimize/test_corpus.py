"""The calibration texts."""

from pathlib import Path

import pytest
from minilm.optimize.calibration import corpus
from minilm.runtime.errors import UsageError
from minilm.verify.reference.corpus import corpus_texts


def test_corpus_shares_no_text_with_verification() -> None:
    assert len(corpus.texts()) == 397
    assert not set(corpus.texts()) & set(corpus_texts())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has 0 texts, at least 32 are needed: give one a line"),
        (b"one\n\ntwo\n", "has 2 texts, at least 32 are needed: give one a line"),
        (b"\xff\xfe\x00text", "is not UTF-8 text (byte 0): give at least 32 texts, one a line"),
        (b"a\0b\n" * 40, "is binary: give at least 32 texts in UTF-8, one a line"),
    ],
)
def test_bad_file(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "texts"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        corpus.read_texts(path)
    assert str(caught.value) == f"calibration file {path} {message}"
    assert caught.value.exit_code == 2


def test_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read calibration file .*: No such file"):
        corpus.read_texts(tmp_path / "none")
    with pytest.raises(UsageError, match=r"cannot read calibration file .*: Is a directory"):
        corpus.read_texts(tmp_path)


def test_own_file(tmp_path: Path) -> None:
    path = tmp_path / "texts"
    path.write_text("\n".join(f"text {n}" for n in range(40)), encoding="utf-8")
    assert len(corpus.read_texts(path)) == 40

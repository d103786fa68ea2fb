"""Texts of the user's own: what is read, what is refused, what the report says."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from minilm.runtime.errors import BackendUnavailable
from minilm.verify.reference import GoldenReference, Reference
from minilm.verify.reference.corpus import CustomCorpus, Sample, build_corpus
from minilm.verify.reference.corpus_file import (
    MAX_TEXTS,
    MIN_TEXTS,
    CorpusFileError,
    read_corpus_file,
)

from tests.support.cli import toolkit
from tests.support.verifying import verify

LINES = [f"text number {n}" for n in range(40)]


def texts_of(corpus: CustomCorpus) -> tuple[str, ...]:
    return tuple(sample.text for sample in corpus.samples)


def written(tmp_path: Path, data: str | bytes) -> Path:
    path = tmp_path / "own.txt"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_text_a_line(tmp_path: Path, end: str, mark: bytes) -> None:
    lines = ["  קפה ☕", "", *LINES, "  ", LINES[3], "one\u2028line"]
    path = written(tmp_path, mark + end.join(lines).encode())
    found = read_corpus_file(path)
    assert texts_of(found) == ("  קפה ☕", *LINES, "one\u2028line")
    assert {sample.category for sample in found.samples} == {"own"}
    assert found.description == "42 texts of own.txt"


@pytest.mark.parametrize(("count", "said"), [(0, "0 different texts"), (1, "1 different text:")])
def test_too_few(tmp_path: Path, count: int, said: str) -> None:
    path = written(tmp_path, "the same\n" * 50 if count else "\n \n")
    with pytest.raises(CorpusFileError, match=said) as e:
        read_corpus_file(path)
    assert str(e.value).endswith(f"at least {MIN_TEXTS} are needed, one a line")
    assert e.value.exit_code == 2


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("before", [b"", b"good line\n"])
def test_not_utf_8_names_the_byte(tmp_path: Path, before: bytes, mark: bytes) -> None:
    data = mark + before + "\N{SNOWMAN}".encode() + b"a caf\xe9\nmore\n"
    with pytest.raises(CorpusFileError) as e:
        read_corpus_file(written(tmp_path, data))
    line = 1 + before.count(b"\n")
    assert str(e.value).endswith(
        f"is not UTF-8: byte 0xe9 at offset {data.index(0xE9)}, line {line}"
    )


@given(data=st.binary(max_size=200))
def test_bytes_of_any_kind_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = written(tmp_path_factory.mktemp("any"), data)
    try:
        texts = texts_of(read_corpus_file(path))
    except CorpusFileError:
        return
    assert len(set(texts)) == len(texts) >= MIN_TEXTS


def test_binary_and_missing(tmp_path: Path) -> None:
    with pytest.raises(CorpusFileError, match="line 2 has a zero byte"):
        read_corpus_file(written(tmp_path, b"a\nb\0c\n"))
    with pytest.raises(CorpusFileError, match="No such file"):
        read_corpus_file(tmp_path / "missing.txt")
    with pytest.raises(CorpusFileError, match="cannot read the texts of"):
        read_corpus_file(tmp_path)


def test_a_hundred_thousand_lines(tmp_path: Path) -> None:
    path = written(tmp_path, "".join(f"line {n}\n" for n in range(100_000)))
    found = read_corpus_file(path)
    texts = texts_of(found)
    assert len(texts) == MAX_TEXTS
    assert (texts[0], texts[-1]) == ("line 0", "line 99999")
    assert found.description == (
        "2000 texts of own.txt, evenly spread over its 100000 lines of text (at most 2000 are used)"
    )
    assert read_corpus_file(path) == found


def test_texts_around_the_limit_stay() -> None:
    made = build_corpus(written=())
    assert {sample.category.split("-")[0] for sample in made} == {"length"}
    mine = Sample(text="mine", category="own")
    assert build_corpus(written=(mine, replace(mine, text=made[0].text))) == (mine, *made)


def test_a_bundle_is_verified_on_them(bundle: Path, reference: Reference, tmp_path: Path) -> None:
    path = written(tmp_path, "\n".join(LINES))
    report = verify(bundle, reference, variants=["cpu/fp32"], corpus=read_corpus_file(path))
    assert report.passed
    assert [info.text for info in report.corpus[:40]] == LINES
    assert len(report.corpus) == 40 + len(build_corpus(written=()))
    (note,) = report.notes
    assert note == (
        "the built-in corpus: left out for 40 texts of own.txt; "
        "its texts around the model's limit stay"
    )


def test_they_need_pytorch(bundle: Path, tmp_path: Path) -> None:
    corpus = read_corpus_file(written(tmp_path, "\n".join(LINES)))
    with pytest.raises(BackendUnavailable, match="knows only its own texts"):
        verify(bundle, GoldenReference(bundle), corpus=corpus)


@pytest.mark.parametrize("option", ["--corpus", "--sts"])
def test_a_bad_file_is_found_before_the_work(option: str, tmp_path: Path) -> None:
    result = toolkit("verify", tmp_path / "absent", option, written(tmp_path, "one line\n"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "checking files" not in result.stderr
    assert "own.txt" in result.stderr

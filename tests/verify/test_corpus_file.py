"""Texts of the user's own: what is read, what is refused, what the report says."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from minilm.runtime.errors import BackendUnavailable
from minilm.verify import bench as bench_module
from minilm.verify import corpus, verify_bundle, verify_foreign
from minilm.verify.reference.corpus_file import MAX_TEXTS, MIN_TEXTS, CorpusFileError, read_texts
from minilm.verify.reference import PyTorchReference, Reference

LINES = [f"text number {n}" for n in range(40)]


def written(tmp_path: Path, data: str | bytes) -> Path:
    path = tmp_path / "own.txt"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_text_a_line(tmp_path: Path, end: str, mark: bytes) -> None:
    lines = ["  קפה ☕", "", *LINES, "  ", LINES[3], "one\u2028line"]
    path = written(tmp_path, mark + end.join(lines).encode())
    texts, sentence = read_texts(path)
    assert texts == ("  קפה ☕", *LINES, "one\u2028line")
    assert sentence == "42 texts of own.txt"


@pytest.mark.parametrize(("count", "said"), [(0, "0 different texts"), (1, "1 different text:")])
def test_too_few(tmp_path: Path, count: int, said: str) -> None:
    path = written(tmp_path, "the same\n" * 50 if count else "\n \n")
    with pytest.raises(CorpusFileError, match=said) as e:
        read_texts(path)
    assert str(e.value).endswith(f"at least {MIN_TEXTS} are needed, one a line")
    assert e.value.exit_code == 2


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("before", [b"", b"good line\n"])
def test_not_utf_8_names_the_byte(tmp_path: Path, before: bytes, mark: bytes) -> None:
    data = mark + before + "\N{SNOWMAN}".encode() + b"a caf\xe9\nmore\n"
    with pytest.raises(CorpusFileError) as e:
        read_texts(written(tmp_path, data))
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
        texts, _ = read_texts(path)
    except CorpusFileError:
        return
    assert len(set(texts)) == len(texts) >= MIN_TEXTS


def test_binary_and_missing(tmp_path: Path) -> None:
    with pytest.raises(CorpusFileError, match="line 2 has a zero byte"):
        read_texts(written(tmp_path, b"a\nb\0c\n"))
    with pytest.raises(CorpusFileError, match="No such file"):
        read_texts(tmp_path / "missing.txt")
    with pytest.raises(CorpusFileError, match="cannot read the texts of"):
        read_texts(tmp_path)


def test_a_hundred_thousand_lines(tmp_path: Path) -> None:
    path = written(tmp_path, "".join(f"line {n}\n" for n in range(100_000)))
    texts, sentence = read_texts(path)
    assert len(texts) == MAX_TEXTS
    assert (texts[0], texts[-1]) == ("line 0", "line 99999")
    assert sentence == (
        "2000 texts of own.txt, evenly spread over its 100000 lines of text (at most 2000 are used)"
    )
    assert read_texts(path)[0] == texts


def test_texts_around_the_limit_stay() -> None:
    made = corpus.samples(own=())
    assert {sample.category.split("-")[0] for sample in made} == {"length"}
    own = corpus.samples(own=["mine", made[0].text])
    assert [sample.category for sample in own[:2]] == ["own", made[0].category]
    assert own[1:] == made


def test_a_bundle_is_verified_on_them(bundle: Path, reference: Reference, tmp_path: Path) -> None:
    path = written(tmp_path, "\n".join(LINES))
    report = verify_bundle(bundle, against=reference, variants=["cpu/fp32"], corpus_file=path)
    assert report.passed
    assert [info.text for info in report.corpus[:40]] == LINES
    assert len(report.corpus) == 40 + len(corpus.samples(own=()))
    (note,) = report.notes
    assert note == (
        "the built-in corpus: left out for 40 texts of own.txt; "
        "its texts around the model's limit stay"
    )


def test_they_need_pytorch(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_module, "torch_installed", lambda: False)
    with pytest.raises(BackendUnavailable, match="knows only its own texts"):
        verify_bundle(bundle, corpus_file=written(tmp_path, "\n".join(LINES)))


def test_a_bad_file_is_found_before_anything_is_loaded(
    bundle: Path, original: PyTorchReference, tmp_path: Path
) -> None:
    path = written(tmp_path, "one line\n")
    said: list[str] = []
    with pytest.raises(CorpusFileError):
        verify_bundle(bundle, corpus_file=path, on_progress=said.append)
    assert said == ["checking files"]
    (tmp_path / "model.onnx").touch()
    with pytest.raises(CorpusFileError):
        verify_foreign(tmp_path, graphs=[], corpus_file=path)

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.datasets import TextsError, built_in, fill, read_texts, thinned


def test_pairs_and_lines(tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text('"a, quoted",b,5.0\n\nc,d,0\n', encoding="utf-8")
    assert read_texts(pairs) == ("a, quoted", "b", "c", "d")
    tabbed = tmp_path / "pairs.tsv"
    tabbed.write_text("a, b\tc\n", encoding="utf-8")
    assert read_texts(tabbed) == ("a, b", "c")
    lines = tmp_path / "texts.txt"
    lines.write_text("one\n\n  two, not three \n", encoding="utf-8")
    assert read_texts(lines) == ("one", "two, not three")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("one.csv", b"a,b\nalone\n", "one.csv, row 2: expected two sentences, found one"),
        ("few.txt", b"alone\n", "few.txt has 1 texts: at least 2 are needed"),
        ("binary.txt", b"\xff\xfe\x00", "cannot read the texts .*binary.txt: 'utf-8' codec"),
    ],
)
def test_unusable_files_are_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(TextsError, match=message):
        read_texts(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TextsError, match=r"cannot read the texts .*none\.txt: "):
        read_texts(tmp_path / "none.txt")


def test_the_built_in_texts_are_sentences() -> None:
    texts = built_in()
    assert len(texts) > 300
    assert len(set(texts)) == len(texts)


@given(
    st.lists(st.text("ab", min_size=1, max_size=30), min_size=1, max_size=20),
    st.integers(1, 5),
    st.integers(32, 64),
)
def test_long_texts_have_the_exact_length(words: list[str], count: int, tokens: int) -> None:
    texts = fill(words, count, lambda word: len(word) if word in words else 1, tokens=tokens)
    assert len(texts) == count
    for text in texts:
        assert sum(len(w) if w in words else 1 for w in text.split()) + 2 == tokens


def test_words_that_fit_nowhere_are_refused() -> None:
    with pytest.raises(TextsError, match="none of the 1 words fits a text of 4 tokens"):
        fill(["long"], 1, len, tokens=4)


@pytest.mark.parametrize(("seconds", "step"), [(0.5, 1), (1.0, 1), (3.5, 4), (1e9, 11)])
def test_slow_peers_get_fewer_texts_but_never_under_eight(seconds: float, step: int) -> None:
    texts = ["text"] * 90
    assert thinned(texts, seconds, 1.0) == step
    assert len(texts[::step]) >= 8

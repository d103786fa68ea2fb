"""Ids: those that the reference's own tokenizer gives, for any text."""

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minilm.runtime.errors import InvalidArtifact
from minilm.runtime.text.presplit import SPAN_CHARS
from minilm.runtime.text.tokenizer import TextTokenizer
from minilm.verify.reference import PyTorchReference

# Any character that a str of real text may have: all but surrogates.
_CHARACTERS = st.characters(exclude_categories=["Cs"])
_AWKWARD = st.sampled_from(
    [
        *("[CLS]", "[SEP]", "[MASK]", "[PAD]", "[UNK]", "[MASK", "##ing", "[", "]"),
        *("\x00", "\u200f", "\u200d", "\ufeff", "\u0301", "\u0327", "\u3000", "\x85", "\u2028"),
        *("東", "京", "한", "ㄱ", "ไทย", "İ", "ß", "ﬁ", "Ǆ", "👩‍👩‍👧", "🇫🇷", "\U0001d518", "½"),
        *("x" * 99, "x" * 100, "x" * 101, "é" * 101, " ", "\n", ".", "-", "_", "don't"),
    ]
)
_TEXTS = st.lists(st.text(_CHARACTERS, max_size=20) | _AWKWARD, max_size=40).map("".join)


@pytest.fixture(scope="module")
def tokenizer(bundle: Path) -> TextTokenizer:
    return TextTokenizer((bundle / "tokenizer.json").read_bytes())


def _whole(tokenizer: TextTokenizer, text: str) -> list[int]:
    return list(tokenizer._tokenizer.encode(text).ids[1:-1])


@settings(max_examples=400, deadline=None)
@given(text=_TEXTS)
def test_the_references_ids(
    text: str, tokenizer: TextTokenizer, original: PyTorchReference
) -> None:
    ours = [tokenizer.prefix, *tokenizer.ids(text)[:254].tolist(), tokenizer.suffix]
    assert [ours] == original.token_ids([text])


def test_no_truncation_and_no_padding(tokenizer: TextTokenizer) -> None:
    assert len(tokenizer.ids("word " * 1000)) == 1000
    assert tokenizer.ids("").tolist() == []
    assert tokenizer.ids("word").dtype == np.int32
    assert (tokenizer.prefix, tokenizer.suffix) == (101, 102)


@settings(max_examples=300, deadline=None)
@given(text=_TEXTS, span_chars=st.integers(12, 150))
def test_pieces_give_the_tokens_of_the_whole(
    text: str, span_chars: int, tokenizer: TextTokenizer
) -> None:
    plain = tokenizer._splitter
    assert plain is not None
    splitter = dataclasses.replace(plain, span_chars=span_chars)
    ids: list[int] = []
    end = 0
    for piece in splitter.pieces(text):
        assert end <= piece.start < piece.stop
        end = piece.stop
        ids += _whole(tokenizer, text[piece.start : piece.stop])
    assert ids == _whole(tokenizer, text)


_UNITS = {
    "prose": "The quick brown fox, jumps over the lazy dog. ",
    "one word": "a",
    "one word of accents": "é",
    "no spaces": "東京は日本の首都です",
    "no spaces, no punctuation": "東京",
    "thai": "ภาษาไทยง่ายมาก",
    "emoji": "😀",
    "joined emoji": "👩‍👩‍👧‍👦",
    "nulls": "\x00",
    "spaces": " ",
    "odd spaces": "\u3000",
    "punctuation": "…",
    "special tokens": "[MASK]",
    "marks": "\u0301",
    "words of 101": "x" * 101 + "—",
    "brackets": "[",
}


@pytest.mark.parametrize("unit", _UNITS.values(), ids=_UNITS.keys())
def test_long_texts_of_every_kind(unit: str, tokenizer: TextTokenizer) -> None:
    text = "Start " + unit * (3 * SPAN_CHARS // len(unit)) + " end"
    expected = _whole(tokenizer, text)
    assert tokenizer.ids(text).tolist() == expected
    ids, spans = tokenizer.ids_and_spans(text)
    assert ids.tolist() == expected
    assert spans.tolist() == [
        list(span) for span in tokenizer._tokenizer.encode(text).offsets[1:-1]
    ]


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "tokenizer.json cannot be read: "),
        (b"\xff\xfe", "tokenizer.json cannot be read: "),
        (b"{}", "tokenizer.json cannot be read: "),
        (b"[" * 100_000, "tokenizer.json cannot be read: "),
    ],
)
def test_what_is_no_tokenizer(data: bytes, message: str) -> None:
    with pytest.raises(InvalidArtifact, match=f"^{re.escape(message)}"):
        TextTokenizer(data)


def _changed(bundle: Path, change: Change) -> bytes:
    data = json.loads((bundle / "tokenizer.json").read_text("utf-8"))
    change(data)
    return json.dumps(data).encode()


def test_no_special_tokens(tiny_bundle: Path) -> None:
    data = _changed(tiny_bundle, lambda d: d.update(post_processor=None))
    message = "^tokenizer.json puts 0 tokens around a text, expected"
    with pytest.raises(InvalidArtifact, match=message):
        TextTokenizer(data)


def test_no_unknown_token(tiny_bundle: Path) -> None:
    def forget(data: dict[str, Any]) -> None:
        data["model"]["unk_token"] = "[NOWHERE]"

    tokenizer = TextTokenizer(_changed(tiny_bundle, forget))
    with pytest.raises(InvalidArtifact, match=r"^tokenizer.json cannot be used: "):
        tokenizer.ids("😀")


class PanicException(BaseException):
    """What PyO3 raises where Rust code panics."""


def test_panics_become_errors_and_interrupts_stay(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = TextTokenizer((tiny_bundle / "tokenizer.json").read_bytes())

    class Failing:
        def __init__(self, error: BaseException) -> None:
            self.error = error

        def encode(self, _: str) -> None:
            raise self.error

    monkeypatch.setattr(tokenizer, "_tokenizer", Failing(PanicException("index out of bounds")))
    with pytest.raises(
        InvalidArtifact, match=r"^tokenizer.json cannot be used: index out of bounds"
    ):
        tokenizer.ids("a")
    monkeypatch.setattr(tokenizer, "_tokenizer", Failing(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        tokenizer.ids("a")


def test_a_tokenizer_of_another_kind_takes_texts_whole(tiny_bundle: Path) -> None:
    data = _changed(tiny_bundle, lambda d: d.update(pre_tokenizer={"type": "Whitespace"}))
    tokenizer = TextTokenizer(data)
    assert tokenizer._splitter is None
    text = "a b " * SPAN_CHARS
    assert tokenizer.ids(text).tolist() == _whole(tokenizer, text)
    assert len(tokenizer.ids_and_spans(text)[1]) == 2 * SPAN_CHARS


@pytest.mark.parametrize("token", ["the", "[SEP]"])
def test_an_id_that_no_model_has(token: str, tiny_bundle: Path) -> None:
    data = json.loads((tiny_bundle / "tokenizer.json").read_text("utf-8"))
    data["model"]["vocab"][token] = 2**31
    for added in data["added_tokens"]:
        if added["content"] == token:
            added["id"] = 2**31
    for special in data["post_processor"]["special_tokens"].values():
        if special["tokens"] == [token]:
            special["ids"] = [2**31]
    with pytest.raises(InvalidArtifact, match="a token the id 2147483648: no model has so many"):
        TextTokenizer(json.dumps(data).encode()).ids("the text")

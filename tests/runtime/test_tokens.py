"""Tokens and windows as callers ask for them."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from minilm.runtime import Encoder
from minilm.runtime.errors import EncoderUnusable, TextTypeError, UsageError

TEXTS = ["the cat", "", "of a dog in the rain, and more", "the " * 100]


def test_tokens_are_those_of_the_original(tiny: Encoder, tiny_model: Path) -> None:
    from transformers import AutoTokenizer

    original = AutoTokenizer.from_pretrained(tiny_model)
    expected = original(
        TEXTS, truncation=True, max_length=64, padding=True, return_tensors="np"
    ).data
    tokens = tiny.tokenize(iter(TEXTS))
    assert list(tokens) == ["input_ids", "attention_mask"]
    for name, values in tokens.items():
        assert values.dtype == np.int64
        np.testing.assert_array_equal(values, expected[name])


def test_tokens_of_no_text(tiny: Encoder) -> None:
    tokens = tiny.tokenize([])
    assert tokens["input_ids"].shape == tokens["attention_mask"].shape == (0, 0)


def test_one_str_has_no_rows_of_tokens(tiny: Encoder) -> None:
    with pytest.raises(TextTypeError, match=r"^texts is one str, .*put it in a list$"):
        tiny.tokenize("the cat")


def test_counts_are_of_whole_texts(tiny: Encoder) -> None:
    assert tiny.count_tokens(TEXTS) == [6, 2, 19, 102]
    assert tiny.count_tokens("the " * 100) == 102
    assert tiny.count_tokens("the " * 62) == tiny.max_tokens
    with pytest.raises(TextTypeError, match=r"^texts\[1\] is int \(7\), expected str$"):
        tiny.count_tokens(["a", 7])  # type: ignore[list-item]  # the point


def test_chunks_of_a_size(tiny: Encoder) -> None:
    text = "the of and in to " * 40
    chunks = tiny.chunks(text, max_tokens=22, overlap=5)
    assert {chunk.tokens for chunk in chunks} == {20}
    assert len(chunks) == 1 + -(-(200 - 20) // 15)
    assert chunks[0].start == 0
    assert chunks[-1].end == len(text.rstrip())
    for chunk, following in itertools.pairwise(chunks):
        shared = text[following.start : chunk.end]
        assert tiny.count_tokens(shared) - 2 >= 5
        np.testing.assert_allclose(chunk.vector, tiny.encode(chunk.text), atol=1e-6)


def test_without_overlap_windows_may_touch(tiny: Encoder) -> None:
    text = "the " * 40
    first, second = tiny.chunks(text, max_tokens=22, overlap=0)
    assert text[first.end : second.start].isspace()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_tokens": 2}, r"^max_tokens must be from 3 to 64, .* reads no more; got 2$"),
        ({"max_tokens": 65}, r"^max_tokens must be from 3 to 64, .* reads no more; got 65$"),
        ({"max_tokens": 0}, r"^max_tokens must be greater than 0, got 0$"),
        ({"overlap": 32}, r"^overlap must be from 0 to 31, half of a window's .*; got 32$"),
        ({"overlap": -1}, r"^overlap must be from 0 to 31, half of a window's .*; got -1$"),
        ({"overlap": 1.5}, r"^overlap must be a whole number, got 1\.5$"),
        ({"max_tokens": 12, "overlap": 6}, r"^overlap must be from 0 to 5, .*; got 6$"),
    ],
)
def test_windows_that_cannot_be(arguments: dict[str, int], message: str, tiny: Encoder) -> None:
    with pytest.raises(UsageError, match=message):
        tiny.chunks("the", **arguments)


def test_a_closed_encoder_has_no_tokens(tiny_bundle: Path) -> None:
    from minilm.runtime import load

    encoder = load(tiny_bundle, variant="cpu/fp32")
    encoder.close()
    for call in (encoder.tokenize, encoder.count_tokens):
        with pytest.raises(EncoderUnusable, match=r"^this encoder was closed"):
            call(["a"])

"""Texts over the model's limit: cut, refused or averaged, and never silently."""

import itertools
import re
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from minilm.runtime import Encoder, EncodeReport, TruncationWarning, load
from minilm.runtime.backends.batch import TokenBatch, Vectors
from minilm.runtime.errors import TextTooLong, UsageError
from minilm.runtime.text.tokenizer import TextTokenizer
from minilm.verify.reference import PyTorchReference

from tests.runtime.conftest import PassingSession, SessionWrapper

LONG = " ".join(f"word{number}" for number in range(300))


def _tokens(encoder: Encoder, text: str) -> int:
    tokenizer = (encoder.options.path / "tokenizer.json").read_bytes()
    return len(TextTokenizer(tokenizer).ids(text))


def test_cut_texts_are_counted(encoder: Encoder) -> None:
    tokens = _tokens(encoder, LONG)
    encoder.encode([LONG, "short", LONG], on_long="truncate")
    assert encoder.last_report == EncodeReport(texts=3, texts_cut=2, tokens_cut=2 * (tokens - 254))
    list(encoder.iter_encode([LONG, "short", LONG], batch_size=2, on_long="truncate"))
    assert encoder.last_report.texts_cut == 2


def test_a_text_that_fits_exactly_is_not_cut(encoder: Encoder) -> None:
    encoder.encode("word " * 254)
    assert encoder.last_report == EncodeReport(texts=1)
    encoder.encode("word " * 255)
    assert encoder.last_report == EncodeReport(texts=1, texts_cut=1, tokens_cut=1)


def test_error_names_the_text(tiny: Encoder) -> None:
    tokens = _tokens(tiny, LONG)
    message = (
        f"texts[1] has {tokens} tokens, the model reads 62: shorten it, or choose "
        'on_long="truncate" or "mean"'
    )
    with pytest.raises(TextTooLong, match=f"^{re.escape(message)}$"):
        tiny.encode(["short", LONG], on_long="error")
    with pytest.raises(TextTooLong, match=r"^texts\[5\] has"):
        list(tiny.iter_encode(["short"] * 5 + [LONG], batch_size=2, on_long="error"))


def test_error_names_the_first_long_text_whatever_the_threads(tiny_bundle: Path) -> None:
    texts = [f"{LONG} {number:04}" for number in range(200)]
    with load(tiny_bundle, target="cpu", threads=4, on_long="error") as encoder:
        for _ in range(5):
            with pytest.raises(TextTooLong, match=r"^texts\[0\] has"):
                encoder.encode(texts)


def test_mean_of_windows(encoder: Encoder) -> None:
    mean = encoder.encode([LONG, "short"], on_long="mean")
    assert encoder.last_report == EncodeReport(texts=2, texts_windowed=1)
    chunks = encoder.chunks(LONG)
    assert len(chunks) > 1
    weights = np.array([chunk.tokens for chunk in chunks])
    expected = weights @ np.stack([chunk.vector for chunk in chunks])
    np.testing.assert_allclose(mean[0], expected / np.linalg.norm(expected), atol=1e-6)
    np.testing.assert_allclose(mean[1], encoder.encode("short"), atol=1e-6)
    np.testing.assert_allclose(encoder.encode(LONG, on_long="mean"), mean[0], atol=1e-6)


def test_mean_sees_what_truncation_cannot(encoder: Encoder) -> None:
    text = "The cat sleeps on the sofa. " * 60 + "Central banks raise interest rates. " * 60
    ending = "interest rates of central banks"
    seen, cut = (
        float(encoder.similarity(ending, encoder.encode(text, on_long=choice))[0, 0])
        for choice in ("mean", "truncate")
    )
    assert seen > cut + 0.2


def test_mean_is_the_same_whoever_finishes_first(tiny: Encoder) -> None:
    vectors = {tiny.encode([LONG * 3], on_long="mean").tobytes() for _ in range(10)}
    assert len(vectors) == 1


def test_the_choice_of_load_holds_until_a_call_says_otherwise(tiny_bundle: Path) -> None:
    with load(tiny_bundle, target="cpu", on_long="error") as strict:
        with pytest.raises(TextTooLong):
            strict.encode(LONG)
        assert strict.encode(LONG, on_long="truncate").shape == (32,)


def test_unknown_choices_are_refused_at_once(tiny: Encoder, tiny_bundle: Path) -> None:
    message = "^unknown on_long 'cut': choose one of truncate, error, mean$"
    with pytest.raises(UsageError, match=message):
        tiny.encode([], on_long="cut")  # type: ignore[call-overload]  # the point
    with pytest.raises(UsageError, match=message):
        tiny.iter_encode([], on_long="cut")  # type: ignore[arg-type]  # the point
    with pytest.raises(UsageError, match=message):
        load(tiny_bundle, on_long="cut")  # type: ignore[arg-type]  # the point


def test_each_encoder_warns_once_if_on_long_was_not_given(tiny_bundle: Path) -> None:
    for _ in range(2):
        with load(tiny_bundle, target="cpu") as tiny:
            cut = _tokens(tiny, LONG) - 62
            message = (
                f"1 of 2 texts exceed the limit of 62 tokens and were truncated ({cut} tokens "
                'dropped). Pass on_long="truncate" to silence this warning, or "mean" or "error". '
                "Shown once for each encoder; see encoder.last_report."
            )
            with pytest.warns(TruncationWarning, match=f"^{re.escape(message)}$") as caught:
                tiny.encode(["short", LONG])
            assert caught[0].filename == __file__
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                tiny.encode(LONG)


def test_no_warning_if_on_long_was_given(tiny_bundle: Path) -> None:
    with load(tiny_bundle, target="cpu") as tiny:
        tiny.encode(LONG, on_long="truncate")
        tiny.encode(LONG, on_long="mean")
        with pytest.warns(TruncationWarning):
            tiny.encode(LONG)


def test_chunks_cover_the_text(encoder: Encoder) -> None:
    text = "  " + "Ünïcode wörds, 東京 and 😀 emoji; " * 80
    chunks = encoder.chunks(text)
    assert len(chunks) > 3
    assert chunks[0].start == 2
    assert chunks[-1].end == len(text.rstrip())
    for chunk in chunks:
        assert chunk.text == text[chunk.start : chunk.end]
        assert chunk.tokens == 254
        assert chunk.vector.shape == (384,)
        assert np.linalg.norm(chunk.vector) == pytest.approx(1, abs=1e-6)
    for chunk, following in itertools.pairwise(chunks):
        assert chunk.start < following.start < chunk.end < following.end
    assert encoder.last_report == EncodeReport(texts=1, texts_windowed=1)


def test_chunks_are_what_their_text_gives(encoder: Encoder) -> None:
    for chunk in encoder.chunks("Plain words with spaces between them. " * 100):
        cosine = float(chunk.vector @ encoder.encode(chunk.text, on_long="truncate"))
        assert cosine > 0.999


@pytest.mark.parametrize("text", ["", " \n ", "\x00"])
def test_chunks_of_nothing(text: str, encoder: Encoder) -> None:
    (chunk,) = encoder.chunks(text)
    assert (chunk.text, chunk.start, chunk.end, chunk.tokens) == (text, 0, len(text), 0)
    np.testing.assert_allclose(chunk.vector, encoder.encode(text), atol=1e-6)


def test_chunks_of_a_short_text(encoder: Encoder) -> None:
    (chunk,) = encoder.chunks("  one short text ")
    assert (chunk.text, chunk.start, chunk.end, chunk.tokens) == ("one short text", 2, 16, 3)


def test_mean_of_a_text_of_the_original(encoder: Encoder, original: PyTorchReference) -> None:
    chunks = encoder.chunks(LONG)
    expected = original.encode([LONG])
    assert float(chunks[0].vector @ expected[0]) > 0.999999


def test_a_model_without_normalization_is_normalized_on_request(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, wrap_sessions: SessionWrapper
) -> None:
    class Unnormalized(PassingSession):
        def run(self, batch: TokenBatch) -> Vectors:
            return 3 * super().run(batch)

    wrap_sessions(Unnormalized)
    tiny = load(tiny_bundle, target="cpu", precision="fp32")
    model = replace(tiny.manifest.model, normalized=False)
    monkeypatch.setattr(tiny, "manifest", replace(tiny.manifest, model=model))
    for texts in (["short"], [LONG, "short"]):
        plain = tiny.encode(texts, on_long="mean", normalize_embeddings=False)
        unit = tiny.encode(texts, on_long="mean")
        assert np.linalg.norm(plain[-1]) == pytest.approx(3, abs=1e-5)
        np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-6)
        lengths = np.linalg.norm(plain, axis=1, keepdims=True)
        np.testing.assert_allclose(plain / lengths, unit, atol=1e-6)

"""Vectors: the original's, in order, whatever the batch."""

# Over 300 lines: one class, and every promise of its docstrings.

import re
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from minilm.runtime import Encoder, EncodeReport, load
from minilm.runtime.backends.batch import TokenBatch, Vectors
from minilm.runtime.errors import BackendUnavailable, EncoderUnusable, TextTypeError, UsageError
from minilm.verify.reference import PyTorchReference

from tests.runtime.conftest import PassingSession, SessionWrapper

TEXTS = [
    "A man is playing a guitar.",
    "",
    "a",
    "Ünïcödé, naïve café; 東京タワー and Привет мир",
    "👩‍👩‍👧‍👦 families and 🇫🇷 flags",
    "def f(x): return x**2  # https://example.org/a?b=c&d=%20",
    "[CLS] special [SEP] tokens [MASK] in the text [PAD]",
    "\u200f\u202bright-to-left marks\u202c and a\x00NUL",
    "antidisestablishmentarianism " * 20,
    "x" * 5000,
    "word " * 253,
    "word " * 254,
    "word " * 255,
    "a far longer text, of many words, " * 400,
    "tab\tnew\nline\r\nand \x85 \u2028 odd \u3000 spaces",
    "e\u0301 combining\u0327 marks \u1100\u1161 jamo",
]


def test_the_originals_vectors(encoder: Encoder, original: PyTorchReference) -> None:
    vectors = encoder.encode(TEXTS)
    expected = original.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), 384)
    cosines = (vectors * expected).sum(axis=1)
    assert cosines.min() > 0.999999
    np.testing.assert_allclose(vectors, expected, atol=2e-5)


# Any text, and what has broken tokenizers: joined emoji, marks of direction, NUL, endless words.
_PARTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.sampled_from(["👩‍👩‍👧‍👦", "\u202eabc\u202c", "\x00", "[MASK]", "東京", "e\u0301", "word "]),
    st.integers(90, 5000).map("x".__mul__),
    st.integers(1, 400).map("some words ".__mul__),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(texts=st.lists(st.lists(_PARTS, max_size=6).map("".join), min_size=1, max_size=12))
def test_the_originals_vectors_of_any_texts(
    texts: list[str], encoder: Encoder, original: PyTorchReference
) -> None:
    cosines = (encoder.encode(texts) * original.encode(texts)).sum(axis=1)
    assert cosines.min() > 0.99999


@pytest.mark.parametrize("variant", ["cpu/fp32", "openvino/bf16"])
def test_one_short_text_starts_no_thread(
    variant: str,
    tiny_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    wrap_sessions: SessionWrapper,
) -> None:
    ran_in: list[int] = []

    class Recording(PassingSession):
        def run(self, batch: TokenBatch) -> Vectors:
            ran_in.append(threading.get_ident())
            return super().run(batch)

    def refuse(_: threading.Thread) -> None:
        raise AssertionError("a thread was started")

    wrap_sessions(Recording)
    target, precision = variant.split("/")
    with load(tiny_bundle, target=target, precision=precision, threads=8) as encoder:
        expected = encoder.encode(["one short text"])[0]
        ran_in.clear()
        monkeypatch.setattr(threading.Thread, "start", refuse)
        np.testing.assert_allclose(encoder.encode("one short text"), expected, atol=1e-6)
        assert ran_in == [threading.get_ident()]


def test_unit_length(encoder: Encoder) -> None:
    lengths = np.linalg.norm(encoder.encode(TEXTS), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-6)


def test_shapes(tiny: Encoder) -> None:
    assert tiny.encode("one").shape == (32,)
    assert tiny.encode(["one"]).shape == (1, 32)
    assert tiny.encode([]).shape == (0, 32)
    assert tiny.encode([]).dtype == np.float32
    assert tiny.encode("").shape == (32,)
    assert tiny.dimension == 32
    assert tiny.max_tokens == 64


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_order_and_neighbours_do_not_matter(data: st.DataObject, tiny: Encoder) -> None:
    words = st.lists(st.sampled_from(["the", "a", "cat", "runs", "blue", "of"]), max_size=80)
    texts = data.draw(st.lists(words.map(" ".join), min_size=1, max_size=60))
    batch_size = data.draw(st.none() | st.integers(1, 70))
    together = tiny.encode(texts, batch_size=batch_size, on_long="truncate")
    alone = np.stack([tiny.encode(text, on_long="truncate") for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("variant", ["cpu/int8", "openvino/bf16", "openvino/int8"])
def test_every_variant_embeds(variant: str, bundle: Path, encoder: Encoder) -> None:
    target, precision = variant.split("/")
    texts = TEXTS * 5
    with load(bundle, target=target, precision=precision, on_long="truncate") as other:
        assert other.variant.name == variant
        cosines = (other.encode(texts) * encoder.encode(texts)).sum(axis=1)
        alone = np.stack([other.encode(text) for text in TEXTS])
        cosines_alone = (alone * other.encode(TEXTS)).sum(axis=1)
    assert cosines.min() > 0.97
    assert cosines_alone.min() > 0.999


def test_cuda_graphs_run_on_the_cpu_when_asked_by_name(tiny_bundle: Path, tiny: Encoder) -> None:
    with pytest.raises(BackendUnavailable, match="CUDAExecutionProvider"):
        load(tiny_bundle, target="cuda")
    with load(
        tiny_bundle, target="cuda", precision="fp16", provider="CPUExecutionProvider"
    ) as other:
        assert other.why.startswith(
            "cuda/fp16 on CPUExecutionProvider, asked for by name instead of CUDAExecutionProvider"
        )
        cosines = (other.encode(["a cat", "a dog"]) * tiny.encode(["a cat", "a dog"])).sum(axis=1)
    assert cosines.min() > 0.999


def test_many_texts_from_many_threads(tiny: Encoder) -> None:
    texts = [f"text {number} " + "word " * (number % 40) for number in range(300)]
    expected = tiny.encode(texts)
    found: dict[int, np.ndarray] = {}

    def embed(thread: int) -> None:
        mine = texts[thread::6]
        found[thread] = np.stack([*tiny.encode(mine[:-1]), tiny.encode(mine[-1])])

    threads = [threading.Thread(target=embed, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(6):
        np.testing.assert_allclose(found[number], expected[number::6], atol=1e-6)


def test_streams_give_blocks_in_order(tiny: Encoder) -> None:
    texts = [f"number {number}" for number in range(25)]
    blocks = list(tiny.iter_encode(iter(texts), batch_size=10))
    assert [len(block) for block in blocks] == [10, 10, 5]
    np.testing.assert_allclose(np.concatenate(blocks), tiny.encode(texts), atol=1e-6)
    assert list(tiny.iter_encode([])) == []


def test_streams_are_read_one_block_at_a_time(tiny: Encoder) -> None:
    read: list[int] = []

    def stream() -> "object":
        for number in range(100):
            read.append(number)
            yield f"number {number}"

    blocks = tiny.iter_encode(stream(), batch_size=10)  # type: ignore[arg-type]  # an Iterator it is
    assert read == []
    next(blocks)
    assert len(read) == 10


def test_long_texts_end_a_block_of_a_stream(tiny: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minilm.runtime.text.inputs._BLOCK_CHARS", 100)
    texts = ["word"] * 5 + ["word " * 12] * 4 + ["word " * 50] + ["word"] * 3
    blocks = list(tiny.iter_encode(iter(texts), batch_size=6))
    assert [len(block) for block in blocks] == [6, 2, 2, 3]
    np.testing.assert_allclose(np.concatenate(blocks), tiny.encode(texts), atol=1e-6)


def test_positions_of_a_stream_may_begin_anywhere(tiny: Encoder) -> None:
    with pytest.raises(TextTypeError, match=r"^texts\[1005\] is None"):
        list(tiny.iter_encode([*["a"] * 5, None], batch_size=2, first=1000))  # type: ignore[list-item]  # the point


@pytest.mark.parametrize("value", [0, -1, True, 2.0, "8"])
def test_batch_size_is_a_whole_number_above_zero(value: object, tiny: Encoder) -> None:
    problem = (
        f"greater than 0, got {value}" if type(value) is int else f"a whole number, got {value!r}"
    )
    message = f"^batch_size must be {re.escape(problem)}$"
    with pytest.raises(UsageError, match=message):
        tiny.encode(["a"], batch_size=value)  # type: ignore[call-overload]  # the point
    with pytest.raises(UsageError, match=message):
        tiny.iter_encode(["a"], batch_size=value)  # type: ignore[arg-type]  # the point


def test_similarity_of_texts_and_vectors(encoder: Encoder) -> None:
    queries, lines = ["a dog"], ["a puppy", "tax law", "a dog"]
    cosines = encoder.similarity(queries, lines)
    assert cosines.shape == (1, 3)
    assert cosines.dtype == np.float32
    assert cosines[0, 0] > cosines[0, 1]
    assert cosines[0, 2] == pytest.approx(1, abs=1e-6)
    vectors = encoder.encode(lines)
    np.testing.assert_allclose(encoder.similarity("a dog", 3 * vectors), cosines, atol=1e-6)
    np.testing.assert_allclose(encoder.similarity("a dog", vectors[0]), cosines[:, :1], atol=1e-6)
    assert encoder.similarity([], lines).shape == (0, 3)


def test_similarity_takes_vectors_of_every_kind(tiny: Encoder) -> None:
    torch = pytest.importorskip("torch")
    texts = ["one", "two", "three"]
    vectors = tiny.encode(texts)
    expected = tiny.similarity(vectors, vectors)
    parameter = torch.nn.Parameter(torch.from_numpy(vectors.copy()))
    for same in (
        tiny.embed_documents(texts),
        tiny(texts),
        tuple(tiny(texts)),
        vectors.tolist(),
        vectors.astype(np.float64),
        parameter,  # has a gradient
        list(parameter),
        torch.from_numpy(vectors).double(),
    ):
        np.testing.assert_allclose(tiny.similarity(same, vectors), expected, atol=1e-6)
    half = torch.from_numpy(vectors).bfloat16()  # of which NumPy has none
    np.testing.assert_allclose(tiny.similarity(half, vectors), expected, atol=0.02)
    for one in (tiny.embed_query("one"), torch.from_numpy(vectors[0])):
        np.testing.assert_allclose(tiny.similarity(one, texts), expected[:1], atol=1e-6)


@pytest.mark.parametrize("texts", [[["a"]], [True], np.array([["a"]]), 3, {"a": 1}])
def test_similarity_refuses_what_is_neither(texts: Any, tiny: Encoder) -> None:
    with pytest.raises(TextTypeError, match=r"^texts"):
        tiny.similarity(texts, "a")


def test_similarity_of_vectors_of_different_lengths(tiny: Encoder) -> None:
    with pytest.raises(UsageError, match=r"^b has vectors of different lengths$"):
        tiny.similarity("a", [[0.0] * 32, [0.0] * 31])


@pytest.mark.parametrize("kind", [np.int8, np.int64, np.uint16])
def test_a_whole_number_of_numpy(kind: type[np.integer[Any]], tiny: Encoder) -> None:
    texts = ["a", "b", "c"]
    np.testing.assert_array_equal(tiny.encode(texts, batch_size=kind(2)), tiny.encode(texts))
    assert [len(block) for block in tiny.iter_encode(texts, batch_size=kind(2))] == [2, 1]


def test_similarity_refuses_another_dimension(tiny: Encoder) -> None:
    with pytest.raises(UsageError, match=r"^b has shape \(2, 5\), expected \(n, 32\) or texts$"):
        tiny.similarity("a", np.zeros((2, 5)))


def test_closed(tiny_bundle: Path) -> None:
    with load(tiny_bundle, target="cpu") as encoder:
        encoder.encode("open")
    with pytest.raises(EncoderUnusable, match=r"^this encoder was closed: load the bundle again$"):
        encoder.encode("closed")
    encoder.close()


def test_report_of_the_last_call(tiny: Encoder) -> None:
    tiny.encode(["a", "b"])
    assert tiny.last_report == EncodeReport(texts=2)
    list(tiny.iter_encode(["a"] * 5, batch_size=2))
    assert tiny.last_report == EncodeReport(texts=5)
    tiny.encode("a")
    assert tiny.last_report == EncodeReport(texts=1)


def test_reports_belong_to_threads(tiny: Encoder) -> None:
    tiny.encode(["a", "b", "c"])
    thread = threading.Thread(target=lambda: tiny.encode("from another thread"))
    thread.start()
    thread.join()
    assert tiny.last_report == EncodeReport(texts=3)


def test_repr(tiny: Encoder) -> None:
    assert repr(tiny) == "<Encoder tiny-bert cpu/fp32>"


def test_sentence_transformers_words_for_its_sizes(tiny: Encoder) -> None:
    assert tiny.get_sentence_embedding_dimension() == tiny.dimension == 32
    assert tiny.max_seq_length == tiny.max_tokens == 64


@pytest.mark.parametrize("name", ["max_seq_length", "on_longer", "device", "prompt_nam"])
def test_what_cannot_be_set_is_refused(name: str, tiny: Encoder) -> None:
    with pytest.raises(AttributeError, match=rf"'{name}'"):
        setattr(tiny, name, 128)


@pytest.mark.parametrize("texts", ["a", ["a", "b"], []])
def test_a_tensor(texts: Any, tiny: Encoder) -> None:
    import torch

    tensor = tiny.encode(texts, convert_to_tensor=True)
    assert isinstance(tensor, torch.Tensor)
    assert tensor.dtype == torch.float32
    np.testing.assert_array_equal(tensor.numpy(), tiny.encode(texts))
    assert isinstance(tiny.encode_query(texts, convert_to_tensor=True), torch.Tensor)


def test_a_tensor_without_pytorch(tiny: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    message = r"^convert_to_tensor needs PyTorch, which is not installed: pip install torch$"
    with pytest.raises(BackendUnavailable, match=message):
        tiny.encode(["a"], convert_to_tensor=True)

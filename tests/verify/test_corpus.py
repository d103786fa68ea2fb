from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from minilm.verify.reference import PyTorchReference, corpus
from minilm.verify.tokenizer import token_counter


def test_it_has_several_hundred_different_texts_of_every_kind() -> None:
    samples = corpus.build_corpus()
    kinds = {sample.category.split("-")[0] for sample in samples}
    assert 300 <= len(samples) <= 500
    assert len({sample.text for sample in samples}) == len(samples)
    assert kinds >= {"question", "news", "product", "code", "number", "url", "word", "empty"}
    assert kinds >= {"emoji", "script", "length", "tricky"}
    assert "" in corpus.corpus_texts()
    assert any(len(text.encode()) > 3 * len(text) for text in corpus.corpus_texts())


def test_every_text_can_be_stored() -> None:
    for text in corpus.corpus_texts():
        assert text.encode("utf-8").decode("utf-8") == text


def test_exact_lengths_hold_for_the_default_tokenizer(original: PyTorchReference) -> None:
    count = token_counter(original.directory)
    samples = corpus.build_corpus(256, count)
    lengths = {s.category: count(s.text) for s in samples if s.category.startswith("length-")}
    wanted = [126, 127, 128, 129, 130, 254, 255, 256, 257, 258, 512, 1536]
    assert lengths == {f"length-{n}": n for n in wanted}
    # Without a tokenizer the same texts come out: each word of the story is one token.
    assert samples == corpus.build_corpus()


def test_only_one_text_of_each_exact_length() -> None:
    counts = Counter(s.category for s in corpus.build_corpus() if s.category.startswith("length-"))
    assert set(counts.values()) == {1}


@given(limit=st.integers(4, 600), step=st.integers(1, 3))
def test_exact_lengths_follow_the_limit_and_the_tokenizer(limit: int, step: int) -> None:
    def count(text: str) -> int:
        return 2 + step * len(text.split())

    for sample in corpus.build_corpus(limit, count):
        if sample.category.startswith("length-"):
            wanted = int(sample.category.removeprefix("length-"))
            assert wanted - step < count(sample.text) <= max(wanted, 2)

"""Each gate on a made-up subject: it passes when all is well, and fails for its own fault alone."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from minilm.verify.gates.base import GATES
from minilm.verify.reference.corpus import Sample, exact
from minilm.verify.gates.variant import Measurement, judge, judge_trial
from minilm.verify.policy import BUILT_IN
from minilm.verify.reference import PyTorchReference, Vectors
from minilm.verify.results import GateResult
from minilm.verify.tokenizer import open_tokenizer
from minilm.verify.gates.measurements import TokenizedCorpus, VariantMeasurements

Array = npt.NDArray[Any]
LIMIT = 32
TABLE = np.random.default_rng(0).normal(size=(30522, 24))


class MadeUp:
    """Adds up a random vector for each token; every method can be replaced by a faulty one."""

    name = kind = "cpu/fp32"
    runs_on = "made up"
    files = ()
    promised = None
    thread_counts = (1, 2)
    pooling = "mean"
    normalized = True

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.limit = LIMIT
        self.outputs: tuple[str, ...] = ("sentence_embedding", "last_hidden_state")
        self.change: Callable[[Array, Sequence[str]], Array] = lambda vectors, _: vectors
        self.change_padded: Callable[[Array], Array] = lambda vectors: vectors
        self.change_mixed: Callable[[Array], Array] = lambda vectors: vectors
        self.change_bare: Callable[[Array], Array] = lambda vectors: vectors
        self.closed = 0

    def ids(self, text: str) -> list[int]:
        ids = list(self.tokenizer.encode(text.strip()).ids)
        return ids if len(ids) <= self.limit else [*ids[: self.limit - 1], ids[-1]]

    def encode(self, texts: Sequence[str], *, batch_size: int | None = None) -> Vectors:
        assert batch_size is None or batch_size >= len(texts)
        rows = np.stack([TABLE[self.ids(text)].mean(axis=0) for text in texts])
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(self.change(rows, texts), dtype=np.float32)

    def open_graph(self) -> "MadeUp":
        return self

    def run(self, ids: Array, mask: Array) -> Mapping[str, npt.NDArray[np.float32]]:
        states = TABLE[ids]
        pooled = (states * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
        if len(ids) == 1:
            pooled = self.change_bare(pooled)
        else:
            padded = ids.shape[1] == LIMIT
            pooled = (self.change_padded if padded else self.change_mixed)(pooled)
        found = {"sentence_embedding": pooled, "last_hidden_state": states}
        return {name: found[name].astype(np.float32) for name in self.outputs}

    def close(self) -> None:
        self.closed += 1


@pytest.fixture(scope="module")
def tokenizer(original: PyTorchReference) -> Any:
    return open_tokenizer(original.directory)


@pytest.fixture
def subject(tokenizer: Any) -> MadeUp:
    return MadeUp(tokenizer)


def run(
    subject: MadeUp, thresholds: Mapping[str, float | None] | None = None
) -> tuple[dict[str, GateResult], list[str]]:
    tokenizer = subject.tokenizer

    def count(text: str) -> int:
        return len(tokenizer.encode(text).ids)

    texts = ["", "a tree", *(text_of_length(n, count, start=3 * n) for n in range(4, 60))]
    samples = [Sample(text=text, category="made up") for text in texts]
    good = MadeUp(tokenizer).encode(texts)
    trial = VariantMeasurements(subject, samples, good, TokenizedCorpus(tokenizer, texts, LIMIT))
    rules = BUILT_IN.thresholds("cpu/fp32") if thresholds is None else thresholds
    found = list(run_variant_gates(trial, rules))
    gates = {result.name: result for result in found if isinstance(result, GateResult)}
    return gates, [note for note in found if isinstance(note, str)]


def failed(subject: MadeUp) -> set[str]:
    return {name for name, result in run(subject)[0].items() if not result.passed}


def test_all_pass_where_all_is_well(subject: MadeUp) -> None:
    gates, notes = run(subject)
    assert [name for name, gate in gates.items() if not gate.passed] == []
    assert notes == []
    assert gates["limit"].figure == LIMIT
    assert subject.closed == 1  # the graph


def test_every_result_says_what_it_means_and_what_to_do(subject: MadeUp) -> None:
    for name, gate in run(subject)[0].items():
        assert gate.meaning == GATES[name].meaning
        assert gate.advice
        assert not gate.advice.endswith(".")


def broken(value: float, of: Callable[[str], bool]) -> Callable[[Array, Sequence[str]], Array]:
    def change(vectors: Array, texts: Sequence[str]) -> Array:
        changed = vectors.copy()
        changed[[of(text) for text in texts], 0] = value
        return changed

    return change


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_finite(subject: MadeUp, value: float) -> None:
    subject.change = broken(value, lambda text: text == "a tree")
    with np.errstate(invalid="ignore"):
        gates, _ = run(subject)
    assert not gates["finite"].passed
    assert gates["finite"].figure == 1
    assert gates["finite"].worst == "a tree [made up, 4 tokens]"
    assert not gates["cosine-min"].passed
    assert gates["cosine-min"].figure == -1


def test_finite_in_the_graph_alone(subject: MadeUp) -> None:
    def change(vectors: Array) -> Array:
        vectors[-1, :2] = np.nan
        return vectors

    subject.change_padded = change
    gates, _ = run(subject)
    assert gates["finite"].figure == 2
    assert "2 tokens]" in gates["finite"].worst


def test_unit_length(subject: MadeUp) -> None:
    subject.change = lambda vectors, _: vectors * 1.01
    gates, _ = run(subject)
    assert not gates["unit-length"].passed
    assert gates["unit-length"].figure == pytest.approx(0.01, rel=1e-3)
    assert gates["cosine-min"].passed


def test_unit_length_of_the_graph_alone(subject: MadeUp) -> None:
    subject.change_padded = lambda vectors: vectors * 2
    gates, _ = run(subject)
    assert not gates["unit-length"].passed
    assert gates["unit-length"].detail == "in the graph's own output"


def test_no_unit_length_is_asked_of_a_model_without_a_norm(subject: MadeUp) -> None:
    subject.normalized = False
    gates, notes = run(subject)
    assert "unit-length" not in gates
    assert notes == ["gate unit-length: left out, since the model's vectors have no unit length"]


def test_one_bad_text_fails_the_minimum_and_is_named(subject: MadeUp) -> None:
    subject.change = broken(0.9, lambda text: text == "a tree")
    gates, _ = run(subject)
    assert not gates["cosine-min"].passed
    assert gates["cosine-min"].worst == "a tree [made up, 4 tokens]"
    assert not gates["cosine-mean"].passed


def test_two_bad_texts_of_a_hundred_fail_the_percentile(subject: MadeUp) -> None:
    subject.change = broken(0.9, lambda text: text.startswith("a "))
    gates, _ = run(subject, {"cosine-mean": 0.9, "cosine-min": -1, "cosine-p01": 0.99})
    assert gates["cosine-mean"].passed
    assert not gates["cosine-p01"].passed


def test_padding_that_leaks(subject: MadeUp) -> None:
    subject.change_padded = lambda vectors: vectors + 0.01
    assert failed(subject) >= {"padded-min", "padding-invariance", "outputs"}
    assert not failed(subject) & {"cosine-min", "batch-invariance", "repeat", "limit"}


def test_a_scale_over_the_batch(subject: MadeUp) -> None:
    def change(vectors: Array, texts: Sequence[str]) -> Array:
        return vectors + 0.002 * len(texts)

    subject.change = change
    gates, _ = run(subject)
    assert not gates["batch-invariance"].passed
    detail = gates["batch-invariance"].detail
    assert detail.startswith("alone against within the whole corpus; an element moves by at most ")
    assert gates["padding-invariance"].passed


def test_a_scale_over_the_batch_of_the_graph(subject: MadeUp) -> None:
    subject.change_mixed = lambda vectors: vectors + 0.01
    assert failed(subject) == {"batch-invariance"}
    assert "in a padded batch of the graph" in run(subject)[0]["batch-invariance"].detail


def test_pooling_that_is_not_the_configured_one(subject: MadeUp) -> None:
    subject.pooling = "cls"
    assert failed(subject) == {"outputs"}


def test_one_output_has_nothing_to_agree_with(subject: MadeUp) -> None:
    subject.outputs = ("sentence_embedding",)
    gates, notes = run(subject)
    assert "outputs" not in gates
    assert notes == ["gate outputs: left out, since the graph has one output only"]


@pytest.mark.parametrize("normalized", [True, False])
def test_token_vectors_alone_are_pooled_as_configured(subject: MadeUp, *, normalized: bool) -> None:
    subject.outputs = ("last_hidden_state",)
    subject.normalized = normalized
    gates, _ = run(subject)
    assert gates["padded-min"].passed
    assert gates["padding-invariance"].passed


@pytest.mark.parametrize("limit", [16, 31, 33, 64])
def test_another_limit_is_found_exactly(subject: MadeUp, limit: int) -> None:
    subject.limit = limit
    gates, _ = run(subject)
    assert not gates["limit"].passed
    assert gates["limit"].figure == limit
    assert gates["limit"].threshold == LIMIT


def test_a_second_run_that_differs(subject: MadeUp) -> None:
    found: list[str] = []

    def change(vectors: Array, texts: Sequence[str]) -> Array:
        if len(texts) > 1:
            return vectors
        found.extend(texts)
        return vectors + (0.1 if found.count("a tree") == 2 and texts == ["a tree"] else 0)

    subject.change = change
    assert failed(subject) == {"repeat"}
    found.clear()
    gates, _ = run(subject)
    assert gates["repeat"].figure == pytest.approx(0.1, rel=1e-4)
    assert gates["repeat"].worst == "a tree [made up, 4 tokens]"


def test_a_second_run_of_the_graph_that_differs(subject: MadeUp) -> None:
    calls = []

    def change(vectors: Array) -> Array:
        calls.append(len(vectors))
        return vectors + 0.1 * (len(calls) - 1)

    subject.change_mixed = change
    assert failed(subject) == {"repeat"}


def test_probes_are_of_all_lengths_and_none_comes_twice(tokenizer: Any) -> None:
    def count(text: str) -> int:
        return len(tokenizer.encode(text).ids)

    texts = ["", *(text_of_length(n, count) for n in range(3, 80))]
    samples = [Sample(text=text, category="made up") for text in texts]
    vectors = MadeUp(tokenizer).encode(texts)
    trial = VariantMeasurements(MadeUp(tokenizer), samples, vectors, TokenizedCorpus(tokenizer, texts, LIMIT))
    assert [trial.tokens.lengths[place] for place in trial.probes] == [79, 16, 8, 4, 2]
    assert [trial.tokens.lengths[place] for place in trial.graph_probes] == [16, 4, 2]
    only = VariantMeasurements(MadeUp(tokenizer), samples[-1:], vectors[-1:], trial.tokens.at([len(texts) - 1]))
    assert only.probes == only.graph_probes == [0]
    assert len(only.graph_runs.mixed) == 1


def test_threads_that_matter(subject: MadeUp) -> None:
    subject.change_bare = lambda vectors: vectors + 0.01
    assert failed(subject) == {"threads", "batch-invariance", "padding-invariance"}
    gates, _ = run(subject)
    assert gates["threads"].detail == "1 against 2"


def test_rankings_that_change(subject: MadeUp) -> None:
    random = np.random.default_rng(3)
    subject.change = lambda vectors, _: vectors + random.normal(scale=0.05, size=vectors.shape)
    assert failed(subject) >= {"top10", "kendall", "repeat", "threads"}


def test_a_vocabulary_too_small_to_find_the_limit(
    subject: MadeUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TokenizedCorpus, "two_words", None)
    gates, notes = run(subject)
    assert "limit" not in gates
    assert notes == ["gate limit: left out, since the vocabulary has no two words of one token"]


def test_where_no_text_parts_at_the_limit_it_is_searched_for(
    subject: MadeUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def exact_but_not_there(tokens: int, count: Callable[[str], int]) -> str:
        calls.append(tokens)
        return text_of_length(tokens - (len(calls) == 1), count)

    monkeypatch.setattr("minilm.verify.gates.measurements.exact", exact_but_not_there)
    gates, _ = run(subject)
    assert len(calls) > 1
    assert gates["limit"].figure == LIMIT


def test_two_words_of_a_tiny_vocabulary(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    def words(*vocabulary: str) -> tuple[str, str] | None:
        ids = {word: place for place, word in enumerate(["[UNK]", *vocabulary])}
        tokenizer = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        return TokenizedCorpus(tokenizer, ["x"], 8).two_words

    assert words("b", "a") == ("a", "b")
    assert words("water", "oil") == ("water", "oil")
    assert words("oil") is None


def test_a_gate_can_be_switched_off(subject: MadeUp) -> None:
    gates, notes = run(subject, {**BUILT_IN.thresholds("cpu/fp32"), "top10": None})
    assert "top10" not in gates
    assert notes == ["gate top10: switched off by the policy"]


@pytest.mark.parametrize(
    ("name", "figure", "threshold", "passed"),
    [
        ("cosine-min", 0.99, 0.99, True),
        ("cosine-min", 0.9899, 0.99, False),
        ("unit-length", 0.001, 0.001, True),
        ("unit-length", 0.0011, 0.001, False),
        ("limit", 256, 256, True),
        ("limit", 257, 256, False),
        ("cosine-min", float("nan"), 0.99, False),
        ("unit-length", float("nan"), 0.001, False),
        ("limit", float("nan"), 256, False),
    ],
)
def test_judge(name: str, figure: float, threshold: float, *, passed: bool) -> None:
    assert judge(name, Measurement(figure=figure), threshold).passed is passed

"""Each gate on a made-up candidate: it passes when all is well, and fails for its own fault."""

# Over 300 lines: one case for each gate, over one made-up candidate.

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from minilm.runtime.errors import InvalidArtifact
from minilm.verify.gates import GATES, measure_variant, run_variant_gates
from minilm.verify.gates.base import Measurement, result_of
from minilm.verify.gates.measurements import graph_probes, select_probes
from minilm.verify.policy import BUILT_IN
from minilm.verify.reference import PyTorchReference
from minilm.verify.reference.baseline import Baseline
from minilm.verify.reference.corpus import Sample, text_of_length
from minilm.verify.results import GateResult
from minilm.verify.tokenizer import TokenizedCorpus, open_tokenizer

from tests.support.fakes import FakeCandidate, FakeReference

Array = npt.NDArray[Any]
LIMIT = 32


@pytest.fixture(scope="module")
def tokenizer(original: PyTorchReference) -> Any:
    return open_tokenizer(original.directory)


@pytest.fixture
def subject(tokenizer: Any) -> FakeCandidate:
    return FakeCandidate(tokenizer, LIMIT)


def baseline_of(tokenizer: Any, texts: Sequence[str]) -> Baseline:
    return Baseline(
        reference=FakeReference(),
        samples=tuple(Sample(text=text, category="made up") for text in texts),
        vectors=FakeCandidate(tokenizer, LIMIT).encode(texts),
        tokens=TokenizedCorpus(tokenizer, texts, LIMIT),
        strays=(),
        tokenized=len(texts),
    )


def run(
    subject: FakeCandidate, thresholds: Mapping[str, float | None] | None = None
) -> tuple[dict[str, GateResult], list[str]]:
    """Results by gate, and the reasons of the others."""
    tokenizer = subject.tokenizer

    def count(text: str) -> int:
        return len(tokenizer.encode(text).ids)

    texts = ["", "a tree", *(text_of_length(n, count, start=3 * n) for n in range(4, 60))]
    rules = BUILT_IN.thresholds("cpu/fp32") if thresholds is None else thresholds
    measurements = measure_variant(subject, baseline_of(tokenizer, texts))
    results, skipped = run_variant_gates(measurements, rules)
    return {gate.name: gate for gate in results}, [f"{s.gate}: {s.reason}" for s in skipped]


def failed(subject: FakeCandidate) -> set[str]:
    return {name for name, result in run(subject)[0].items() if not result.passed}


def test_all_pass_where_all_is_well(subject: FakeCandidate) -> None:
    gates, notes = run(subject)
    assert [name for name, gate in gates.items() if not gate.passed] == []
    assert notes == []
    assert gates["limit"].figure == LIMIT
    assert subject.closed == 2  # the graph and the candidate


def test_every_result_says_what_it_means_and_what_to_do(subject: FakeCandidate) -> None:
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
def test_finite(subject: FakeCandidate, value: float) -> None:
    subject.change = broken(value, lambda text: text == "a tree")
    with np.errstate(invalid="ignore"):
        gates, _ = run(subject)
    assert not gates["finite"].passed
    assert gates["finite"].figure == 1
    assert gates["finite"].worst == "“a tree” (made up, 4 tokens)"
    assert not gates["cosine-min"].passed
    assert gates["cosine-min"].figure == -1


def test_finite_in_the_graph_alone(subject: FakeCandidate) -> None:
    def change(vectors: Array) -> Array:
        vectors[-1, :2] = np.nan
        return vectors

    subject.change_padded = change
    gates, _ = run(subject)
    assert gates["finite"].figure == 2
    assert "2 tokens)" in gates["finite"].worst


def test_unit_length(subject: FakeCandidate) -> None:
    subject.change = lambda vectors, _: vectors * 1.01
    gates, _ = run(subject)
    assert not gates["unit-length"].passed
    assert gates["unit-length"].figure == pytest.approx(0.01, rel=1e-3)
    assert gates["cosine-min"].passed


def test_unit_length_of_the_graph_alone(subject: FakeCandidate) -> None:
    subject.change_padded = lambda vectors: vectors * 2
    gates, _ = run(subject)
    assert not gates["unit-length"].passed
    assert gates["unit-length"].detail == "in the graph's own output"


def test_no_unit_length_is_asked_of_a_model_without_a_norm(subject: FakeCandidate) -> None:
    subject.normalized = False
    subject.change_padded = lambda vectors: 3 * vectors
    gates, notes = run(subject)
    assert "unit-length" not in gates
    assert notes == [
        (
            "unit-length: left out, since the model has no module that normalizes; the graph's "
            "vectors are 3 to 3 long"
        )
    ]


def test_one_bad_text_fails_the_minimum_and_is_named(subject: FakeCandidate) -> None:
    subject.change = broken(0.9, lambda text: text == "a tree")
    gates, _ = run(subject)
    assert not gates["cosine-min"].passed
    assert gates["cosine-min"].worst == "“a tree” (made up, 4 tokens)"
    assert not gates["cosine-mean"].passed


def test_two_bad_texts_of_a_hundred_fail_the_percentile(subject: FakeCandidate) -> None:
    subject.change = broken(0.9, lambda text: text.startswith("a "))
    gates, _ = run(subject, {"cosine-mean": 0.9, "cosine-min": -1, "cosine-p01": 0.99})
    assert gates["cosine-mean"].passed
    assert not gates["cosine-p01"].passed


def test_padding_that_leaks(subject: FakeCandidate) -> None:
    subject.change_padded = lambda vectors: vectors + 0.01
    assert failed(subject) >= {"padded-min", "padding-invariance", "outputs"}
    assert not failed(subject) & {"cosine-min", "batch-invariance", "repeat", "limit"}


def test_a_scale_over_the_batch(subject: FakeCandidate) -> None:
    def change(vectors: Array, texts: Sequence[str]) -> Array:
        return vectors + 0.002 * len(texts)

    subject.change = change
    gates, _ = run(subject)
    assert not gates["batch-invariance"].passed
    detail = gates["batch-invariance"].detail
    assert detail.startswith("alone against within the whole corpus; an element moves by at most ")
    assert gates["padding-invariance"].passed


def test_a_scale_over_the_batch_of_the_graph(subject: FakeCandidate) -> None:
    subject.change_mixed = lambda vectors: vectors + 0.01
    assert failed(subject) == {"batch-invariance"}
    assert "in a padded batch of the graph" in run(subject)[0]["batch-invariance"].detail


def test_pooling_that_is_not_the_configured_one(subject: FakeCandidate) -> None:
    subject.pooling = "cls"
    assert failed(subject) == {"outputs"}


def test_one_output_has_nothing_to_agree_with(subject: FakeCandidate) -> None:
    subject.outputs = ("sentence_embedding",)
    gates, notes = run(subject)
    assert "outputs" not in gates
    assert notes == ["outputs: left out, since the graph has one output only"]


@pytest.mark.parametrize("normalized", [True, False])
def test_token_vectors_alone_are_pooled_as_configured(
    subject: FakeCandidate, *, normalized: bool
) -> None:
    subject.outputs = ("last_hidden_state",)
    subject.normalized = normalized
    gates, _ = run(subject)
    assert gates["padded-min"].passed
    assert gates["padding-invariance"].passed


@pytest.mark.parametrize("limit", [16, 31, 33, 64])
def test_another_limit_is_found_exactly(subject: FakeCandidate, limit: int) -> None:
    subject.limit = limit
    gates, _ = run(subject)
    assert not gates["limit"].passed
    assert gates["limit"].figure == limit
    assert gates["limit"].threshold == LIMIT


def test_a_second_run_that_differs(subject: FakeCandidate) -> None:
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
    assert gates["repeat"].worst == "“a tree” (made up, 4 tokens)"


def test_a_second_run_of_the_graph_that_differs(subject: FakeCandidate) -> None:
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
    tokens = TokenizedCorpus(tokenizer, texts, LIMIT)
    probes = select_probes(tokens)
    assert [tokens.lengths[place] for place in probes] == [79, 16, 8, 4, 2]
    assert [tokens.lengths[place] for place in graph_probes(probes, tokens)] == [16, 4, 2]


def test_a_single_text_is_its_only_probe(tokenizer: Any) -> None:
    candidate = FakeCandidate(tokenizer, LIMIT)
    found = measure_variant(candidate, baseline_of(tokenizer, ["word " * 90]))
    assert found.probes == found.graph.places == (0,)
    assert len(found.graph.mixed) == 1


@pytest.mark.parametrize("broken", ["encode", "run"])
def test_a_candidate_is_closed_whatever_happens(
    subject: FakeCandidate, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def fail(*_: object) -> None:
        raise InvalidArtifact("broken")

    monkeypatch.setattr(subject, broken, fail)
    with pytest.raises(InvalidArtifact, match="broken"):
        run(subject)
    assert subject.closed == (1 if broken == "encode" else 2)


def test_threads_that_matter(subject: FakeCandidate) -> None:
    subject.change_bare = lambda vectors: vectors + 0.01
    assert failed(subject) == {"threads", "batch-invariance", "padding-invariance"}
    gates, _ = run(subject)
    assert gates["threads"].detail == "1 against 2"


def test_rankings_that_change(subject: FakeCandidate) -> None:
    random = np.random.default_rng(3)
    subject.change = lambda vectors, _: vectors + random.normal(scale=0.05, size=vectors.shape)
    assert failed(subject) >= {"top10", "kendall", "repeat", "threads"}


def test_a_vocabulary_too_small_to_find_the_limit(
    subject: FakeCandidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TokenizedCorpus, "two_words", None)
    gates, notes = run(subject)
    assert "limit" not in gates
    assert notes == ["limit: left out, since the vocabulary has no two words of one token"]


def test_where_no_text_parts_at_the_limit_it_is_searched_for(
    subject: FakeCandidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def shorter_once(tokens: int, count: Callable[[str], int]) -> str:
        calls.append(tokens)
        return text_of_length(tokens - (len(calls) == 1), count)

    monkeypatch.setattr("minilm.verify.gates.measurements.text_of_length", shorter_once)
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


def test_a_gate_can_be_switched_off(subject: FakeCandidate) -> None:
    gates, notes = run(subject, {**BUILT_IN.thresholds("cpu/fp32"), "top10": None})
    assert "top10" not in gates
    assert notes == ["top10: switched off by the policy"]


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
def test_a_figure_meets_its_threshold(
    name: str, figure: float, threshold: float, *, passed: bool
) -> None:
    assert result_of(GATES[name], Measurement(figure=figure), threshold).passed is passed

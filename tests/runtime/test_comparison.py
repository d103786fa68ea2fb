"""Cosines and the search for the closest vectors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from minilm.runtime import Encoder, SearchHit
from minilm.runtime.comparison import _best
from minilm.runtime.errors import UsageError

TEXTS = ["The cat sleeps.", "Rates were raised.", "It will rain tomorrow."]


def test_pairs(tiny: Encoder) -> None:
    others = ["a", "b", "Rates"]
    cosines = tiny.similarity_pairwise(TEXTS, tiny.encode(others))
    assert cosines.dtype == np.float32
    np.testing.assert_allclose(cosines, np.diag(tiny.similarity(TEXTS, others)), atol=1e-6)
    assert tiny.similarity_pairwise("a", "a") == pytest.approx([1.0])


def test_pairs_need_as_many_of_each(tiny: Encoder) -> None:
    with pytest.raises(UsageError, match=r"as many of b as of a, got 3 and 2: similarity "):
        tiny.similarity_pairwise(TEXTS, ["a", "b"])


def test_search_by_a_text(encoder: Encoder) -> None:
    vectors = encoder.encode(TEXTS)
    hits = encoder.search("weather forecast", vectors, top=2)
    assert [hit.position for hit in hits] == [2, 0]
    cosines = encoder.similarity("weather forecast", TEXTS)[0]
    assert [hit.cosine for hit in hits] == pytest.approx(cosines[[2, 0]].tolist(), abs=1e-6)
    assert encoder.search("weather forecast", TEXTS, top=2) == hits


def test_search_by_a_vector_or_by_several(tiny: Encoder) -> None:
    vectors = tiny.encode(TEXTS)
    best = tiny.search(vectors[1], vectors)
    assert len(best) == 3
    assert best[0].position == 1
    assert tiny.search(vectors[1].tolist(), vectors) == best
    for queries in (TEXTS, vectors, iter(TEXTS), vectors.tolist()):
        found = tiny.search(queries, vectors, top=1)
        assert [hits[0].position for hits in found] == [0, 1, 2]
    assert tiny.search(vectors[:1], vectors) == [tiny.search(vectors[0], vectors)]


def test_search_among_none(tiny: Encoder) -> None:
    assert tiny.search("a", []) == []
    assert tiny.search([], TEXTS) == []


@pytest.mark.parametrize("top", [0, 1.5])
def test_a_top_that_is_no_number_above_zero(top: object, tiny: Encoder) -> None:
    with pytest.raises(UsageError, match=r"^top must be "):
        tiny.search("a", TEXTS, top=top)  # type: ignore[call-overload]  # the point


@given(
    cosines=st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 0.5, 1.0]), max_size=40),
    top=st.integers(1, 50),
)
def test_the_best_come_first_and_of_equals_the_first(cosines: list[float], top: int) -> None:
    ranked = sorted(range(len(cosines)), key=lambda position: (-cosines[position], position))
    expected = [SearchHit(position, cosines[position]) for position in ranked[:top]]
    assert _best(np.array(cosines, dtype=np.float32), top) == expected

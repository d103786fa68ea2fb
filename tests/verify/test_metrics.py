import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from minilm.verify.metrics import (
    kendall_tau,
    l2_normalize,
    rowwise_cosine,
    spearman,
    top_k_overlap,
)

floats = hnp.arrays(np.float64, st.integers(3, 40), elements=st.integers(-5, 5).map(float))


@given(data=st.data(), a=floats)
def test_spearman_is_scipys(
    data: st.DataObject, a: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> None:
    from scipy import stats

    b = data.draw(hnp.arrays(np.float64, len(a), elements=st.integers(-5, 5).map(float)))
    if len(set(a)) == 1 or len(set(b)) == 1:
        assert spearman(a, b) == 0
    else:
        assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)


def test_kendall_is_scipys_without_ties() -> None:
    from scipy import stats

    random = np.random.default_rng(0)
    a, b = (m @ m.T for m in random.normal(size=(2, 20, 8)))
    found = kendall_tau(a, b, rows=20)
    for place in range(20):
        pair = (np.delete(m[place], place) for m in (a, b))
        assert found[place] == pytest.approx(stats.kendalltau(*pair).statistic)


def test_the_same_ranks_alike_and_the_opposite_does_not() -> None:
    random = np.random.default_rng(1)
    vectors = l2_normalize(random.normal(size=(40, 16)))
    same = vectors @ vectors.T
    assert top_k_overlap(same, same).min() == 1
    assert kendall_tau(same, same).min() == 1
    assert kendall_tau(-same, same).max() == -1
    assert top_k_overlap(-same, same).mean() < 0.1


def test_twins_have_no_order() -> None:
    vectors = l2_normalize(np.repeat(np.eye(3), 4, axis=0))
    same = vectors @ vectors.T
    noisy = same + np.random.default_rng(2).normal(scale=1e-8, size=same.shape)
    assert top_k_overlap(noisy, same, k=2).min() == 1
    assert kendall_tau(np.zeros((4, 4)), np.zeros((4, 4))).min() == 1


def test_cosines_of_broken_vectors_are_the_worst_there_are() -> None:
    a = np.array([[1, 0], [np.nan, 0], [0, 0], [np.inf, 0]], dtype=np.float32)
    b = np.array([[2, 0], [1, 0], [1, 0], [1, 0]], dtype=np.float32)
    with np.errstate(invalid="ignore"):
        assert rowwise_cosine(a, b).tolist() == [1, -1, 0, -1]

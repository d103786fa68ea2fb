import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from minilm.runtime.errors import UsageError
from minilm.runtime.text.windows import OVERLAP_TOKENS, window_spans
from minilm.runtime.validation import check_on_long


def test_a_short_text_is_one_window() -> None:
    assert window_spans(0, 254) == [(0, 0)]
    assert window_spans(254, 254) == [(0, 254)]


def test_one_token_too_many_makes_two_full_windows() -> None:
    assert window_spans(255, 254) == [(0, 254), (1, 255)]


@given(
    tokens=st.integers(0, 5000),
    room=st.integers(1, 300),
    overlap=st.integers(0, 400),
)
def test_windows_cover_all_and_overlap(tokens: int, room: int, overlap: int) -> None:
    windows = window_spans(tokens, room, overlap)
    assert windows[0][0] == 0
    assert windows[-1][1] == tokens
    assert all(end - start == min(room, tokens) for start, end in windows)
    least = min(overlap, room // 2)
    for (start, end), (following, _) in itertools.pairwise(windows):
        assert start < following
        assert end - following >= least


@given(tokens=st.integers(255, 5000))
def test_as_few_windows_as_will_do(tokens: int) -> None:
    step = 254 - OVERLAP_TOKENS
    assert len(window_spans(tokens, 254)) == 1 + -(-(tokens - 254) // step)


def test_unknown_choice_lists_the_known() -> None:
    with pytest.raises(
        UsageError, match=r"^unknown on_long 'cut': choose one of truncate, error, mean$"
    ):
        check_on_long("cut")

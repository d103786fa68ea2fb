from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from minilm.runtime.backends import Session
from minilm.runtime.backends.batch import (
    TokenBatch,
    Vectors,
    rows_of_equal_length,
    rows_without_padding,
)
from minilm.runtime.execution.batching import BatchPlanner, TokenRow, longest_first, make_batch
from minilm.runtime.text.tokenizer import Ids


class _Ladder:
    """A session that pads to multiples of `step`."""

    workers = 1
    budget_tokens = 64
    survives_fork = True

    def __init__(self, step: int) -> None:
        self.step = step

    def padded_length(self, tokens: int) -> int:
        return -(-tokens // self.step) * self.step

    def rows_within(self, budget_tokens: int, lengths: Iterable[int]) -> int:
        return rows_of_equal_length(self.padded_length(next(iter(lengths))), budget_tokens)

    def run(self, batch: TokenBatch) -> Vectors:
        raise NotImplementedError


class _Ragged(_Ladder):
    """A session that pads nothing."""

    def __init__(self) -> None:
        super().__init__(1)

    def rows_within(self, budget_tokens: int, lengths: Iterable[int]) -> int:
        return rows_without_padding(lengths, budget_tokens)


def _ids(length: int) -> Ids:
    return np.arange(1, length + 1, dtype=np.int32)


def _plan(
    lengths: Sequence[int], session: Session, budget: int, batch_size: int | None = None
) -> list[list[TokenRow]]:
    planner = BatchPlanner(session, budget, batch_size)
    slices = longest_first(["x" * length for length in lengths])
    plan: list[list[TokenRow]] = []
    for number, positions in enumerate(slices, 1):
        rows = [TokenRow(position, 0, _ids(lengths[position])) for position in positions]
        plan += planner.add(rows, last=number == len(slices))
    return plan


@given(
    lengths=st.lists(st.integers(0, 60), max_size=700),
    budget=st.integers(1, 600),
    step=st.integers(1, 9),
    batch_size=st.none() | st.integers(1, 20),
)
def test_each_row_once_within_the_budget(
    lengths: list[int], budget: int, step: int, batch_size: int | None
) -> None:
    session = _Ladder(step)
    plan = _plan(lengths, session, budget, batch_size)
    assert sorted(row.text for rows in plan for row in rows) == list(range(len(lengths)))
    for rows in plan:
        widths = [len(row.ids) for row in rows]
        assert widths == sorted(widths, reverse=True)
        assert len(rows) == 1 or len(rows) * session.padded_length(widths[0] + 2) <= budget
        assert len(rows) <= (batch_size or len(rows))


@given(lengths=st.lists(st.integers(0, 60), max_size=400), budget=st.integers(1, 600))
def test_without_padding_the_budget_counts_tokens(lengths: list[int], budget: int) -> None:
    plan = _plan(lengths, _Ragged(), budget)
    assert sorted(row.text for rows in plan for row in rows) == list(range(len(lengths)))
    for rows in plan:
        assert len(rows) == 1 or sum(len(row.ids) + 2 for row in rows) <= budget


def test_without_padding_short_rows_fill_the_batch_of_a_long_row() -> None:
    lengths = [60, 8, 8, 8, 8]
    assert [len(rows) for rows in _plan(lengths, _Ragged(), 102)] == [5]
    assert [len(rows) for rows in _plan(lengths, _Ladder(1), 102)] == [1, 4]


def test_batches_are_full_but_for_the_last_of_each_length() -> None:
    plan = _plan([14] * 1000, _Ladder(1), 64)
    assert [len(rows) for rows in plan] == [4] * 250


def test_rows_are_held_only_a_few_slices_long() -> None:
    planner = BatchPlanner(_Ladder(1), 120, None)
    slices = longest_first(["ten tokens"] * 5000)
    given_back = 0
    for taken, positions in enumerate(slices[:-1], 1):
        rows = [TokenRow(position, 0, _ids(10)) for position in positions]
        given_back += sum(map(len, planner.add(rows, last=False)))
        assert 32 * taken - given_back <= 256 + 20


def test_slices_take_the_longest_texts_first() -> None:
    slices = longest_first([str(number) * number for number in range(70)])
    assert [len(positions) for positions in slices] == [32, 32, 6]
    lengths = [position * len(str(position)) for positions in slices for position in positions]
    assert lengths == sorted(lengths, reverse=True)
    assert longest_first([]) == []


def test_windows_of_one_text_are_rows_like_others() -> None:
    rows = [TokenRow(0, part, _ids(5)) for part in range(5)]
    plan = list(BatchPlanner(_Ladder(1), 14, None).add(rows, last=True))
    assert sorted(row.part for found in plan for row in found) == [0, 1, 2, 3, 4]
    assert [len(found) for found in plan] == [2, 2, 1]


def test_a_batch_is_ragged_and_marks_the_ends_of_rows() -> None:
    batch = make_batch([TokenRow(0, 0, _ids(3)), TokenRow(1, 0, _ids(0))], 101, 102)
    assert batch.ids.dtype == batch.offsets.dtype == np.int32
    assert batch.ids.tolist() == [101, 1, 2, 3, 102, 101, 102]
    assert batch.offsets.tolist() == [0, 5, 7]
    assert batch.longest == 5


@pytest.mark.parametrize("length", [5, 9])
def test_padded_on_the_right_with_a_mask(length: int) -> None:
    batch = make_batch([TokenRow(0, 0, _ids(3)), TokenRow(1, 0, _ids(0))], 101, 102)
    ids, mask = batch.padded(length)
    assert ids.dtype == mask.dtype == np.int64
    assert ids.shape == mask.shape == (2, length)
    assert ids[0].tolist() == [101, 1, 2, 3, 102] + [0] * (length - 5)
    assert ids[1].tolist() == [101, 102] + [0] * (length - 2)
    assert mask[0].tolist() == [1] * 5 + [0] * (length - 5)
    assert mask[1].tolist() == [1, 1] + [0] * (length - 2)


@given(rows=st.lists(st.integers(0, 20).map(_ids), min_size=1, max_size=20), more=st.integers(0, 9))
def test_padding_loses_no_token(rows: list[Ids], more: int) -> None:
    rows.sort(key=len, reverse=True)
    batch = make_batch([TokenRow(n, 0, ids) for n, ids in enumerate(rows)], 101, 102)
    ids, mask = batch.padded(batch.longest + more)
    for row, (padded, taken) in zip(rows, zip(ids, mask, strict=True), strict=True):
        assert padded[taken == 1].tolist() == [101, *row.tolist(), 102]
        assert taken.tolist() == sorted(taken.tolist(), reverse=True)

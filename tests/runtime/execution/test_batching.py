from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from minilm.runtime import Encoder
from minilm.runtime.backends import Session, Vectors
from minilm.runtime.execution.batching import TokenRow, batches, pack
from minilm.runtime.text.tokenizer import Ids


class _Ladder:
    """A session that pads to multiples of `step`."""

    workers = 1
    budget_tokens = 64
    survives_fork = True

    def __init__(self, step: int) -> None:
        self.step = step

    def width(self, tokens: int) -> int:
        return -(-tokens // self.step) * self.step

    def run(self, ids: np.ndarray, mask: np.ndarray) -> Vectors:  # pragma: no cover
        raise NotImplementedError


def _ids(length: int) -> Ids:
    return np.arange(1, length + 1, dtype=np.int32)


def _plan(
    lengths: Sequence[int], session: Session, budget: int, batch_size: int | None = None
) -> list[list[TokenRow]]:
    texts = ["x" * length for length in lengths]
    return list(
        batches(
            texts,
            lambda position: [TokenRow(position, 0, _ids(lengths[position]))],
            session,
            budget_tokens=budget,
            batch_size=batch_size,
        )
    )


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
        assert len(rows) == 1 or len(rows) * session.width(widths[0] + 2) <= budget
        assert len(rows) <= (batch_size or len(rows))


def test_batches_are_full_but_for_the_last_of_each_length() -> None:
    plan = _plan([14] * 1000, _Ladder(1), 64)
    assert [len(rows) for rows in plan] == [4] * 250


def test_texts_are_tokenized_only_a_few_ahead() -> None:
    asked: list[int] = []

    def tokenize(position: int) -> list[TokenRow]:
        asked.append(position)
        return [TokenRow(position, 0, _ids(10))]

    source = batches(["ten tokens"] * 5000, tokenize, _Ladder(1), budget_tokens=120)
    next(source)
    assert len(asked) <= 256


def test_windows_of_one_text_are_rows_like_others() -> None:
    rows = [TokenRow(0, part, _ids(5)) for part in range(5)]
    plan = list(batches(["long"], lambda _: rows, _Ladder(1), budget_tokens=14))
    assert sorted(row.part for found in plan for row in found) == [0, 1, 2, 3, 4]
    assert [len(found) for found in plan] == [2, 2, 1]


@pytest.mark.parametrize("width", [5, 9])
def test_pack_pads_on_the_right(tiny: Encoder, width: int) -> None:
    tokenizer = tiny._engine.tokenizer
    rows = [TokenRow(0, 0, _ids(3)), TokenRow(1, 0, _ids(0))]
    ids, mask = pack(rows, width, tokenizer)
    around = [tokenizer.prefix, tokenizer.suffix]
    assert ids.dtype == mask.dtype == np.int64
    assert ids[0, :5].tolist() == [around[0], 1, 2, 3, around[1]]
    assert ids[1, :2].tolist() == around
    assert (ids[0, 5:] == tokenizer.pad).all()
    assert (ids[1, 2:] == tokenizer.pad).all()
    assert mask.sum(axis=1).tolist() == [5, 2]
    assert mask[0, :5].all()
    assert mask[1, :2].all()

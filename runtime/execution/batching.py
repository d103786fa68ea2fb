"""Rows to batches: of like length, longest first, filled up to a budget of tokens."""

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

import numpy as np
from minilm.runtime.backends import Session
from minilm.runtime.backends.batch import TokenBatch
from minilm.runtime.text.tokenizer import Ids

__all__ = ["BatchPlanner", "TokenRow", "longest_first", "make_batch"]

_SLICE_TEXTS: Final = 32
"""Texts that are tokenized at a time: about a millisecond of work."""

_SLICES_AHEAD: Final = 8
"""Slices that are tokenized before their rows are planned: enough to fill batches well."""


class TokenRow(NamedTuple):
    """One row of a batch: a text, or one window of a long text.

    Attributes:
        text: Position of the text.
        part: Number of the window.
        ids: Token ids without [CLS] and [SEP]: int32, (tokens,).
    """

    text: int
    part: int
    ids: Ids


def longest_first(texts: Sequence[str]) -> list[list[int]]:
    """Positions of `texts` in slices to tokenize, longest text first by its characters."""
    order = sorted(range(len(texts)), key=lambda position: -len(texts[position]))
    return [order[start : start + _SLICE_TEXTS] for start in range(0, len(order), _SLICE_TEXTS)]


class BatchPlanner:
    """Takes rows as they come and gives batches of them.

    The batches depend on the rows and their order alone, never on threads or time.

    Args:
        session: The session that the batches are for.
        budget_tokens: Tokens of a batch, padding included, unless one row alone has more.
        batch_size: Most rows of a batch; None for no such limit.
    """

    def __init__(self, session: Session, budget_tokens: int, batch_size: int | None) -> None:
        self._session = session
        self._budget_tokens = budget_tokens
        self._batch_size = batch_size
        self._waiting: list[TokenRow] = []
        self._slices = 0

    def add(self, rows: list[TokenRow], *, last: bool) -> Iterator[list[TokenRow]]:
        """Take the rows of a slice, give the batches that are full.

        Args:
            rows: Rows of the next slice.
            last: Whether no slice follows; all rows are given then.

        Yields:
            Rows of one batch, longest first.
        """
        waiting = self._waiting
        waiting += rows
        self._slices += 1
        if self._slices % _SLICES_AHEAD and not last:
            return
        waiting.sort(key=lambda row: len(row.ids))
        while waiting:
            lengths = (len(row.ids) + 2 for row in reversed(waiting))
            height = self._session.rows_within(self._budget_tokens, lengths)
            height = min(height, self._batch_size or height)
            # Wait for more rows before emitting a partial batch, unless the input is exhausted.
            if not last and height > len(waiting) // 2:
                break
            yield waiting[: -height - 1 : -1]
            del waiting[-height:]


def make_batch(rows: Sequence[TokenRow], prefix: int, suffix: int) -> TokenBatch:
    """Tokens of `rows` as a backend takes them.

    Args:
        rows: Rows of one batch, longest first.
        prefix: Id of [CLS].
        suffix: Id of [SEP].
    """
    offsets = [0, *accumulate(len(row.ids) + 2 for row in rows)]
    ids = np.empty(offsets[-1], dtype=np.int32)
    for row, (start, end) in zip(rows, pairwise(offsets), strict=True):
        ids[start] = prefix
        ids[start + 1 : end - 1] = row.ids
        ids[end - 1] = suffix
    return TokenBatch(ids, np.array(offsets, dtype=np.int32))

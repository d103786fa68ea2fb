"""The tokens of a batch as backends take them: end to end, without padding."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["TokenBatch", "Vectors", "rows_of_equal_length", "rows_without_padding"]

Vectors = npt.NDArray[np.float32]


class TokenBatch(NamedTuple):
    """Rows of token ids, longest first, one behind the other.

    Padding is left to the backends that need it.

    Attributes:
        ids: Token ids of all rows, [CLS] and [SEP] included: int32, (total,).
        offsets: First token of each row, and the end of the last row: int32, (rows + 1,).
    """

    ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int32]

    def padded(self, length: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The batch as a rectangle, padded on the right with id 0, which the mask hides.

        Args:
            length: Tokens of each padded row; at least those of the longest row.

        Returns:
            `input_ids` and `attention_mask`, both int64, (rows, length).
        """
        rows = len(self.offsets) - 1
        if len(self.ids) == rows * length:  # one text, most often: nothing to pad
            whole = self.ids.reshape(rows, length).astype(np.int64)
            return whole, np.ones_like(whole)
        lengths = np.diff(self.offsets)
        taken = np.arange(length, dtype=np.int32) < lengths[:, None]
        ids = np.zeros(taken.shape, dtype=np.int64)
        ids[taken] = self.ids
        return ids, taken.astype(np.int64)

    @property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return int(self.offsets[1])


def rows_of_equal_length(length: int, budget_tokens: int) -> int:
    """How many rows, each padded to `length` tokens, stay within the budget; at least 1."""
    return max(1, budget_tokens // length)


def rows_without_padding(lengths: Iterable[int], budget_tokens: int) -> int:
    """How many of the first rows together stay within the budget; at least 1."""
    rows = 0
    for length in lengths:
        budget_tokens -= length
        if budget_tokens < 0:
            break
        rows += 1
    return max(1, rows)

"""Texts to batches: sorted by length, filled up to a budget of tokens, tokenized as needed."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from minilm.runtime.backends import Session
from minilm.runtime.text.tokenizer import Ids, TextTokenizer

__all__ = ["TokenRow", "batches", "pack"]

_LOOKAHEAD: Final = 256
"""Texts that are tokenized at a time: a few ms of work, and enough to fill batches well."""


class TokenRow(NamedTuple):
    """One row of a batch: a text, or one window of a long one.

    Attributes:
        text: position of the text.
        part: number of the window.
        ids: int32, (tokens,), without [CLS] and [SEP].
    """

    text: int
    part: int
    ids: Ids


def batches(
    texts: Sequence[str],
    tokenize: Callable[[int], list[TokenRow]],
    session: Session,
    *,
    budget_tokens: int,
    batch_size: int | None = None,
) -> Iterator[list[TokenRow]]:
    """Batches of rows of like length, longest first.

    Texts are taken by their number of characters, longest first, and tokenized a few ahead: the
    first batch does not wait for the last text, and memory holds the tokens of a few batches only.

    Args:
        texts: to embed.
        tokenize: rows of the text at a position.
        session: knows the widths that it runs well.
        budget_tokens: of a batch, padding included, unless one row alone has more.
        batch_size: most rows of a batch, if any.

    Yields:
        Rows of one batch, longest first.
    """
    order = sorted(range(len(texts)), key=lambda position: -len(texts[position]))
    waiting: list[TokenRow] = []
    for start in range(0, len(order), _LOOKAHEAD):
        for position in order[start : start + _LOOKAHEAD]:
            waiting += tokenize(position)
        waiting.sort(key=lambda row: len(row.ids))
        last = start + _LOOKAHEAD >= len(order)
        while waiting:
            width = session.width(len(waiting[-1].ids) + 2)
            height = max(1, budget_tokens // width)
            height = min(height, batch_size or height)
            # A batch of what happens to be there is put off until more is: unless nothing comes.
            if not last and height > len(waiting) // 2:
                break
            yield waiting[: -height - 1 : -1]
            del waiting[-height:]


def pack(
    rows: Sequence[TokenRow], width: int, tokenizer: TextTokenizer
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Inputs of a graph for `rows`, padded on the right.

    Args:
        rows: of one batch.
        width: tokens, [CLS] and [SEP] included; at least those of the longest row.
        tokenizer: knows the ids around a text.

    Returns:
        `input_ids` and `attention_mask`, both int64, (rows, width).
    """
    ids = np.full((len(rows), width), tokenizer.pad, dtype=np.int64)
    lengths = np.empty((len(rows), 1), dtype=np.int64)
    ids[:, 0] = tokenizer.prefix
    for number, row in enumerate(rows):
        end = len(row.ids) + 1
        ids[number, 1:end] = row.ids
        ids[number, end] = tokenizer.suffix
        lengths[number] = end + 1
    mask = (np.arange(width, dtype=np.int64) < lengths).astype(np.int64)
    return ids, mask

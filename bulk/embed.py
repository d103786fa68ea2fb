"""Texts beside their vectors, over a stream of any length."""

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minilm.bulk.records import Record

if TYPE_CHECKING:
    import numpy as np
    from minilm.runtime import Encoder
    from numpy.typing import NDArray

__all__ = ["Match", "embed_stream", "top_matches"]


@dataclass(frozen=True, kw_only=True)
class Match:
    """A text of a stream, compared with a query.

    Attributes:
        cosine: cosine similarity to the query.
        number: position in the stream, counted from 1.
        text: the text itself.
    """

    cosine: float
    number: int
    text: str


def embed_stream(
    encoder: "Encoder", records: Iterable[Record], *, first: int = 0
) -> Iterator[tuple[list[Record], "NDArray[np.float32]"]]:
    """Embed a stream in its order, a block at a time.

    Args:
        encoder: a loaded encoder.
        records: the stream, read a block at a time.
        first: position of its first record in the whole input, for messages.

    Yields:
        k records, and float32 (k, dimension).
    """
    waiting: deque[Record] = deque()

    def recorded() -> Iterator[str]:
        for record in records:
            waiting.append(record)
            yield record.text

    for block in encoder.iter_encode(recorded(), first=first):
        yield [waiting.popleft() for _ in block], block


def top_matches(encoder: "Encoder", query: str, records: Iterable[Record], top: int) -> list[Match]:
    """The `top` texts closest to `query`, best first; of equals, the earlier one."""
    vector = encoder.encode([query])

    def scored() -> Iterator[Match]:
        number = 0
        for block_records, block in embed_stream(encoder, records):
            cosines = encoder.similarity(vector, block)[0]
            for record, cosine in zip(block_records, cosines.tolist(), strict=True):
                number += 1
                yield Match(cosine=cosine, number=number, text=record.text)

    return heapq.nlargest(top, scored(), key=lambda match: (match.cosine, -match.number))

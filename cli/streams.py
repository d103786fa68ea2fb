"""Texts beside their vectors, over a stream of any length."""

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from minilm.runtime import Encoder
    from numpy.typing import NDArray

__all__ = ["Match", "embedded", "ranked"]


@dataclass(frozen=True, kw_only=True)
class Match:
    """A text of a stream: cosine with the query, number counted from 1, the text."""

    cosine: float
    number: int
    text: str


def embedded(
    encoder: "Encoder", texts: Iterable[str], *, first: int = 0
) -> Iterator[tuple[list[str], "NDArray[np.float32]"]]:
    """The texts in their order, a block at a time, each block with its vectors.

    Args:
        encoder: that embeds them.
        texts: read a block at a time.
        first: position of the first in what the user gave, for messages.

    Yields:
        k texts, and float32 (k, dimension).
    """
    waiting: deque[str] = deque()

    def remembered() -> Iterator[str]:
        for text in texts:
            waiting.append(text)
            yield text

    for block in encoder.iter_encode(remembered(), first=first):
        yield [waiting.popleft() for _ in block], block


def ranked(encoder: "Encoder", query: str, texts: Iterable[str], top: int) -> list[Match]:
    """The `top` texts closest to `query`, best first; of equals, the earlier one."""
    vector = encoder.encode([query])

    def scored() -> Iterator[Match]:
        number = 0
        for block_texts, block in embedded(encoder, texts):
            cosines = encoder.similarity(vector, block)[0]
            for text, cosine in zip(block_texts, cosines.tolist(), strict=True):
                number += 1
                yield Match(cosine=cosine, number=number, text=text)

    return heapq.nlargest(top, scored(), key=lambda match: (match.cosine, -match.number))

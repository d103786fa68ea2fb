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
    encoder: "Encoder", texts: Iterable[str], *, first: int = 0
) -> Iterator[tuple[list[str], "NDArray[np.float32]"]]:
    """Embed a stream in its order, a block at a time.

    Args:
        encoder: a loaded encoder.
        texts: the stream, read a block at a time.
        first: position of its first text in the whole input, for messages.

    Yields:
        k texts, and float32 (k, dimension).
    """
    waiting: deque[str] = deque()

    def recorded() -> Iterator[str]:
        for text in texts:
            waiting.append(text)
            yield text

    for block in encoder.iter_encode(recorded(), first=first):
        yield [waiting.popleft() for _ in block], block


def top_matches(encoder: "Encoder", query: str, texts: Iterable[str], top: int) -> list[Match]:
    """The `top` texts closest to `query`, best first; of equals, the earlier one."""
    vector = encoder.encode([query])

    def scored() -> Iterator[Match]:
        number = 0
        for block_texts, block in embed_stream(encoder, texts):
            cosines = encoder.similarity(vector, block)[0]
            for text, cosine in zip(block_texts, cosines.tolist(), strict=True):
                number += 1
                yield Match(cosine=cosine, number=number, text=text)

    return heapq.nlargest(top, scored(), key=lambda match: (match.cosine, -match.number))

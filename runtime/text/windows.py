"""How a text that is longer than the model reads is cut into windows.

What is lost: the 24 longest paragraphs of `optimize/calibration.txt` (over 800 characters, 253
tokens on average), joined by 2, 4 and 8 (for each i, paragraphs i, i + 3, i + 6, ... of the 24,
round the end), embedded with all-MiniLM-L6-v2, cpu/fp32. Mean cosine of the whole with its first
part, with its later parts, and with the paragraphs that are not in it:

    parts  tokens  truncate              mean
                   first  later  other   first  later  other
    2         505   0.99   0.15   0.13    0.68   0.74   0.18
    4        1010   0.99   0.14   0.13    0.54   0.56   0.23
    8        2020   0.99   0.13   0.13    0.45   0.47   0.28

Truncation loses the later parts: their similarity (0.13 to 0.15) is that of unrelated paragraphs.
With "mean", 100, 89 and 50% of the parts rank above every unrelated paragraph for 2, 4 and 8 parts.
Beyond about four windows, search over `chunks` instead.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["OVERLAP_TOKENS", "Chunk", "window_spans"]

OVERLAP_TOKENS: Final = 32
"""Least number of tokens that neighbouring windows share: about two sentences."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Chunk:
    """One window of a text.

    Attributes:
        text: Characters that the window covers.
        start: Position of its first character in the whole text.
        end: Position behind its last character.
        tokens: Number of tokens that the model read, without [CLS] and [SEP].
        vector: Vector of the window: float32, (dimension,), unit length.
    """

    text: str
    start: int
    end: int
    tokens: int
    vector: npt.NDArray[np.float32]


def window_spans(tokens: int, room: int, overlap: int = OVERLAP_TOKENS) -> list[tuple[int, int]]:
    """Windows over `tokens` tokens, as few as cover them, all full, evenly spread.

    Even spreading leaves no short tail, whose vector would say little and weigh as much.

    Args:
        tokens: of the text.
        room: tokens of a window.
        overlap: tokens that neighbours share at least; capped at half of `room`.

    Returns:
        First token and the one behind the last, of each window.
    """
    if tokens <= room:
        return [(0, tokens)]
    step = max(1, room - min(overlap, room // 2))
    gaps = -(-(tokens - room) // step)
    starts = [index * (tokens - room) // gaps for index in range(gaps + 1)]
    return [(start, start + room) for start in starts]

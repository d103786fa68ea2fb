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

A truncated text is as far from its later parts as from strangers. By the mean, 100, 89 and 50% of
parts are nearer than the nearest stranger: beyond some four windows, search in `chunks`.
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
        text: the characters that it covers.
        start: its first character in the whole text.
        end: behind its last character.
        tokens: that the model read, [CLS] and [SEP] not counted.
        vector: float32, (dimension,), unit length.
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

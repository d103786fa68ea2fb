"""Token ids as the native encoder takes them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def random_texts(lengths: Sequence[int], vocab_size: int, seed: int = 0) -> list[list[int]]:
    random = np.random.default_rng(seed)
    return [random.integers(0, vocab_size, length).tolist() for length in lengths]


def packed(texts: Sequence[Sequence[int]]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Ids of all texts one after another, int32, and their offsets, int64."""
    ids = np.concatenate([np.array(text, np.int32) for text in texts])
    return ids, np.cumsum([0, *map(len, texts)])

"""Rotations that spread the few large elements of an activation over their neighbours.

The input of a product is multiplied by a block-diagonal orthonormal Hadamard matrix H, its weight
by the transpose: (x H)(Hᵀ W) = x W. Rounded to int8, x H errs less than x, since no element stands
out (Ashkboos et al., "QuaRot: Outlier-Free 4-Bit Inference in Rotated LLMs", arXiv:2404.00456).
"""

from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["LARGEST_BLOCK", "block_size", "hadamard", "rotate_gram", "rotate_rows", "rotate_weight"]

LARGEST_BLOCK: Final = 128
"""Elements that are mixed: of 16, 32, 64 and 128 the best cosine over 600 sentences."""

Array = npt.NDArray[np.float64]


def block_size(width: int) -> int:
    """The largest power of two that divides `width`, at most `LARGEST_BLOCK`."""
    return min(width & -width, LARGEST_BLOCK)


def hadamard(size: int) -> Array:
    """Sylvester's Hadamard matrix of `size` (a power of two), orthonormal and symmetric.

    Returns:
        float64, (size, size).

    Raises:
        ValueError: `size` is not a power of two.
    """
    if size < 1 or size & (size - 1):
        raise ValueError(f"a Hadamard matrix needs a power of two, got {size}")
    matrix = np.ones((1, 1))
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return np.asarray(matrix / np.sqrt(size))


def rotate_rows(rows: npt.NDArray[np.floating]) -> Array:
    """x H of each row: float64, (rows, width)."""
    block = block_size(rows.shape[-1])
    blocks = rows.astype(np.float64).reshape(-1, block)
    return np.asarray(blocks @ hadamard(block)).reshape(rows.shape)


def rotate_weight(weight: npt.NDArray[np.floating]) -> Array:
    """Hᵀ W of a weight (inputs, outputs): float64, the same shape."""
    return np.ascontiguousarray(rotate_rows(np.ascontiguousarray(weight.T)).T)


def rotate_gram(gram: Array) -> Array:
    """Hᵀ G H of a sum of x xᵀ: float64, (inputs, inputs)."""
    return rotate_rows(rotate_weight(gram))

"""Weights to int8 codes: to the nearest, or so that the layer's output errs least (GPTQ)."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

__all__ = ["QuantizedWeight", "gptq", "nearest"]

_LIMIT: Final = 127
_PAIR_LIMIT: Final = 128
"""Of two weights' sum, so that u8 codes of 255 give no sum over 32,767: 255 x 128 = 32,640."""
_DAMPING: Final = 0.01
"""Share of the mean diagonal that is added to the Hessian (Frantar et al., section 3.3, step 3)."""
_BLOCK: Final = 128
"""Rows whose errors are gathered before the rest of the matrix is updated (the same, step 2)."""


@dataclass(frozen=True, kw_only=True)
class QuantizedWeight:
    """An int8 weight, symmetric, one scale an output channel.

    Attributes:
        codes: int8, (inputs, outputs), -127 to 127.
        scale: float32, (outputs,).
    """

    codes: npt.NDArray[np.int8]
    scale: npt.NDArray[np.float32]

    @property
    def weight(self) -> npt.NDArray[np.float32]:
        """What the codes stand for: float32, (inputs, outputs)."""
        return self.codes.astype(np.float32) * self.scale


def nearest(weight: npt.NDArray[np.float32]) -> QuantizedWeight:
    """Round each element of `weight`, float32 (inputs, outputs), to the nearest code."""
    scale = _scale(weight)
    return QuantizedWeight(codes=_codes(weight / scale), scale=scale)


def gptq(
    weight: npt.NDArray[np.float32], gram: npt.NDArray[np.float64], *, pairs: bool = False
) -> QuantizedWeight:
    """Round `weight` row by row, each row's error made good by the rows that are still to come.

    Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
    Transformers", arXiv:2210.17323, algorithm 1, in the order of falling Hessian diagonal.

    Args:
        weight: float32, (inputs, outputs).
        gram: float64, (inputs, inputs), the sum of x xT over calibration activations.
        pairs: keep each pair of an even input and the next within what `vpmaddubsw` sums in 16
            bits. x86-64 CPUs without VNNI use it for u8 x s8 products, and it saturates (Intel,
            Software Developer's Manual, PMADDUBSW); with this, every CPU gives the same sums.
    """
    scale = _pair_scale(weight) if pairs else _scale(weight)
    order = np.argsort(-np.diag(gram), kind="stable")
    hessian = gram[np.ix_(order, order)].copy()
    hessian[np.diag_indices_from(hessian)] += _DAMPING * np.diag(gram).mean() + 1e-12
    with threadpool_limits(1):  # sums in the same order whatever the number of cores
        # Upper Cholesky factor of the inverse: its rows hold the updates of all steps at once.
        factor = np.linalg.cholesky(np.linalg.inv(hessian)).T
        # Where in `order` the other one of each row's pair stands; an odd last row is its own.
        partners = np.argsort(order)[np.minimum(order ^ 1, len(order) - 1)] if pairs else None
        codes = _descend(weight[order].astype(np.float64), scale, factor, partners)
    restored = np.empty_like(codes)
    restored[order] = codes
    return QuantizedWeight(codes=restored, scale=scale)


def _descend(
    left: npt.NDArray[np.float64],
    scale: npt.NDArray[np.float32],
    factor: npt.NDArray[np.float64],
    partners: npt.NDArray[np.intp] | None,
) -> npt.NDArray[np.int8]:
    """Round the rows of `left` in order; each one's error goes into those after it."""
    codes = np.zeros(left.shape, np.int8)
    for start in range(0, len(left), _BLOCK):
        stop = min(start + _BLOCK, len(left))
        errors = np.empty((stop - start, left.shape[1]))
        for row in range(start, stop):
            codes[row] = _codes(left[row] / scale)
            if partners is not None and partners[row] < row:
                codes[row] = _within_pair(codes[row], codes[partners[row]])
            error = (left[row] - codes[row] * scale.astype(np.float64)) / factor[row, row]
            left[row + 1 : stop] -= np.outer(factor[row, row + 1 : stop], error)
            errors[row - start] = error
        left[stop:] -= factor[start:stop, stop:].T @ errors
    return codes


def _scale(weight: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    scale = np.abs(weight).max(axis=0) / np.float32(_LIMIT)
    # A column under the smallest normal number is zero for every purpose.
    return np.where(scale >= np.finfo(np.float32).tiny, scale, 1).astype(np.float32)


def _pair_scale(weight: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The scale at which no pair of rows has positive or negative parts over the limit."""
    parts = np.concatenate([np.maximum(weight, 0), np.maximum(-weight, 0)], axis=1)
    sums = np.add.reduceat(parts, np.arange(0, len(parts), 2), axis=0).max(axis=0)
    peak = np.maximum(*np.split(sums, 2))
    scale: npt.NDArray[np.float32] = np.maximum(_scale(weight), peak / np.float32(_PAIR_LIMIT))
    return scale


def _within_pair(codes: npt.NDArray[np.int8], fixed: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Clip `codes` so that their sums with the `fixed` ones of their pairs stay in the limit."""
    other = fixed.astype(np.int16)
    low, high = -_PAIR_LIMIT - np.minimum(other, 0), _PAIR_LIMIT - np.maximum(other, 0)
    return np.clip(codes, low, high).astype(np.int8)


def _codes(scaled: npt.NDArray[np.floating]) -> npt.NDArray[np.int8]:
    codes: npt.NDArray[np.int8] = np.clip(np.rint(scaled), -_LIMIT, _LIMIT).astype(np.int8)
    return codes

"""What callers pass as vectors: arrays, lists, tensors of PyTorch, or whatever becomes an array."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from minilm.runtime.errors import UsageError

__all__ = ["is_single", "unit_vectors"]

Vectors = npt.NDArray[np.float32]

_NUMBERS = "fiu"


def unit_vectors(
    name: str, value: Any, dimension: int, encode: Callable[[Any], Vectors]
) -> Vectors:
    """Vectors of unit length: those that `value` holds, or those of its texts.

    Args:
        name: name of the argument, for messages.
        value: vectors, as `_as_vectors`, or texts.
        dimension: elements of a vector.
        encode: function that embeds an iterable of texts.

    Returns:
        float32, (n, dimension).

    Raises:
        UsageError: vectors of another dimension, or of several.
        TextTypeError: neither texts nor vectors.
    """
    vectors = _as_vectors(name, value)
    if vectors is None:
        vectors = encode([value] if isinstance(value, str) else value)
    vectors = np.atleast_2d(vectors)
    if vectors.ndim != 2 or vectors.shape[1] != dimension:
        raise UsageError(f"{name} has shape {vectors.shape}, expected (n, {dimension}) or texts")
    units: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return units


def is_single(value: Any) -> bool:
    """Whether `value` is one text or one vector, as opposed to several.

    Raises:
        UsageError: vectors of different lengths.
    """
    if isinstance(value, str):
        return True
    vectors = _as_vectors("the query", value)
    return vectors is not None and vectors.ndim == 1


def _as_vectors(name: str, value: Any) -> Vectors | None:
    """`value` as float32 if it holds numbers; None if it does not.

    Args:
        name: name of the argument, for messages.
        value: an array, a tensor, a list of numbers or a list of any of these: (n, dimension) or
            (dimension,). Anything else may be texts.

    Raises:
        UsageError: vectors of different lengths.
    """
    value = _on_cpu(value)
    if isinstance(value, list | tuple):
        leaf: Any = value
        while isinstance(leaf, list | tuple) and leaf:
            leaf = leaf[0]
        if isinstance(leaf, str | bytes) or not _is_numeric(_on_cpu(leaf)):
            return None
        try:
            return np.array([_on_cpu(item) for item in value], dtype=np.float32)
        except ValueError as error:
            raise UsageError(f"{name} has vectors of different lengths") from error
    if _is_numeric(value) and not isinstance(value, int | float):
        return np.asarray(value, dtype=np.float32)
    return None


def _is_numeric(value: Any) -> bool:
    if isinstance(value, bool | str | bytes | list | tuple):
        return False
    if not isinstance(value, int | float) and not hasattr(value, "__array__"):
        return False
    return np.asarray(value).dtype.kind in _NUMBERS


def _on_cpu(value: Any) -> Any:
    """A tensor of PyTorch as an array, wherever it is and whatever it remembers."""
    if not hasattr(value, "detach"):
        return value
    tensor = value.detach().cpu()
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()

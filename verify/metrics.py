"""Metrics that compare two sets of vectors: cosine, overlap of neighbours, rank correlation."""

import numpy as np
import numpy.typing as npt

__all__ = [
    "evenly_spaced",
    "kendall_tau",
    "l2_normalize",
    "ranks",
    "rowwise_cosine",
    "spearman",
    "top_k_overlap",
]

Array = npt.NDArray[np.float64]


def l2_normalize(vectors: npt.NDArray[np.floating]) -> Array:
    """Vectors scaled to unit length in float64; a zero vector stays zero."""
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=-1, keepdims=True)
    return np.asarray(wide / np.where(lengths == 0, 1.0, lengths))


def rowwise_cosine(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> Array:
    """Cosine of each row of `a` to the same row of `b`: float64, (rows,); NaN counts as -1."""
    found = np.einsum("ij,ij->i", l2_normalize(a), l2_normalize(b))
    return np.asarray(np.where(np.isfinite(found), np.clip(found, -1.0, 1.0), -1.0))


def top_k_overlap(ours: Array, theirs: Array, *, k: int = 10) -> Array:
    """Share of each text's nearest that the artifact finds.

    Args:
        ours: similarities by the artifact, float64, (texts, texts).
        theirs: similarities by the original, the same shape.
        k: Number of neighbours.

    Returns:
        float64, (texts,), 0 to 1. A text as near as the original's last one, but for rounding,
        counts as found: ties have no order.
    """
    k = min(k, len(ours) - 1)
    a, b = ours.copy(), theirs.copy()
    np.fill_diagonal(a, -2.0)
    np.fill_diagonal(b, -2.0)
    edge = np.sort(b, axis=1)[:, -k][:, None] - 1e-6
    picked = np.argpartition(a, -k, axis=1)[:, -k:]
    return np.asarray((np.take_along_axis(b, picked, axis=1) >= edge).mean(axis=1))


def kendall_tau(ours: Array, theirs: Array, *, rows: int = 64) -> Array:
    """Kendall's tau of the similarities from some texts to all others.

    Args:
        ours: similarities by the artifact, float64, (texts, texts).
        theirs: similarities by the original, the same shape.
        rows: how many texts, evenly spread; a pair that differs by less than rounding in the
            original is not counted (SciPy's tau-b would count it).

    Returns:
        float64, (min(rows, texts),), -1 to 1, for the texts at `evenly_spaced(texts, rows)`.
    """
    places = evenly_spaced(len(ours), rows)
    i, j = np.triu_indices(len(ours) - 1, 1)
    found = []
    for place in places:
        a = np.delete(ours[place], place)
        b = np.delete(theirs[place], place)
        apart = b[i] - b[j]
        signs = np.sign(a[i] - a[j]) * np.sign(apart)
        clear = np.abs(apart) > 1e-6
        found.append(signs[clear].mean() if clear.any() else 1.0)
    return np.array(found)


def evenly_spaced(texts: int, rows: int = 64) -> npt.NDArray[np.intp]:
    """Places of at most `rows` texts, evenly spread over `texts`, first and last in."""
    return np.unique(np.linspace(0, texts - 1, min(rows, texts)).astype(np.intp))


def spearman(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> float:
    """Spearman's correlation, ties sharing their mean rank; 0 where one side is constant."""
    centred = [ranks(values) - (len(values) + 1) / 2 for values in (a, b)]
    scale = float(np.sqrt((centred[0] ** 2).sum() * (centred[1] ** 2).sum()))
    return float((centred[0] * centred[1]).sum()) / scale if scale else 0.0


def ranks(values: npt.NDArray[np.floating]) -> Array:
    """Rank of each value from 1, ties sharing their mean: float64, (values,)."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[inverse])

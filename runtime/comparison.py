"""Vectors compared with vectors: cosines, and the search for the closest."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, NamedTuple, SupportsIndex, overload

import numpy as np
from minilm.runtime.backends.batch import Vectors
from minilm.runtime.errors import UsageError
from minilm.runtime.manifest import Manifest
from minilm.runtime.validation import check_positive

__all__ = ["SearchHit", "VectorComparison"]


class SearchHit(NamedTuple):
    """One result of a search.

    Attributes:
        position: Position of the vector among those that were searched.
        cosine: Its cosine to the query, from -1 to 1.
    """

    position: int
    cosine: float


class VectorComparison(ABC):
    """The part of an `Encoder` that compares texts and vectors.

    Attributes:
        manifest: Manifest of the bundle.
    """

    __slots__ = ()

    manifest: Manifest

    @abstractmethod
    def encode(self, texts: str | Iterable[str]) -> Vectors:
        """Embed one text or several: float32, (texts, dimension), or (dimension,) for a str."""

    def similarity(self, a: Any, b: Any) -> Vectors:
        """Cosine of each of `a` with each of `b`.

        Args:
            a: texts (a str or an iterable of str), or vectors: an array, a list or a tensor, (n,
                dimension) or (dimension,).
            b: likewise.

        Returns:
            float32, (len(a), len(b)), from -1 to 1.

        Raises:
            UsageError: vectors of another dimension.
            TextTypeError: neither texts nor vectors.
        """
        left, right = self._units("a", a), self._units("b", b)
        cosines: Vectors = np.clip(left @ right.T, -1, 1)
        return cosines

    def similarity_pairwise(self, a: Any, b: Any) -> Vectors:
        """Cosine of the first of `a` with the first of `b`, of the second with the second, ...

        Args:
            a: texts or vectors, as for `similarity`.
            b: likewise, as many.

        Returns:
            float32, (len(a),), from -1 to 1.

        Raises:
            UsageError: not as many in `b` as in `a`, or vectors of another dimension.
            TextTypeError: neither texts nor vectors.
        """
        left, right = self._units("a", a), self._units("b", b)
        if len(left) != len(right):
            raise UsageError(
                f"similarity_pairwise takes as many of b as of a, got {len(left)} and "
                f"{len(right)}: similarity compares each of a with each of b"
            )
        cosines: Vectors = np.clip(np.einsum("nd,nd->n", left, right), -1, 1)
        return cosines

    @overload
    def search(self, query: str, vectors: Any, *, top: SupportsIndex = 10) -> list[SearchHit]: ...

    @overload
    def search(self, query: Any, vectors: Any, *, top: SupportsIndex = 10) -> Any: ...

    def search(self, query: Any, vectors: Any, *, top: SupportsIndex = 10) -> Any:
        """The vectors closest to a query, best first; of equals, the one that comes first.

        Every vector is compared, which takes 0.1 s for some hundred thousand; an index of vectors
        serves more of them.

        Args:
            query: a text or a vector, (dimension,); or several, (n, dimension).
            vectors: texts or vectors to search, as for `similarity`.
            top: most results of a query.

        Returns:
            A list of `SearchHit`, or for several queries a list of such lists.

        Raises:
            UsageError: vectors of another dimension, or `top` is not a number above zero.
            TextTypeError: neither texts nor vectors.
        """
        from minilm.runtime.vectors import is_single

        top = check_positive("top", top)
        single = is_single(query)
        hits = [_best(cosines, top) for cosines in self.similarity(query, vectors)]
        return hits[0] if single else hits

    def _units(self, name: str, value: Any) -> Vectors:
        from minilm.runtime.vectors import unit_vectors

        return unit_vectors(name, value, self.manifest.model.dimension, self.encode)


def _best(cosines: Vectors, top: int) -> list[SearchHit]:
    """The `top` largest of float32 (n,), largest first."""
    candidates = np.arange(len(cosines))
    if top < len(cosines):
        # Sorting a million takes as long as comparing them: sort those that can be among the best.
        candidates = np.flatnonzero(cosines >= np.partition(cosines, -top)[-top])
    order = candidates[np.argsort(-cosines[candidates], kind="stable")][:top]
    return [SearchHit(int(position), float(cosines[position])) for position in order]

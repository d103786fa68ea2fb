"""What runs a graph: one module for each library, behind one protocol."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Session", "Vectors"]

Vectors = npt.NDArray[np.float32]


class Session(Protocol):
    """A graph that is ready to run.

    Attributes:
        workers: threads that may usefully call `run` at the same time.
        budget_tokens: of a batch that runs well.
        survives_fork: whether a forked child may go on using it.
    """

    workers: int
    budget_tokens: int
    survives_fork: bool

    def width(self, tokens: int) -> int:
        """Width, in tokens, to which rows of `tokens` are padded."""
        ...

    def run(self, ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> Vectors:
        """Embed a batch; safe to call from several threads at once.

        Args:
            ids: int64, (rows, width), of a width that `width` gave.
            mask: int64, (rows, width), 1 where there is a token.

        Returns:
            float32, (rows, dimension).
        """
        ...

"""What a peer is. A module of this package opens one library.

It is imported by the worker alone, inside that library's environment, where neither this project's
other packages nor its tools are installed; so it imports the standard library, NumPy and its own
library, and the latter through `import_module`, since type checkers see no peer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]

__all__ = ["Encode", "Open", "Opened"]


class Encode(Protocol):
    """What is measured: texts to vectors, tokenization included."""

    def __call__(self, texts: Sequence[str], /) -> "Vectors":
        """Vectors of `texts`: float32, (texts, dimension)."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A peer that has been loaded.

    Attributes:
        encode: the peer.
        about: what it chose, where its options do not say.
    """

    encode: Encode
    about: str = ""


class Open(Protocol):
    """The function `open_peer` of each module."""

    def __call__(self, files: Path, options: Mapping[str, str], /) -> Opened:
        """Load the model at `files`; each peer keeps its own defaults, as its user would."""

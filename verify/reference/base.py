"""Protocol of a reference: the original's vectors, wherever they come from."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from minilm.verify.reference.corpus import Sample

__all__ = ["Embeds", "Reference", "Vectors"]

Vectors = npt.NDArray[np.float32]


class Embeds(Protocol):
    """Anything that turns texts into vectors."""

    def encode(self, texts: Sequence[str], /) -> Vectors:
        """Embed `texts`: float32, (texts, dimension)."""


class Reference(Protocol):
    """The original's vectors, wherever they come from."""

    @property
    def name(self) -> str:
        """Name for a report."""

    @property
    def weights_sha256(self) -> str:
        """Hash of the `model.safetensors` that the vectors come from, hexadecimal."""

    @property
    def max_tokens(self) -> int:
        """Tokens of the longest input, special ones included."""

    @property
    def corpus(self) -> tuple[Sample, ...] | None:
        """The only texts that can be embedded; None if any text can."""

    def encode(self, texts: Sequence[str], /) -> Vectors:
        """Embed `texts`: float32, (texts, dimension)."""

    def token_ids(self, texts: Sequence[str], /) -> list[list[int]]:
        """Token ids of each text as the model reads it: special tokens in, cut at the limit."""

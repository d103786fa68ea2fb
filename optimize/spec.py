"""What a target gets and what it gives."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from minilm.runtime.manifest import VARIANTS, Variant

__all__ = ["Exported", "Target", "path_of"]


@dataclass(frozen=True, kw_only=True)
class Exported:
    """The portable fp32 graph and what the passes must know of the model in it.

    Attributes:
        graph: ONNX file as `minilm.convert.export` writes it.
        tokenizer: the model's `tokenizer.json`.
        layers: of the encoder.
        heads: of each layer's attention.
        dimension: elements of a token's vector.
        max_tokens: tokens of the longest input, [CLS] and [SEP] included.
        pooling: "mean" or "cls".
        normalized: whether sentence vectors are scaled to unit length.
    """

    graph: Path
    tokenizer: Path
    layers: int
    heads: int
    dimension: int
    max_tokens: int
    pooling: str
    normalized: bool


class Target(Protocol):
    """Where a graph runs: a module that makes the fastest graph that still passes there."""

    @property
    def precisions(self) -> Sequence[str]:
        """The precisions that `build` knows, in the order to build them."""

    def build(
        self, exported: Exported, precision: str, bundle: Path, corpus: Sequence[str]
    ) -> Variant:
        """Write the variant's files below `bundle` and describe them.

        Args:
            exported: what to start from.
            precision: one of `precisions`.
            bundle: directory of the bundle that is being made.
            corpus: calibration texts; fp32, bf16 and fp16 use none.

        Raises:
            BuildFailed: a pass matched another number of patterns than it promised.
        """


def path_of(bundle: Path, name: str) -> Path:
    """Where the first file of variant `name` goes; its folder is made."""
    path = bundle / VARIANTS[name][0]
    path.parent.mkdir(parents=True, exist_ok=True)
    return path

"""The reference: what every artifact is compared with, and the texts that are compared."""

from minilm.verify.reference.base import Embeds, Reference, Vectors
from minilm.verify.reference.golden import GOLDEN_NAME, GoldenReference, write_golden
from minilm.verify.reference.pytorch import (
    DEFAULT_ID,
    DEFAULT_SHA256,
    PyTorchReference,
    find_weights,
    torch_installed,
)

__all__ = [
    "DEFAULT_ID",
    "DEFAULT_SHA256",
    "GOLDEN_NAME",
    "Embeds",
    "GoldenReference",
    "PyTorchReference",
    "Reference",
    "Vectors",
    "find_weights",
    "torch_installed",
    "write_golden",
]

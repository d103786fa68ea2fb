"""fastembed, from local files."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.peers import Opened

if TYPE_CHECKING:
    from benchmarks.peers import Vectors

__all__ = ["open_peer"]


def open_peer(files: Path, options: Mapping[str, str]) -> Opened:
    """Load "model" from `files`, a directory with `model.onnx` and the tokenizer's files."""
    import numpy as np

    library = import_module("fastembed")
    model = library.TextEmbedding(options["model"], specific_model_path=str(files))

    def encode(texts: Sequence[str]) -> "Vectors":
        return np.asarray(list(model.embed(texts)), dtype=np.float32)

    return Opened(encode=encode)

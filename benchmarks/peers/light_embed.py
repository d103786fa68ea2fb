"""light-embed, from local files."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.peers import Opened

if TYPE_CHECKING:
    from benchmarks.peers import Vectors

__all__ = ["open_peer"]


def open_peer(files: Path, options: Mapping[str, str]) -> Opened:
    """Load `files`, a directory with "onnx_file" and the tokenizer's files."""
    import numpy as np

    library = import_module("light_embed")
    config = {**options, "normalize": True}
    model = library.TextEmbedding(str(files), model_config=config)

    def encode(texts: Sequence[str]) -> "Vectors":
        return np.asarray(model.encode(list(texts)), dtype=np.float32)

    return Opened(encode=encode)

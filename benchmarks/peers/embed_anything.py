"""EmbedAnything, from a Hub cache that holds local files: it takes no directory."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.peers import Opened

if TYPE_CHECKING:
    from benchmarks.peers import Vectors

__all__ = ["open_peer"]


def open_peer(files: Path, options: Mapping[str, str]) -> Opened:  # noqa: ARG001 - a Hub cache: the worker's environment says where
    """Load "model" with "backend" Candle or ONNX Runtime ("ort")."""
    import numpy as np

    library = import_module("embed_anything")
    if options["backend"] == "ort":
        model = library.EmbeddingModel.from_pretrained_onnx(
            library.WhichModel.Bert,
            hf_model_id=options["model"],
            path_in_repo="onnx/model.onnx",
        )
    else:
        model = library.EmbeddingModel.from_pretrained_hf(options["model"], revision="main")

    def encode(texts: Sequence[str]) -> "Vectors":
        found = library.embed_query(list(texts), embedder=model)
        return np.asarray([item.embedding for item in found], dtype=np.float32)

    return Opened(encode=encode)

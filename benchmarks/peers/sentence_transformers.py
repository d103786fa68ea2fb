"""sentence-transformers, each of its backends."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from benchmarks.peers import Opened

__all__ = ["open_peer"]


def open_peer(files: Path, options: Mapping[str, str]) -> Opened:
    """Load the model at `files` with "backend" and, if that has several graphs, "file_name"."""
    library = import_module("sentence_transformers")
    kwargs = {"file_name": options["file_name"]} if "file_name" in options else {}
    model = library.SentenceTransformer(
        str(files), backend=options["backend"], device="cpu", model_kwargs=kwargs
    )
    return Opened(encode=lambda texts: model.encode(list(texts), show_progress_bar=False))

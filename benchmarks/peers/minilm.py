"""This project's loader."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from benchmarks.peers import Opened

__all__ = ["open_peer"]


def open_peer(files: Path, options: Mapping[str, str]) -> Opened:
    """Load the bundle at `files`: the variant of "target" and "precision", or the one it takes."""
    # Not an import statement: this is the installed wheel's package, not the source beside us.
    runtime = import_module("minilm.runtime")
    encoder = runtime.load(files, on_long="truncate", **options)
    return Opened(encode=encoder.encode, about=f"{encoder.variant.name}: {encoder.why}")

"""Text to vectors, with nothing but NumPy, tokenizers and one backend.

    from minilm.runtime import load

    encoder = load("artifacts/all-MiniLM-L6-v2")
    vectors = encoder.encode(["a text", "another"])

`load` picks the variant of a bundle that runs best on this machine, checks its hashes before it
reads it, and says why it took it (`encoder.why`).
"""

import os
from typing import TYPE_CHECKING, Final

from minilm.runtime import errors

if TYPE_CHECKING:
    from minilm.runtime.comparison import SearchHit
    from minilm.runtime.encoder import Encoder, TruncationWarning
    from minilm.runtime.execution.request import EncodeReport
    from minilm.runtime.loading import load
    from minilm.runtime.text.windows import Chunk

__all__ = ["Chunk", "EncodeReport", "Encoder", "SearchHit", "TruncationWarning", "errors", "load"]

# ONNX Runtime reads it when it is imported. Where it is not set, releases such as 1.32 keep an
# identifier of the device in the home directory and report their use to its makers.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Imported when first asked for: the command line reads errors and manifests without NumPy.
_HOMES: Final = {
    "Chunk": "text.windows",
    "EncodeReport": "execution.request",
    "Encoder": "encoder",
    "SearchHit": "comparison",
    "TruncationWarning": "encoder",
    "load": "loading",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

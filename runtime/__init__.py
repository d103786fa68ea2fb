"""Text to vectors, with nothing but NumPy, tokenizers and one backend.

    from minilm.runtime import load

    encoder = load("artifacts/all-MiniLM-L6-v2")
    vectors = encoder.encode(["a text", "another"])

`load` picks the variant of a bundle that runs best on this machine, checks its hashes before it
reads it, and says why it took it (`encoder.why`).
"""

from minilm.runtime import errors
from minilm.runtime.encoder import Encoder, TruncationWarning
from minilm.runtime.job import EncodeReport
from minilm.runtime.loading import load
from minilm.runtime.windows import Chunk

__all__ = ["Chunk", "EncodeReport", "Encoder", "TruncationWarning", "errors", "load"]

"""The project's own encoder: packed tokens, no padding, the same bits however texts are batched.

Several threads may run batches at once, each on one thread of its own. A call that runs alone with
few tokens, as one text does, gets all of them: they share every product, since one thread alone
would wait for the weights to come from memory.
"""

import itertools
from collections.abc import Iterable, Mapping
from typing import Final

from minilm.runtime.backends import Session, SessionOptions
from minilm.runtime.backends.batch import TokenBatch, Vectors, rows_without_padding
from minilm.runtime.errors import InvalidArtifact
from minilm.runtime.manifest import MANIFEST_NAME, Variant
from minilm.runtime.native.library import NativeEncoder

__all__ = ["open_session"]

_BUDGET_TOKENS: Final = 1024
"""Four blocks of the encoder. A call of that size takes under 0.1 s, so Ctrl-C is soon heard."""
_SHARED_TOKENS: Final = 256
"""Up to here the threads work on one batch together."""


def open_session(variant: Variant, files: Mapping[str, bytes], options: SessionOptions) -> Session:
    """Make a session of a weight file.

    Raises:
        BackendUnavailable: The library cannot be opened.
        InvalidArtifact: The weight file is damaged, of an unknown format, or made for shorter texts
            than the manifest says.
    """
    name = variant.files[0]
    return _NativeSession(name, files[name], options)


class _NativeSession:
    def __init__(self, name: str, weights: bytes, options: SessionOptions) -> None:
        self._encoder = NativeEncoder(weights)
        if options.max_tokens > self._encoder.max_tokens:
            raise InvalidArtifact(
                f"{MANIFEST_NAME} says that texts have up to {options.max_tokens} tokens, and "
                f"{name} was made for {self._encoder.max_tokens}"
            )
        self._running: set[int] = set()
        self._calls = itertools.count()
        self.workers = options.threads
        self.budget_tokens = _BUDGET_TOKENS
        self.survives_fork = True

    def rows_within(self, budget_tokens: int, lengths: Iterable[int]) -> int:
        return rows_without_padding(lengths, budget_tokens)

    def run(self, batch: TokenBatch) -> Vectors:
        call = next(self._calls)
        # A set's methods are atomic: no lock that a fork could copy in a locked state.
        self._running.add(call)
        try:
            alone = len(self._running) == 1 and len(batch.ids) <= _SHARED_TOKENS
            threads = self.workers if alone else 1
            return self._encoder.encode(batch.ids, batch.offsets, threads=threads)
        finally:
            self._running.discard(call)

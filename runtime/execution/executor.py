"""Batches through a session: as many threads as help, none for one text."""

import os
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from minilm.runtime.backends import Session
from minilm.runtime.errors import EncoderUnusable
from minilm.runtime.execution.batching import TokenRow, batches, pack
from minilm.runtime.execution.threads import run_parallel
from minilm.runtime.manifest import Variant
from minilm.runtime.text.tokenizer import TextTokenizer

__all__ = ["BatchExecutor"]

Vectors = npt.NDArray[np.float32]

_LEAST_SHARE_TOKENS: Final = 128
"""Fewer tokens are not worth a thread of their own."""

_CHARS_PER_TOKEN: Final = 4
"""Of English text; a guess that shapes batches and nothing else."""


class BatchExecutor:
    """A session and the tokenizer that feeds it.

    Args:
        session: of a graph.
        tokenizer: of the same bundle.
        variant: that the graph is.
    """

    def __init__(self, session: Session, tokenizer: TextTokenizer, variant: Variant) -> None:
        self.tokenizer = tokenizer
        self.variant = variant
        self._session: Session | None = session
        self._process = os.getpid()

    def run(
        self,
        texts: Sequence[str],
        tokenize: Callable[[int], list[TokenRow]],
        store: Callable[[Sequence[TokenRow], Vectors], None],
        *,
        batch_size: int | None = None,
    ) -> None:
        """Embed all rows of all texts.

        Args:
            texts: their lengths shape the batches.
            tokenize: rows of the text at a position; called by one thread at a time.
            store: takes a batch and its vectors; called by several threads at once.
            batch_size: most rows of a batch, if any.

        Raises:
            EncoderUnusable: closed, or carried over a fork that it does not survive.
        """
        session = self._live()
        tokens = sum(map(len, texts)) // _CHARS_PER_TOKEN
        workers = max(1, min(session.workers, tokens // _LEAST_SHARE_TOKENS))
        budget = min(session.budget_tokens, max(_LEAST_SHARE_TOKENS, tokens // workers))
        source = batches(texts, tokenize, session, budget_tokens=budget, batch_size=batch_size)

        def embed(rows: list[TokenRow]) -> None:
            width = session.width(len(rows[0].ids) + 2)
            store(rows, session.run(*pack(rows, width, self.tokenizer)))

        if workers == 1:
            for rows in source:
                embed(rows)
        else:
            run_parallel(source, embed, workers=workers)

    def close(self) -> None:
        """Let go of the session: its graph is freed when the last call in progress ends."""
        self._session = None

    def _live(self) -> Session:
        """The session, if this process may use it."""
        if self._session is None:
            raise EncoderUnusable("this encoder was closed: load the bundle again")
        if not self._session.survives_fork and os.getpid() != self._process:
            raise EncoderUnusable(
                f"this encoder was loaded in process {self._process}, and {self.variant.name} "
                f"does not survive the fork to process {os.getpid()}: load the bundle again here, "
                'or start processes by "spawn"'
            )
        return self._session

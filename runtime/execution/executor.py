"""A request through a session: tokenize, plan, run, store. One text takes no thread."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from minilm.runtime.backends import Session
from minilm.runtime.errors import EncoderUnusable
from minilm.runtime.execution.batching import BatchPlanner, TokenRow, longest_first, make_batch
from minilm.runtime.execution.request import EncodeRequest, EncodeResult, TokenizedTexts, tokenize
from minilm.runtime.execution.threads import run_parallel
from minilm.runtime.forking import native_calls
from minilm.runtime.manifest import Variant
from minilm.runtime.text.tokenizer import TextTokenizer

__all__ = ["BatchExecutor"]

_LEAST_SHARE_TOKENS: Final = 128
"""Fewer tokens are not worth a thread of their own."""

_CHARS_PER_TOKEN: Final = 4
"""Of English text; a guess that shapes batches and nothing else."""


class BatchExecutor:
    """A session and the tokenizer that feeds it.

    Attributes:
        tokenizer: Tokenizer of the bundle.
        variant: Variant that the session runs.

    Args:
        session: Session of a graph.
        tokenizer: Tokenizer of the same bundle.
        variant: Variant of the graph.
    """

    def __init__(self, session: Session, tokenizer: TextTokenizer, variant: Variant) -> None:
        self.tokenizer = tokenizer
        self.variant = variant
        self._session: Session | None = session
        self._process = os.getpid()

    def run(
        self, request: EncodeRequest, advance: Callable[[int], None] | None = None
    ) -> EncodeResult:
        """Embed the texts of a request.

        Args:
            request: Texts and options.
            advance: Takes the number of texts done since its last call; called by several threads.

        Raises:
            TextTooLong: A text is over the limit, and `on_long` is "error".
            EncoderUnusable: Closed, or carried over a fork that it does not survive.
        """
        session = self._live()
        tokenizer = self.tokenizer
        tokens = sum(map(len, request.texts)) // _CHARS_PER_TOKEN
        workers = max(1, min(session.workers, tokens // _LEAST_SHARE_TOKENS))
        budget = min(session.budget_tokens, max(_LEAST_SHARE_TOKENS, tokens // workers))
        planner = BatchPlanner(session, budget, request.options.batch_size)
        result = EncodeResult(request)

        def prepare(positions: Sequence[int]) -> TokenizedTexts:
            with native_calls:
                return tokenize(request, tokenizer, positions)

        def plan(tokenized: TokenizedTexts, last: bool) -> Iterator[list[TokenRow]]:
            result.count(tokenized)
            return planner.add(tokenized.rows, last=last)

        def work(rows: list[TokenRow]) -> None:
            batch = make_batch(rows, tokenizer.prefix, tokenizer.suffix)
            with native_calls:
                vectors = session.run(batch)
            result.store(rows, vectors)
            if advance is not None:
                advance(sum(row.part == 0 for row in rows))

        slices = longest_first(request.texts)
        if workers == 1:
            for number, positions in enumerate(slices, 1):
                for rows in plan(prepare(positions), number == len(slices)):
                    work(rows)
        else:
            run_parallel(slices, prepare, plan, work, workers=workers)
        return result

    def close(self) -> None:
        """Let go of the session: its graph is freed when the last call in progress ends."""
        with native_calls:
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

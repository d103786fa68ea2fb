"""A request through a session: tokenize, plan, run, store. One text takes no thread."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from minilm.runtime.backends import Session
from minilm.runtime.backends.batch import TokenBatch
from minilm.runtime.errors import EncoderUnusable, InvalidArtifact
from minilm.runtime.execution.batching import BatchPlanner, TokenRow, longest_first, make_batch
from minilm.runtime.execution.request import EncodeRequest, EncodeResult, TokenizedTexts, tokenize
from minilm.runtime.execution.threads import run_parallel
from minilm.runtime.forking import native_calls
from minilm.runtime.hardware.memory import return_freed_memory
from minilm.runtime.manifest import Variant
from minilm.runtime.text.tokenizer import Ids, TextTokenizer

__all__ = ["BatchExecutor"]

_LEAST_SHARE_TOKENS: Final = 128
"""Fewer tokens are not worth a thread of their own."""

_CHARS_PER_TOKEN: Final = 4
"""Of English text; a guess that shapes batches and nothing else."""


class BatchExecutor:
    """A session and the tokenizer that feeds it.

    Attributes:
        variant: Variant that the session runs.

    Args:
        session: Session of a graph.
        tokenizer: Tokenizer of the same bundle.
        variant: Variant of the graph.
        vocabulary: Number of tokens that the graph knows; None if that is not known here.
    """

    def __init__(
        self,
        session: Session,
        tokenizer: TextTokenizer,
        variant: Variant,
        vocabulary: int | None = None,
    ) -> None:
        self.variant = variant
        self._vocabulary = vocabulary
        self._loaded: tuple[Session, TextTokenizer] | None = (session, tokenizer)
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
            InvalidArtifact: The tokenizer gives ids that the graph does not know.
            EncoderUnusable: Closed, or carried over a fork that it does not survive.
        """
        session, tokenizer = self._live()
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
            self._check_ids(batch.ids)
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

    def tokenize(self, request: EncodeRequest) -> TokenBatch:
        """Tokens of the texts of a request, as one batch in the order of the texts.

        Raises:
            EncoderUnusable: As `run`.
        """
        _, tokenizer = self._live()
        with native_calls:
            rows = tokenize(request, tokenizer, range(len(request.texts))).rows
        return make_batch(rows, tokenizer.prefix, tokenizer.suffix)

    def ids(self, text: str) -> Ids:
        """All token ids of `text`, without [CLS] and [SEP]: int32, (tokens,).

        Raises:
            EncoderUnusable: As `run`.
        """
        _, tokenizer = self._live()
        with native_calls:
            return tokenizer.ids(text)

    def ids_and_spans(self, text: str) -> tuple[Ids, npt.NDArray[np.int64]]:
        """Token ids of `text` and their characters, as the tokenizer gives them.

        Raises:
            EncoderUnusable: As `run`.
        """
        _, tokenizer = self._live()
        with native_calls:
            return tokenizer.ids_and_spans(text)

    def close(self) -> None:
        """Let go of the graph and the tokenizer, and return their memory to the system.

        If calls are in progress, it is freed when the last of them ends.
        """
        with native_calls:
            if self._loaded is not None:
                self._loaded = None
                return_freed_memory()

    def _check_ids(self, ids: Ids) -> None:
        """Refuse ids beyond the vocabulary, for which some backends invent a vector."""
        if self._vocabulary is not None and (largest := int(ids.max())) >= self._vocabulary:
            raise InvalidArtifact(
                f"tokenizer.json gives a token the id {largest}, and the model of config.json "
                f"knows {self._vocabulary} tokens: the two files are not of one model"
            )

    def _live(self) -> tuple[Session, TextTokenizer]:
        """The session and the tokenizer, if this process may use them."""
        if self._loaded is None:
            raise EncoderUnusable("this encoder was closed: load the bundle again")
        if not self._loaded[0].survives_fork and os.getpid() != self._process:
            raise EncoderUnusable(
                f"this encoder was loaded in process {self._process}, and {self.variant.name} "
                f"does not survive the fork to process {os.getpid()}: load the bundle again here, "
                'or start processes by "spawn"'
            )
        return self._loaded

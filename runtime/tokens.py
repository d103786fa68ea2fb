"""Tokens as callers see them: ids, counts, and the windows over a long text."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Final, SupportsIndex, overload

import numpy as np
import numpy.typing as npt
from minilm.runtime.errors import UsageError
from minilm.runtime.execution.executor import BatchExecutor
from minilm.runtime.execution.request import EncodeOptions, EncodeReport, EncodeRequest
from minilm.runtime.manifest import Manifest
from minilm.runtime.text.inputs import check_text, validate_texts
from minilm.runtime.text.windows import OVERLAP_TOKENS, Chunk, window_spans
from minilm.runtime.validation import OnLong, check_positive, check_whole

__all__ = ["TokenAccess"]

_END_TOKENS: Final = 2
"""[CLS] and [SEP]."""


class TokenAccess(ABC):
    """The part of an `Encoder` that shows what texts are to the model.

    Attributes:
        manifest: Manifest of the bundle.
    """

    __slots__ = ()

    manifest: Manifest
    _executor: BatchExecutor
    _reports: threading.local

    @abstractmethod
    def _encode_options(self, on_long: OnLong | None, *, normalize: bool) -> EncodeOptions:
        """Options of a request."""

    def tokenize(self, texts: Iterable[str]) -> dict[str, npt.NDArray[np.int64]]:
        """What the model reads of some texts: cut at its limit, padded to the longest.

        Returns:
            `input_ids` and `attention_mask`, each int64, (texts, tokens), as the bundle's graphs
            take them.

        Raises:
            TextTypeError: something that is not a text, or one str; names its position.
            UsageError: a text has a lone surrogate.
            EncoderUnusable: as `encode`.
        """
        options = self._encode_options("truncate", normalize=True)
        request = EncodeRequest(texts=validate_texts(texts), options=options)
        batch = self._executor.tokenize(request)
        longest = int(np.diff(batch.offsets).max(initial=0))
        ids, mask = batch.padded(longest)
        return {"input_ids": ids, "attention_mask": mask}

    @overload
    def count_tokens(self, texts: str) -> int: ...  # type: ignore[overload-overlap]  # a str is no list of texts here

    @overload
    def count_tokens(self, texts: Iterable[str]) -> list[int]: ...

    def count_tokens(self, texts: str | Iterable[str]) -> int | list[int]:
        """Tokens of whole texts, counted as `max_tokens` counts: with [CLS] and [SEP].

        Args:
            texts: a str, or any iterable of str. Nothing is cut.

        Returns:
            A number for each text; for a str one number.

        Raises:
            TextTypeError: something that is not a text; names its position.
            UsageError: a text has a lone surrogate.
            EncoderUnusable: as `encode`.
        """
        if isinstance(texts, str):
            check_text(texts, "the text")
            return len(self._executor.ids(texts)) + _END_TOKENS
        return [len(self._executor.ids(text)) + _END_TOKENS for text in validate_texts(texts)]

    def chunks(
        self,
        text: str,
        *,
        max_tokens: SupportsIndex | None = None,
        overlap: SupportsIndex | None = None,
    ) -> list[Chunk]:
        """Windows over the whole of `text`, with their places in it and their vectors.

        Windows are full and evenly spread, as few as cover the text.

        Args:
            text: the text.
            max_tokens: tokens of a window, [CLS] and [SEP] included; by default, and at most, as
                many as the model reads.
            overlap: tokens that neighbouring windows share at least, at most half of a window; by
                default 32, or half of a window if that is less.

        Raises:
            TextTypeError: not a str.
            UsageError: `max_tokens` or `overlap` is out of range, or a lone surrogate in the text.
            EncoderUnusable: as `encode`.
        """
        check_text(text, "the text")
        room = self._room(max_tokens)
        shared = OVERLAP_TOKENS if overlap is None else _check_overlap(overlap, room)
        ids, spans = self._executor.ids_and_spans(text)
        windows = window_spans(len(ids), room, shared)
        pieces = [
            (int(spans[first, 0]), int(spans[last - 1, 1])) if last else (0, len(text))
            for first, last in windows
        ]
        request = EncodeRequest(
            texts=[text[a:b] for a, b in pieces],
            options=self._encode_options("truncate", normalize=True),
            ids=[ids[first:last] for first, last in windows],
        )
        vectors = self._executor.run(request).vectors()
        self._reports.last = EncodeReport(texts=1, texts_windowed=int(len(windows) > 1))
        return [
            Chunk(text=text[a:b], start=a, end=b, tokens=last - first, vector=vector)
            for (a, b), (first, last), vector in zip(pieces, windows, vectors, strict=True)
        ]

    @property
    def _max_content_tokens(self) -> int:
        return self.manifest.model.max_tokens - _END_TOKENS

    def _room(self, max_tokens: SupportsIndex | None) -> int:
        """Tokens of a window's text."""
        if max_tokens is None:
            return self._max_content_tokens
        size = check_positive("max_tokens", max_tokens)
        limit = self.manifest.model.max_tokens
        if not _END_TOKENS < size <= limit:
            raise UsageError(
                f"max_tokens must be from {_END_TOKENS + 1} to {limit}, [CLS] and [SEP] included: "
                f"the model reads no more; got {size}"
            )
        return size - _END_TOKENS


def _check_overlap(overlap: SupportsIndex, room: int) -> int:
    """`overlap` as an int from 0 to half of `room`."""
    shared = check_whole("overlap", overlap)
    if not 0 <= shared <= room // 2:
        raise UsageError(
            f"overlap must be from 0 to {room // 2}, half of a window's tokens of text; got "
            f"{shared}"
        )
    return shared

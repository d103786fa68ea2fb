"""Text to token ids: those that the reference implementation gives, for any text of any length."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from minilm.runtime.errors import InvalidArtifact
from minilm.runtime.text.presplit import SPAN_CHARS, PreSplitter, TextSpan

__all__ = ["Ids", "TextTokenizer"]

Ids = npt.NDArray[np.int32]


class TextTokenizer:
    """The tokenizer of a bundle, without the truncation and padding that its file carries.

    Ids are those of the text's own tokens: [CLS] and [SEP] are `prefix` and `suffix`, for the
    caller to put around each window.

    Attributes:
        prefix: Id before each text, of [CLS].
        suffix: Id after each text, of [SEP].

    Args:
        data: content of `tokenizer.json`.

    Raises:
        InvalidArtifact: not a tokenizer, or not one that marks each end with one token.
    """

    def __init__(self, data: bytes) -> None:
        from tokenizers import Tokenizer

        try:
            self._tokenizer = Tokenizer.from_buffer(data)
        except BaseException as error:
            raise _translated(error, "tokenizer.json cannot be read") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        ends = self._encode("").ids
        if len(ends) != 2:
            raise InvalidArtifact(
                f"tokenizer.json puts {len(ends)} tokens around a text, expected [CLS] and [SEP]"
            )
        self.prefix, self.suffix = _int32(ends).tolist()
        self._splitter = self._make_splitter()

    def ids(self, text: str) -> Ids:
        """Ids of `text`: int32, (tokens,), without [CLS] and [SEP].

        Raises:
            InvalidArtifact: the tokenizer failed, as one does whose vocabulary lacks "[UNK]".
        """
        if len(text) <= SPAN_CHARS:
            return _int32(self._encode(text).ids[1:-1])
        parts = [_int32(encoding.ids[1:-1]) for _, encoding in self._encode_pieces(text)]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int32)

    def ids_and_spans(self, text: str) -> tuple[Ids, npt.NDArray[np.int64]]:
        """Ids of `text` as `ids` gives them, and the characters that each stands for.

        Returns:
            int32, (tokens,), and int64, (tokens, 2): first character and the one behind the last.

        Raises:
            InvalidArtifact: as `ids`.
        """
        ids = [np.empty(0, dtype=np.int32)]
        spans = [np.empty((0, 2), dtype=np.int64)]
        for piece, encoding in self._encode_pieces(text):
            ids.append(_int32(encoding.ids[1:-1]))
            span = np.array(encoding.offsets[1:-1], dtype=np.int64).reshape(-1, 2) + piece.start
            if len(span) and piece.word_end is not None:
                span[-1, 1] = piece.word_end
            spans.append(span)
        return np.concatenate(ids), np.concatenate(spans)

    def _encode_pieces(self, text: str) -> Iterator[tuple[TextSpan, Any]]:
        if self._splitter is None or len(text) <= SPAN_CHARS:
            yield TextSpan(start=0, stop=len(text)), self._encode(text)
            return
        for piece in self._splitter.pieces(text):
            yield piece, self._encode(text[piece.start : piece.stop])

    def _encode(self, text: str) -> Any:
        # Not encode_batch: that one starts a thread pool, which a fork would not survive, and
        # its gain is lost beside the time that the graph takes.
        try:
            return self._tokenizer.encode(text)
        except BaseException as error:
            raise _translated(error, "tokenizer.json cannot be used") from error

    def _make_splitter(self) -> PreSplitter | None:
        """How long texts may be cut: only if words are found as BERT finds them."""
        tokenizer = self._tokenizer
        parts = (tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.model)
        kinds = [type(part).__name__ for part in parts]
        if kinds != ["BertNormalizer", "BertPreTokenizer", "WordPiece"]:
            return None
        added = list(tokenizer.get_added_tokens_decoder().values())
        if any(token.normalized for token in added):
            return None
        return PreSplitter(
            words=self._words,
            normalized_chars=lambda text: len(tokenizer.normalizer.normalize_str(text)),
            word_chars=int(tokenizer.model.max_input_chars_per_word),
            ideographs=bool(tokenizer.normalizer.handle_chinese_chars),
            added=tuple(str(token.content) for token in added),
        )

    def _words(self, text: str) -> list[tuple[int, int]]:
        """Character spans of the words of `text`."""
        encoding = self._encode(text)
        words: list[tuple[int, int]] = []
        last = None
        for word, (start, end) in zip(encoding.word_ids, encoding.offsets, strict=True):
            if word is not None and word == last:
                words[-1] = (words[-1][0], end)
            elif word is not None:
                words.append((start, end))
            last = word
        return words


def _int32(ids: list[int]) -> Ids:
    try:
        return np.array(ids, dtype=np.int32)
    except OverflowError as error:
        raise InvalidArtifact(
            f"tokenizer.json gives a token the id {max(ids)}: no model has so many"
        ) from error


def _translated(error: BaseException, message: str) -> BaseException:
    """Our error for one of the tokenizer's, whose panics derive from BaseException alone."""
    if isinstance(error, Exception) or type(error).__name__ == "PanicException":
        return InvalidArtifact(f"{message}: {error}")
    return error

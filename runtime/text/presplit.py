"""Where a very long text may be cut so that its pieces give the tokens of the whole.

A tokenizer spends a hundred bytes and more on each character: a text of 10 MB has to pass in
pieces. BERT splits at white space and around punctuation, and makes one unknown token of a word of
more than a hundred characters: a cut between words changes nothing, and of an endless word only
the start matters.
"""

import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["SPAN_CHARS", "PreSplitter", "TextSpan"]

SPAN_CHARS: Final = 1 << 15
"""Length of a piece: tokens of one fit in a few MB."""

_BREAKS: Final = frozenset(" \t\n\r" + string.punctuation)


@dataclass(frozen=True, kw_only=True)
class TextSpan:
    """Characters `start` to `stop` of a text, to be tokenized on their own.

    Attributes:
        start: Position of the first character.
        stop: Position behind the last character.
        word_end: End of the word that the span is the start of, if it was cut inside a word.
    """

    start: int
    stop: int
    word_end: int | None = None


@dataclass(frozen=True, kw_only=True)
class PreSplitter:
    """Cuts texts as one tokenizer allows.

    Attributes:
        words: character spans of the words of a text, as the tokenizer's own pre-tokenizer finds
            them.
        normalized_chars: how many characters of a text survive normalization.
        word_chars: longest word that is not unknown, in characters after normalization.
        ideographs: whether each CJK ideograph is a word of its own.
        added: tokens that are found before words are ("[MASK]"): never cut inside one.
        span_chars: length to aim at.
    """

    words: Callable[[str], list[tuple[int, int]]]
    normalized_chars: Callable[[str], int]
    word_chars: int
    ideographs: bool
    added: tuple[str, ...]
    span_chars: int = SPAN_CHARS

    def pieces(self, text: str) -> Iterator[TextSpan]:
        """Pieces of `text`, in order; what lies between them gives no token."""
        breaks = _BREAKS.difference(*self.added)
        start, size = 0, self.span_chars
        while len(text) - start > size:
            stop = start + size
            while stop > start and not self._is_break(text[stop - 1], breaks):
                stop -= 1
            if stop > start:
                yield TextSpan(start=start, stop=stop)
                start, size = stop, self.span_chars
                continue
            piece, start, size = self._piece_without_breaks(text, start, size)
            if piece:
                yield piece
        if start < len(text):
            yield TextSpan(start=start, stop=len(text))

    def _piece_without_breaks(
        self, text: str, start: int, size: int
    ) -> tuple[TextSpan | None, int, int]:
        """The next piece if there is one, where to go on, and how many characters to look at."""
        block = text[start : start + size]
        words = self.words(block)
        if not words:
            # Nothing here survives normalization, and no word began before it.
            return None, start + size, self.span_chars
        for cut, _ in reversed(words[1:]):
            if not self._near_added(block, cut):
                return TextSpan(start=start, stop=start + cut), start + cut, self.span_chars
        first, last = words[0][0], words[-1][1]
        if len(words) == 1 and self.normalized_chars(block[first:last]) > self.word_chars:
            end, resume = self._end_of_word(text, start + size)
            return TextSpan(start=start, stop=start + size, word_end=end), resume, self.span_chars
        return None, start, size * 2

    def _is_break(self, character: str, breaks: frozenset[str]) -> bool:
        """Whether a word always ends with `character`, or before it."""
        return character in breaks or (self.ideographs and "\u4e00" <= character <= "\u9fff")

    def _near_added(self, block: str, cut: int) -> bool:
        reach = max(map(len, self.added), default=0)
        around = block[max(0, cut - reach) : cut + reach]
        return any(token in around for token in self.added) or cut + reach > len(block)

    def _end_of_word(self, text: str, position: int) -> tuple[int, int]:
        """End of the word that goes on at `position`, and where the next one may begin."""
        while position < len(text):
            block = text[position : position + self.span_chars]
            # A letter at each end shows whether anything in between parts them.
            words = self.words(f"a{block}a")
            if len(words) > 1:
                return position + words[0][1] - 1, position + words[1][0] - 1
            position += len(block)
        return len(text), len(text)

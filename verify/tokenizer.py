"""The tokenizer of an artifact, as its own `tokenizer.json` says, without the loader's help."""

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from minilm.runtime.errors import InvalidArtifact

__all__ = [
    "TOKENIZER_NAME",
    "TokenizedCorpus",
    "open_tokenizer",
    "padding_id",
    "token_counter",
    "token_ids",
]

TOKENIZER_NAME: Final = "tokenizer.json"


def open_tokenizer(directory: Path) -> Any:
    """Open the `tokenizers.Tokenizer` of a directory; it neither truncates nor pads.

    Raises:
        InvalidArtifact: `tokenizer.json` is missing or cannot be read.
    """
    from tokenizers import Tokenizer

    path = directory / TOKENIZER_NAME
    if not path.is_file():
        raise InvalidArtifact(f"{directory} has no {TOKENIZER_NAME}")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    # The library's errors share no base but Exception, and its panics not even that.
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise InvalidArtifact(f"cannot read {path}: {error}") from error
        raise
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def token_counter(directory: Path) -> Callable[[str], int]:
    """Return a function that counts the tokens of a text, special ones included, never truncated.

    Raises:
        InvalidArtifact: `tokenizer.json` of `directory` is missing or cannot be read.
    """
    tokenizer = open_tokenizer(directory)
    return lambda text: len(token_ids(tokenizer, text.strip()))


def token_ids(tokenizer: Any, text: str, *, special: bool = True) -> list[int]:
    """Token ids of a text, with or without the special ones around it.

    Raises:
        InvalidArtifact: The tokenizer fails, as one does whose vocabulary lacks "[UNK]".
    """
    try:
        return list(tokenizer.encode(text, add_special_tokens=special).ids)
    # The library's panics derive from BaseException alone.
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise InvalidArtifact(f"{TOKENIZER_NAME} cannot be used: {error}") from error
        raise


def padding_id(tokenizer: Any) -> int:
    """Return the id of the padding token; 0 if the vocabulary has none."""
    return int(tokenizer.token_to_id("[PAD]") or 0)


class TokenizedCorpus:
    """The corpus as the artifact's tokenizer splits it.

    Attributes:
        ids: Token ids of each text, special tokens included, truncated at the limit.
        lengths: Tokens of each text, not truncated.
        fill: Id of the padding token.
        limit: Tokens that the original reads, special ones included.
    """

    def __init__(self, tokenizer: Any, texts: Sequence[str], limit: int) -> None:
        """Tokenize `texts` with a `tokenizers.Tokenizer` that neither truncates nor pads."""
        self._tokenizer = tokenizer
        self.limit = limit
        stripped = [text.strip() for text in texts]
        self.lengths = [self.count(text) for text in stripped]
        tokenizer.enable_truncation(limit)
        self.ids = [token_ids(tokenizer, text) for text in stripped]
        tokenizer.no_truncation()
        self.fill = padding_id(tokenizer)

    def subset(self, indices: Sequence[int]) -> "TokenizedCorpus":
        """Return the same for some of the texts."""
        some = copy(self)
        some.lengths = [self.lengths[index] for index in indices]
        some.ids = [self.ids[index] for index in indices]
        return some

    def count(self, text: str) -> int:
        """Return the number of tokens of a text, special ones included."""
        return len(token_ids(self._tokenizer, text))

    @cached_property
    def two_words(self) -> tuple[str, str] | None:
        """Two different words of one token each; None if the vocabulary has no such words."""
        known: dict[int, str] = {}
        for word in self._words():
            ids = token_ids(self._tokenizer, word, special=False)
            if len(ids) == 1 and self._tokenizer.id_to_token(ids[0]) != "[UNK]":
                known.setdefault(ids[0], word)
            if len(known) == 2:
                first, second = known.values()
                return first, second
        return None

    def _words(self) -> Iterator[str]:
        yield from ("water", "music", "green")
        # Only where these are unknown: listing a vocabulary of 30,000 words takes its time.
        yield from sorted(word for word in self._tokenizer.get_vocab() if word.isalpha())

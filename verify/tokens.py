"""The tokenizer of an artifact, as its own `tokenizer.json` says, without the loader's help."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from minilm.runtime.errors import InvalidArtifact

__all__ = ["TOKENIZER_NAME", "counter", "open_tokenizer"]

TOKENIZER_NAME: Final = "tokenizer.json"


def open_tokenizer(directory: Path) -> Any:
    """A `tokenizers.Tokenizer` that neither cuts nor pads.

    Raises:
        InvalidArtifact: `tokenizer.json` is missing or cannot be read.
    """
    from tokenizers import Tokenizer

    path = directory / TOKENIZER_NAME
    if not path.is_file():
        raise InvalidArtifact(f"{directory} has no {TOKENIZER_NAME}")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:
        raise InvalidArtifact(f"cannot read {path}: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def counter(directory: Path) -> Callable[[str], int]:
    """A function that counts the tokens of a text, special ones included, never cut.

    Raises:
        InvalidArtifact: `tokenizer.json` of `directory` is missing or cannot be read.
    """
    tokenizer = open_tokenizer(directory)
    return lambda text: len(tokenizer.encode(text.strip()).ids)

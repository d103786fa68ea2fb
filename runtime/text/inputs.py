"""What callers pass as texts: accepted as it is meant, or refused with its position."""

from collections.abc import Iterable, Iterator, Mapping, Set
from itertools import islice
from typing import Any, Final

from minilm.runtime.errors import TextTypeError, UsageError

__all__ = ["check_stream", "check_text", "next_block", "validate_texts"]

_BLOCK_CHARS: Final = 1 << 24
"""A block ends behind the text that reaches so many characters: no stream is held by its texts."""

_MOST_NULLS: Final = 100
"""Positions of a message; more are counted."""


def validate_texts(texts: Any, *, first: int = 0) -> list[str]:
    """A list of `texts`, each checked.

    Args:
        texts: any iterable of str: list, tuple, generator, NumPy array, pandas column.
        first: position of its first text, for the messages.

    Raises:
        TextTypeError: not an iterable of texts; names the position of the first that is none.
        UsageError: a text with a lone surrogate, which no encoding has.
    """
    check_stream(texts)
    checked = list(texts)
    for position, text in enumerate(checked, first):
        if _is_null(text):
            raise TextTypeError(_nulls(checked, first))
        check_text(text, f"texts[{position}]")
    return checked


def next_block(stream: Iterator[Any], size: int) -> Iterator[Any]:
    """The next texts of a stream: `size`, or fewer if they are long."""
    chars = 0
    for text in islice(stream, size):
        yield text
        # Items that are not strings are rejected later, by `validate_texts`.
        chars += len(text) if isinstance(text, str) else 0
        if chars >= _BLOCK_CHARS:
            return


def check_stream(texts: Any) -> None:
    """Raise `TextTypeError` unless `texts` is an iterable whose order is that of its texts."""
    if isinstance(texts, str):
        raise TextTypeError("texts is one str, expected an iterable of them: put it in a list")
    if isinstance(texts, bytes | bytearray | memoryview):
        raise TextTypeError(f"texts is {type(texts).__name__}, expected str: decode it first")
    if isinstance(texts, Mapping | Set):
        raise TextTypeError(
            f"texts is {type(texts).__name__}, which has no order of texts: pass a list"
        )
    if not isinstance(texts, Iterable):
        raise TextTypeError(f"texts is {_describe(texts)}, expected a str or an iterable of str")
    # Iterating a DataFrame yields its column names, not its rows: reject it.
    if (dimensions := getattr(texts, "ndim", 1)) != 1:
        raise TextTypeError(
            f"texts is {type(texts).__name__} of {dimensions} dimensions, expected one: choose a "
            "column, or put a single text in a list"
        )


def check_text(text: Any, name: str) -> None:
    """Check one text.

    Args:
        text: what should be a str.
        name: what the message calls it: "texts[3]".

    Raises:
        TextTypeError: not a str.
        UsageError: a lone surrogate in it.
    """
    if not isinstance(text, str):
        hint = ": decode it first" if isinstance(text, bytes | bytearray) else ""
        if hasattr(text, "as_py"):  # an element of an Arrow column
            hint = ": pass to_pylist() of the column"
        raise TextTypeError(f"{name} is {_describe(text)}, expected str{hint}")
    if text.isascii():
        return
    # In slices: a copy of a text of 10 MB would not be small.
    for start in range(0, len(text), 1 << 20):
        try:
            text[start : start + (1 << 20)].encode()
        except UnicodeEncodeError as error:
            at = start + error.start
            raise UsageError(
                f"{name} has a lone surrogate, U+{ord(text[at]):04X}, at character {at}: "
                "it is no text in any encoding; decode with errors='replace'"
            ) from error


def _is_null(value: object) -> bool:
    """Whether a table has nothing there: None, NaN, pandas' NA and NaT."""
    if isinstance(value, str):
        return False
    return (
        value is None
        or (isinstance(value, float) and value != value)  # noqa: PLR0124 - so is NaN alone
        or type(value).__name__ in {"NAType", "NaTType"}
    )


def _nulls(texts: list[Any], first: int) -> str:
    """The message that some texts are null, with their positions."""
    at = [position for position, text in enumerate(texts, first) if _is_null(text)]
    message = f"texts[{at[0]}] is {_describe(texts[at[0] - first])}, expected str"
    if len(at) == 1:
        return message
    others = ", ".join(f"texts[{position}]" for position in at[1:_MOST_NULLS])
    more = f" and {len(at) - _MOST_NULLS} more" if len(at) > _MOST_NULLS else ""
    return f"{message}; so is {others}{more}: drop them, or put a text in their place"


def _describe(value: object) -> str:
    kind = type(value).__name__
    if value is None:
        return "None"
    if isinstance(value, list | tuple):
        inside = ", ".join(type(item).__name__ for item in islice(value, 3))
        return f"a {kind} ({inside}{', …' if len(value) > 3 else ''})"
    if isinstance(value, float | int):
        return f"{kind} ({value})"
    return kind

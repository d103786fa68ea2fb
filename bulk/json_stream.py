"""The elements of a JSON array, one at a time: the array may be longer than memory."""

import json
from collections.abc import Iterator
from typing import IO, Any, Final

from minilm.bulk.records import Place
from minilm.runtime.errors import UsageError

__all__ = ["json_elements"]

_CHUNK_CHARS: Final = 1 << 16
_SPACE: Final = " \t\r\n"
_LONGEST_LITERAL: Final = len("-Infinity")
_NUMBER: Final = "0123456789.eE+-"
_DECODER: Final = json.JSONDecoder()


def json_elements(text: IO[str], source: str) -> Iterator[tuple[Place, Any]]:
    """Parse an array of a text stream.

    Args:
        text: stream that begins with the array.
        source: name of the input, for messages.

    Raises:
        UsageError: not a JSON array; names the element at fault.
    """
    reader = _Reader(text)
    if reader.next_char() != "[":
        raise UsageError(f"{source} holds no JSON array", option="--input")
    reader.skip()
    number = 0
    while (char := reader.next_char()) != "]":
        number += 1
        place = Place(source, "element", number)
        if number > 1:
            if char != ",":
                raise place.error("not JSON: expected a comma or the end of the array before it")
            reader.skip()
            reader.next_char()
        yield place, reader.value(place)
    reader.skip()
    if reader.next_char():
        raise UsageError(f"{source}: not JSON: more text behind the array", option="--input")


class _Reader:
    """A text stream with the position of a parser in it."""

    def __init__(self, text: IO[str]) -> None:
        self._text = text
        self._buffer = ""
        self._position = 0
        self._ended = False

    def next_char(self) -> str:
        """The next character that is no space, which is not consumed; "" at the end."""
        while True:
            while self._position < len(self._buffer):
                char = self._buffer[self._position]
                if char not in _SPACE:
                    return char
                self._position += 1
            if self._ended:
                return ""
            self._fill()

    def skip(self) -> None:
        """Consume a character."""
        self._position += 1

    def value(self, place: Place) -> Any:
        """Consume a JSON value.

        Raises:
            UsageError: there is none.
        """
        while True:
            try:
                value, end = _DECODER.raw_decode(self._buffer, self._position)
            except RecursionError:
                raise place.error("not JSON that can be read: nested too deeply") from None
            except json.JSONDecodeError as error:
                if self._ended or not self._may_be_cut(error):
                    raise place.error(f"not JSON: {error.msg}") from None
            else:
                following = self._buffer[end : end + 1]
                if self._ended or (following and following not in _NUMBER):  # else it may go on
                    self._position = end
                    return value
            self._fill()

    def _may_be_cut(self, error: json.JSONDecodeError) -> bool:
        """Whether more text may mend the error; if not, the rest need not be read to report it."""
        near_end = error.pos >= len(self._buffer) - _LONGEST_LITERAL
        return near_end or error.msg.startswith("Unterminated string")

    def _fill(self) -> None:
        """Read as much again as is there: the cost of a long value is linear in its length."""
        left = self._buffer[self._position :]
        more = self._text.read(max(_CHUNK_CHARS, len(left)))
        self._buffer, self._position = left + more, 0
        self._ended = not more

"""A small declared schema for JSON data: types, ranges, patterns, and what a misfit is told.

A check takes a value and where it stands ("variants[2].opset"), and gives the parsed value.
"""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, Final, TypeVar

__all__ = [
    "Check",
    "MisfitError",
    "UnknownFieldError",
    "either",
    "flag",
    "list_of",
    "map_of",
    "matching",
    "one_of",
    "optional",
    "parse_json",
    "record",
    "relative_path",
    "shown",
    "text",
    "whole_number",
]

_T = TypeVar("_T")
Check = Callable[[object, str], _T]

_SHOWN_CHARS: Final = 60
_TEXT_CHARS: Final = 1000
_LIST_ITEMS: Final = 100_000


class MisfitError(ValueError):
    """A value does not follow the schema: the message says where, and what was expected."""

    def __init__(self, where: str, found: object, expected: str) -> None:
        super().__init__(f"{where} is {shown(found)}, expected {expected}")


class UnknownFieldError(MisfitError):
    """An object has a field that the schema does not know."""

    def __init__(self, where: str) -> None:
        ValueError.__init__(self, f"{where} is an unknown field")


def shown(value: object) -> str:
    """A value as a message shows it: ASCII, and not all of a long one."""
    try:
        whole = ascii(value)
    except RecursionError:
        return "nested too deeply to be shown"
    return whole if len(whole) <= _SHOWN_CHARS else f"{whole[:_SHOWN_CHARS]}…"


def relative_path(value: object, where: str) -> str:
    """A POSIX path that stays inside the folder it is relative to."""
    path = text(value, where)
    pure = PurePosixPath(path)
    unsafe = (
        path == "."
        or pure.is_absolute()
        or ".." in pure.parts
        or "\\" in path
        or ":" in path
        or pure.as_posix() != path
    )
    if unsafe:
        raise MisfitError(where, path, "a path inside a bundle")
    return path


def parse_json(content: bytes) -> Any:
    """Parse JSON strictly: UTF-8, no NaN, no field twice in an object.

    Raises:
        ValueError: It is none, or too deeply nested.
    """
    try:
        return json.loads(
            content.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def text(value: object, where: str) -> str:
    """A text of at most 1,000 printable characters: no line break, no control character."""
    if isinstance(value, str) and value.isprintable() and 0 < len(value) <= _TEXT_CHARS:
        return value
    raise MisfitError(where, value, "a text of printable characters")


def matching(pattern: str, expected: str) -> Check[str]:
    """Texts that a regular expression matches from end to end; `expected` describes them."""
    compiled = re.compile(pattern, re.ASCII)

    def check(value: object, where: str) -> str:
        if isinstance(value, str) and len(value) <= _TEXT_CHARS and compiled.fullmatch(value):
            return value
        raise MisfitError(where, value, expected)

    return check


def one_of(*choices: str) -> Check[str]:
    """One of some texts."""
    expected = " or ".join(map(repr, choices))

    def check(value: object, where: str) -> str:
        if isinstance(value, str) and value in choices:
            return value
        raise MisfitError(where, value, expected)

    return check


def whole_number(least: int, most: int) -> Check[int]:
    """Whole numbers from `least` to `most`; true and false are none."""

    def check(value: object, where: str) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        raise MisfitError(where, value, f"a whole number from {least} to {most}")

    return check


def flag(value: object, where: str) -> bool:
    """True or false."""
    if isinstance(value, bool):
        return value
    raise MisfitError(where, value, "true or false")


def optional(check: Check[_T]) -> Check[_T | None]:
    """Null, or what `check` takes."""
    return lambda value, where: None if value is None else check(value, where)


def either(first: Check[_T], second: Check[_T]) -> Check[_T]:
    """Texts by the first check, other values by the second."""
    return lambda value, where: (first if isinstance(value, str) else second)(value, where)


def list_of(check: Check[_T], *, least: int = 0) -> Check[tuple[_T, ...]]:
    """Lists of what `check` takes, with at least `least` items."""

    def check_list(value: object, where: str) -> tuple[_T, ...]:
        if not isinstance(value, list) or not least <= len(value) <= _LIST_ITEMS:
            raise MisfitError(where, value, f"a list of at least {least} items")
        return tuple(check(item, f"{where}[{index}]") for index, item in enumerate(value))

    return check_list


def map_of(check: Check[_T]) -> Check[dict[str, _T]]:
    """Objects with any field names, whose values `check` takes."""

    def check_map(value: object, where: str) -> dict[str, _T]:
        fields = _object(value, where)
        return {
            text(name, f"a name in {where}"): check(item, f"{where}[{name!r}]")
            for name, item in fields.items()
        }

    return check_map


def record(
    kind: Callable[..., _T],
    fields: Mapping[str, Check[Any]],
    *,
    absent: Mapping[str, object] = MappingProxyType({}),
) -> Check[_T]:
    """Objects with exactly the given fields, as arguments of `kind`.

    Args:
        kind: Function that takes the fields.
        fields: Check of each field.
        absent: Values of the fields that may be missing, as older files lack them.
    """

    def check_record(value: object, where: str) -> _T:
        found = {**absent, **_object(value, where)}
        at = f"{where}." if where else ""
        for name in fields.keys() - found.keys():
            raise MisfitError(f"{at}{name}", None, "to be there")
        for name in found.keys() - fields.keys():
            raise UnknownFieldError(f"{at}{name}"[:_SHOWN_CHARS])
        return kind(**{name: check(found[name], f"{at}{name}") for name, check in fields.items()})

    return check_record


def _object(value: object, where: str) -> dict[str, object]:
    if isinstance(value, dict):
        return value
    raise MisfitError(where or "the whole", value, "an object")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the field {ascii(twice)[:_SHOWN_CHARS]} is there twice in one object")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")

"""Checks of what callers pass."""

from operator import index
from typing import Literal, get_args

from minilm.runtime.errors import UsageError

__all__ = ["OnLong", "check_on_long", "check_positive", "check_whole"]

OnLong = Literal["truncate", "error", "mean"]
"""What becomes of a text that is longer than the model reads."""


def check_whole(name: str, value: object) -> int:
    """`value` as an int, if it is a whole number; NumPy's are taken, too.

    Raises:
        UsageError: it is not; the message calls it `name`.
    """
    try:
        number = index(value)  # type: ignore[arg-type]  # what has no index raises
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise UsageError(f"{name} must be a whole number, got {value!r}")
    return number


def check_positive(name: str, value: object) -> int:
    """`value` as an int, if it is a whole number above zero; NumPy's are taken, too.

    Raises:
        UsageError: it is not; the message calls it `name`.
    """
    number = check_whole(name, value)
    if number < 1:
        raise UsageError(f"{name} must be greater than 0, got {number}")
    return number


def check_on_long(on_long: str) -> None:
    """Raise `UsageError` unless `on_long` is one of `OnLong`."""
    if on_long not in get_args(OnLong):
        raise UsageError(
            f"unknown on_long {on_long!r}: choose one of {', '.join(get_args(OnLong))}"
        )

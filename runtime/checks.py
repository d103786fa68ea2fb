"""Checks of numbers that callers pass."""

from minilm.runtime.errors import UsageError

__all__ = ["check_positive"]


def check_positive(name: str, value: object) -> int:
    """`value`, if it is a whole number above zero.

    Raises:
        UsageError: it is not; the message calls it `name`.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise UsageError(f"{name} must be a whole number, got {value!r}")
    if value < 1:
        raise UsageError(f"{name} must be greater than 0, got {value}")
    return value

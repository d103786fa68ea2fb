"""The known name that a mistyped one is probably meant for."""

from collections.abc import Iterable

__all__ = ["did_you_mean"]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A phrase for an error message.

    Example:
        >>> did_you_mean("embd", ["build", "embed"])
        " (did you mean 'embed'?)"

    Args:
        name: What was given.
        known: What there is.

    Returns:
        The phrase with a space before it, or an empty string where nothing is near.
    """
    from difflib import get_close_matches  # 3 ms that only an error needs

    folded = name.lower().replace("_", "-")
    near = get_close_matches(folded, list(known), n=1, cutoff=0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""

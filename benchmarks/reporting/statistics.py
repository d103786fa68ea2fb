"""Statistics that the tables show."""

from collections.abc import Sequence
from statistics import median

__all__ = ["half_range", "median_of", "quantile", "ratio"]


def median_of(values: Sequence[float]) -> float | None:
    """The median; None of nothing."""
    return median(values) if values else None


def quantile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least `share` of the values do not pass; None of nothing.

    Raises:
        ValueError: `share` is not over 0 and at most 1.
    """
    if not values:
        return None
    if not 0 < share <= 1:
        raise ValueError(f"a share is over 0 and at most 1, got {share}")
    ordered = sorted(values)
    place = -int(-share * len(ordered) // 1) - 1  # ceiling, counted from 0
    return ordered[place]


def half_range(values: Sequence[float]) -> float | None:
    """Half the distance from the least to the greatest, as a share of the median."""
    centre = median_of(values)
    return (max(values) - min(values)) / 2 / centre if centre else None


def ratio(value: float | None, base: float | None) -> float | None:
    """`value` over `base`; None where one is unknown or the base is 0."""
    return value / base if value is not None and base else None

"""Figures as people read them, the same in every report."""

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from minilm.verify.results import GateResult, Report

__all__ = [
    "format_asked",
    "format_failure",
    "format_figure",
    "format_measured",
    "format_share",
    "format_size",
    "format_threshold",
    "share_used",
    "verdict_of",
]

_SIGNS = {">=": "at least", "<=": "at most", "==": "exactly"}
_SYMBOLS = {">=": "≥", "<=": "≤", "==": "="}
_DECIMALS = 7
_SMALL = 0.001
"""Below it figures are written in powers of ten."""


def format_figure(value: float) -> str:
    """A figure: whole numbers as such, near 1 with seven decimals, small ones in powers of ten."""
    if not math.isfinite(value):
        return str(value)
    if value == int(value):
        return str(int(value))
    if abs(value) < _SMALL:
        return f"{value:.1e}"
    return f"{value:.{_DECIMALS}f}".rstrip("0").rstrip(".")


def format_measured(gate: GateResult) -> str:
    """A gate's figure with the decimals of its threshold, never rounded to the better side.

    So 0.9999999 beside "at least 0.999999" does not become 1, and a figure that fails by a hair
    does not look like its threshold.
    """
    value = gate.figure
    exact = Decimal(repr(gate.threshold)).as_tuple().exponent
    asked = -exact if isinstance(exact, int) and exact < 0 else 0
    if not math.isfinite(value) or not asked or gate.threshold.is_integer():
        return format_figure(value)
    if gate.comparison == "<=" and abs(value) < _SMALL:
        return format_figure(value)
    rounding = ROUND_CEILING if gate.comparison == "<=" else ROUND_FLOOR
    places = max(_DECIMALS, asked)
    rounded = Decimal(repr(value)).quantize(Decimal(1).scaleb(-places), rounding)
    digits = f"{rounded:f}".rstrip("0")
    whole, _, decimals = digits.partition(".")
    return f"{whole}.{decimals.ljust(asked, '0')}"


def format_threshold(gate: GateResult) -> str:
    """ "at least 0.99"."""
    return f"{_SIGNS[gate.comparison]} {format_figure(gate.threshold)}"


def format_asked(gate: GateResult) -> str:
    """ "≥ 0.99"."""
    return f"{_SYMBOLS[gate.comparison]} {format_figure(gate.threshold)}"


def format_failure(gate: GateResult) -> str:
    """ "0.98, asked for at least 0.99"."""
    return f"{format_measured(gate)}, asked for {format_threshold(gate)}"


def share_used(gate: GateResult) -> float | None:
    """The error as a share of the error that the gate allows: 0 is perfect, over 1 has failed.

    Returns:
        None where nothing is allowed, or where the figure is not finite.
    """
    error, allowed = gate.figure, gate.threshold
    if gate.comparison == ">=":
        error, allowed = 1 - error, 1 - allowed
    if gate.comparison == "==" or allowed <= 0 or not math.isfinite(error):
        return None
    return max(0.0, error) / allowed


def format_share(share: float) -> str:
    """ "41 %"; a failure never rounds to 100 %, and an error never to 0 %."""
    percent = 100 * share
    if 0 < percent < 1:
        return "< 1 %"
    if percent > 999:
        return "> 999 %"
    return f"{math.ceil(percent) if percent > 100 else math.floor(percent)} %"


def format_size(size_bytes: int) -> str:
    """Megabytes, one decimal."""
    return f"{size_bytes / 1e6:.1f} MB"


def verdict_of(report: Report) -> str:
    """ "passed all 42 gates" or "failed 2 of 42 gates"."""
    total = sum(len(gates) for _, gates in report.places())
    failed = len(report.failures)
    return f"failed {failed} of {total} gates" if failed else f"passed all {total} gates"

"""Figures as people read them, the same in every report."""

import math

from minilm.verify.report import GateResult

__all__ = ["asked", "number", "size"]

_SIGNS = {">=": "at least", "<=": "at most", "==": "exactly"}


def number(value: float) -> str:
    """A figure: whole numbers as such, near 1 with seven decimals, small ones in powers of ten."""
    if not math.isfinite(value):
        return str(value)
    if value == int(value):
        return str(int(value))
    if abs(value) < 0.001:
        return f"{value:.1e}"
    return f"{value:.7f}".rstrip("0").rstrip(".")


def asked(gate: GateResult) -> str:
    """ "at least 0.99"."""
    return f"{_SIGNS[gate.comparison]} {number(gate.threshold)}"


def size(size_bytes: int) -> str:
    """Megabytes, one decimal."""
    return f"{size_bytes / 1e6:.1f} MB"

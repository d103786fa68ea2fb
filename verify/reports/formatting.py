"""Figures as people read them, the same in every report."""

import math

from minilm.verify.results import GateResult, Report

__all__ = ["format_failure", "format_figure", "format_size", "format_threshold", "verdict_of"]

_SIGNS = {">=": "at least", "<=": "at most", "==": "exactly"}


def format_figure(value: float) -> str:
    """A figure: whole numbers as such, near 1 with seven decimals, small ones in powers of ten."""
    if not math.isfinite(value):
        return str(value)
    if value == int(value):
        return str(int(value))
    if abs(value) < 0.001:
        return f"{value:.1e}"
    return f"{value:.7f}".rstrip("0").rstrip(".")


def format_threshold(gate: GateResult) -> str:
    """ "at least 0.99"."""
    return f"{_SIGNS[gate.comparison]} {format_figure(gate.threshold)}"


def format_failure(gate: GateResult) -> str:
    """ "0.98, asked for at least 0.99"."""
    return f"{format_figure(gate.figure)}, asked for {format_threshold(gate)}"


def format_size(size_bytes: int) -> str:
    """Megabytes, one decimal."""
    return f"{size_bytes / 1e6:.1f} MB"


def verdict_of(report: Report) -> str:
    """ "passed all 42 gates" or "failed 2 of 42 gates"."""
    total = sum(len(gates) for _, gates in report.places())
    failed = len(report.failures)
    return f"failed {failed} of {total} gates" if failed else f"passed all {total} gates"

"""Plots of a report as inline SVG, each with a text that says the same."""

import math
import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from minilm.runtime.display import html_text
from minilm.verify.reports.formatting import format_figure

__all__ = ["histogram", "scatter"]

_WIDTH: Final = 360
_HEIGHT: Final = 190
_LEFT: Final = 44
_RIGHT: Final = 8
_TOP: Final = 14
_BOTTOM: Final = 34
_FLOOR: Final = 1e-9
"""Distances under it are drawn at it: float32 vectors tell no more."""


def histogram(cosines: Sequence[float], threshold: float | None, name: str) -> str:
    """How many texts stand how far from the original.

    Args:
        cosines: to the original.
        threshold: lowest cosine that passes, drawn as a line; None for none.
        name: of the variant, for the identifiers and the text.
    """
    edges = np.arange(-27, 2) / 3
    places = np.clip(np.log10(np.maximum(_distances(cosines), _FLOOR)), edges[0], edges[-1] - 1e-9)
    counts, _ = np.histogram(places, edges)
    top = max(1, int(counts.max()))
    step = _inner() / (len(edges) - 1)
    bars = [
        f'<rect x="{_LEFT + i * step + 0.5:.1f}" y="{_y(count / top):.1f}" '
        f'width="{step - 1:.1f}" height="{count / top * _tall():.1f}" class="bar"/>'
        for i, count in enumerate(counts)
        if count
    ]
    axis = _across(bottom=edges[0], top=edges[-1])
    scale = [_tick_y(0, "0"), _tick_y(1, str(top))]
    said = (
        f"Histogram of the distance to the original for {name}: {len(cosines)} texts, "
        f"mean cosine {format_figure(float(np.mean(cosines)))}, "
        f"lowest {format_figure(float(np.min(cosines)))}."
    )
    line = [] if threshold is None else [_line(threshold, edges[0], edges[-1])]
    parts = [*scale, *axis, *bars, *line, _label("1 - cosine (log scale); texts")]
    return _svg(parts, said, f"histogram-{name}")


def scatter(
    cosines: Sequence[float], tokens: Sequence[int], threshold: float | None, name: str
) -> str:
    """Distance to the original by length of the text.

    Args:
        cosines: to the original.
        tokens: of the same texts.
        threshold: lowest cosine that passes, drawn as a line; None for none.
        name: of the variant, for the identifiers and the text.
    """
    low, high = math.log10(_FLOOR), 1 / 3
    longest = max(2, *tokens)
    points = []
    for distance, count in zip(_distances(cosines), tokens, strict=True):
        x = _LEFT + math.log(max(1, count)) / math.log(longest) * _inner()
        share = (math.log10(max(distance, _FLOOR)) - low) / (high - low)
        points.append(f'<circle cx="{x:.1f}" cy="{_y(share):.1f}" r="2" class="dot"/>')
    ticks = [1, 4, 16, 64, 256, 1024]
    across = [
        f'<text x="{_LEFT + math.log(t) / math.log(longest) * _inner():.1f}" '
        f'y="{_HEIGHT - _BOTTOM + 13}" class="tick mid">{t}</text>'
        for t in ticks
        if t <= longest
    ]
    up = [_tick_y((power - low) / (high - low), f"1e{power}") for power in range(-9, 1, 3)]
    line = []
    if threshold is not None and threshold < 1:
        y = _y((math.log10(1 - threshold) - low) / (high - low))
        line = [f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" class="limit"/>']
    worst = int(np.argmin(cosines))
    said = (
        f"Distance to the original against length for {name}: texts of {min(tokens)} to "
        f"{max(tokens)} tokens; the furthest has {tokens[worst]} tokens and cosine "
        f"{format_figure(float(cosines[worst]))}."
    )
    label = _label("tokens (log scale); up: 1 - cosine")
    return _svg([*up, *across, *points, *line, label], said, f"scatter-{name}")


def _distances(cosines: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.maximum(0.0, 1.0 - np.asarray(cosines, dtype=np.float64))


def _inner() -> float:
    return _WIDTH - _LEFT - _RIGHT


def _tall() -> float:
    return _HEIGHT - _TOP - _BOTTOM


def _y(share: float) -> float:
    return _HEIGHT - _BOTTOM - share * _tall()


def _across(*, bottom: float, top: float) -> list[str]:
    return [
        f'<text x="{_LEFT + (power - bottom) / (top - bottom) * _inner():.1f}" '
        f'y="{_HEIGHT - _BOTTOM + 13}" class="tick mid">1e{power}</text>'
        for power in range(-9, 1, 3)
    ]


def _tick_y(share: float, text: str) -> str:
    return (
        f'<path d="M{_LEFT} {_y(share):.1f}H{_WIDTH - _RIGHT}" class="grid"/>'
        f'<text x="{_LEFT - 4}" y="{_y(share) + 4:.1f}" class="tick end">{text}</text>'
    )


def _line(threshold: float, bottom: float, top: float) -> str:
    if threshold >= 1:
        return ""
    x = _LEFT + (math.log10(1 - threshold) - bottom) / (top - bottom) * _inner()
    return f'<path d="M{x:.1f} {_TOP}V{_HEIGHT - _BOTTOM}" class="limit"/>'


def _label(text: str) -> str:
    return f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 5}" class="tick mid">{text}</text>'


def _svg(parts: Sequence[str], said: str, identifier: str) -> str:
    safe = re.sub(r"[^\w.-]", "-", identifier)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-labelledby="{safe}">'
        f'<title id="{safe}">{html_text(said)}</title>{"".join(parts)}</svg>'
    )

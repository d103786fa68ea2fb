"""Plots of a report as inline SVG, each with a text that says the same."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from minilm.runtime.display import html_text
from minilm.verify.reports.formatting import format_figure
from minilm.verify.reports.overview import lowest_allowed
from minilm.verify.results import TextInfo, VariantReport, quote

__all__ = ["distributions", "scatter"]

_WIDTH: Final = 480
_LEFT: Final = 44
_RIGHT: Final = 12
_BOTTOM: Final = 34
_SCATTER_HEIGHT: Final = 220
_ROW: Final = 62
_BARS: Final = 38
_NAME: Final = 15
_BINS: Final = 60
_NAMED_DOTS: Final = 5
_FLOOR: Final = 1e-9
"""Distances under it are drawn at it: float32 vectors tell no more."""


@dataclass(frozen=True)
class _Axis:
    """A logarithmic axis of distances, over whole powers of ten."""

    low: int
    high: int
    start: float
    length: float

    @classmethod
    def over(cls, values: Sequence[float], start: float, length: float) -> "_Axis":
        """The axis that just holds `values`."""
        logs = [math.log10(max(value, _FLOOR)) for value in values]
        low = math.floor(min(logs, default=-9.0))
        return cls(low, max(low + 1, math.ceil(max(logs, default=0.0))), start, length)

    def at(self, distance: float) -> float:
        """Where a distance is drawn."""
        power = math.log10(max(distance, _FLOOR))
        return self.start + (power - self.low) / (self.high - self.low) * self.length

    def powers(self) -> list[int]:
        """Powers of ten that get a label."""
        return [*range(self.high, self.low - 1, -max(1, (self.high - self.low) // 5))]


def distributions(variants: Sequence[VariantReport]) -> str:
    """How many texts stand how far from the original: a row a variant, one axis for all.

    Args:
        variants: Variants with cosines, in the order of their rows.
    """
    held = [_distances(variant.cosines) for variant in variants]
    limits = [lowest_allowed(variant) for variant in variants]
    lines = [1 - limit for limit in limits if limit is not None and limit < 1]
    inner = _WIDTH - 2 * _RIGHT
    axis = _Axis.over([*(float(d) for row in held for d in row), *lines], _RIGHT, inner)
    edges = np.linspace(axis.low, axis.high, _BINS + 1)
    counts = [np.histogram(np.log10(np.maximum(row, _FLOOR)), edges)[0] for row in held]
    # What stands on the floor is one high bar, and is cut: it would flatten all others.
    top = max(1, *(int(row[1:].max()) for row in counts))
    height = _ROW * len(variants) + _BOTTOM
    grid = [
        f'<path d="M{axis.at(10.0**power):.1f} 0V{height - _BOTTOM}" class="grid"/>'
        f'<text x="{axis.at(10.0**power):.1f}" y="{height - _BOTTOM + 14}" '
        f'class="tick {_aligned(axis, power)}">1e{power}</text>'
        for power in axis.powers()
    ]
    rows = [
        _row(variant, axis, bins / top, (place + 1) * _ROW)
        for place, (variant, bins) in enumerate(zip(variants, counts, strict=True))
    ]
    label = _label("1 - cosine to the original (log scale); further right is worse", height)
    said = "Distance to the original, texts of every variant on one axis. " + " ".join(
        f"{each.name}: {len(each.cosines)} texts, mean cosine {format_figure(each.parity.mean)}, "
        f"lowest {format_figure(each.parity.minimum)}."
        for each in variants
    )
    return _svg([*grid, *rows, label], said, "distributions", height)


def scatter(variant: VariantReport, corpus: Sequence[TextInfo]) -> str:
    """Distance to the original by length of the text; the worst five name their texts.

    Args:
        variant: A variant with cosines.
        corpus: Texts of the same order.
    """
    distances = _distances(variant.cosines)
    limit = lowest_allowed(variant)
    lines = [] if limit is None or limit >= 1 else [1 - limit]
    tall = _SCATTER_HEIGHT - _BOTTOM - 10
    up = _Axis.over([*map(float, distances), *lines], _SCATTER_HEIGHT - _BOTTOM, -tall)
    longest = max(2, *(info.tokens for info in corpus))
    inner = _WIDTH - _LEFT - _RIGHT

    def across(tokens: int) -> float:
        return _LEFT + math.log(max(1, tokens)) / math.log(longest) * inner

    marks = [_tick_y(up.at(10.0**power), f"1e{power}") for power in up.powers()]
    below = _SCATTER_HEIGHT - _BOTTOM + 14
    marks += [
        f'<text x="{across(t):.1f}" y="{below}" class="tick mid">{t}</text>'
        for t in (1, 4, 16, 64, 256, 1024)
        if t <= longest
    ]
    spots = [
        f"{across(info.tokens):.0f} {up.at(distance):.0f}"
        for info, distance in zip(corpus, distances, strict=True)
    ]
    dots = f'<path d="{"".join(f"M{spot}h0" for spot in dict.fromkeys(spots))}" class="dots"/>'
    marks += [
        f'<path d="M{_LEFT} {up.at(line):.1f}H{_WIDTH - _RIGHT}" class="limit"/>' for line in lines
    ]
    order = np.argsort(-distances, kind="stable")[:_NAMED_DOTS]
    named = [_named_dot(spots[i], corpus[i], variant.cosines[i]) for i in order]
    worst = int(order[0])
    said = (
        f"Distance to the original against length for {variant.name}: texts of "
        f"{min(info.tokens for info in corpus)} to {max(info.tokens for info in corpus)} tokens; "
        f"the furthest has {corpus[worst].tokens} tokens and cosine "
        f"{format_figure(float(variant.cosines[worst]))}."
    )
    label = _label("tokens (log scale); up: 1 - cosine (log scale)", _SCATTER_HEIGHT)
    return _svg([*marks, dots, *named, label], said, f"scatter-{variant.name}", _SCATTER_HEIGHT)


def _row(
    variant: VariantReport,
    axis: _Axis,
    bins: "np.ndarray[tuple[int], np.dtype[np.float64]]",
    y: int,
) -> str:
    step = axis.length / len(bins)
    bars = "".join(
        f"M{axis.start + (i + 0.5) * step:.1f} {y}v-{max(0.04, min(1.0, share)) * _BARS:.1f}"
        for i, share in enumerate(bins)
        if share
    )
    parts = [
        f'<path d="M{axis.start} {y}H{axis.start + axis.length}" class="grid"/>',
        f'<path d="{bars}" class="bar" stroke-width="{step - 1:.1f}"/>',
    ]
    name = html_text(_clipped(variant.name))
    parts.append(f'<text x="{axis.start}" y="{y - _ROW + _NAME}" class="name">{name}</text>')
    limit = lowest_allowed(variant)
    if limit is not None and limit < 1:
        x = axis.at(1 - limit)
        text = f"gate {format_figure(limit)}"
        anchored = f'x="{x - 4:.1f}" class="gate end"'
        parts += [
            f'<path d="M{x:.1f} {y - _ROW + 4}V{y}" class="limit"/>',
            f'<text y="{y - _ROW + _NAME}" {anchored}>{text}</text>',
        ]
    return "".join(parts)


def _named_dot(spot: str, info: TextInfo, cosine: float) -> str:
    x, y = spot.split()
    where = f"{info.category}, {info.tokens} tokens"
    said = f"{format_figure(float(cosine))}: {quote(info.text)} ({where})"
    return (
        f'<circle cx="{x}" cy="{y}" r="4" class="worst"><title>{html_text(said)}</title></circle>'
    )


def _distances(cosines: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    found = 1.0 - np.asarray(cosines, dtype=np.float64)
    return np.maximum(0.0, np.nan_to_num(found, nan=2.0))


def _aligned(axis: _Axis, power: int) -> str:
    return "end" if power == axis.high else "" if power == axis.low else "mid"


def _tick_y(y: float, text: str) -> str:
    return (
        f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" class="grid"/>'
        f'<text x="{_LEFT - 4}" y="{y + 4:.1f}" class="tick end">{text}</text>'
    )


def _clipped(name: str, limit: int = 40) -> str:
    return name if len(name) <= limit else f"…{name[1 - limit :]}"


def _label(text: str, height: int) -> str:
    return f'<text x="{_WIDTH / 2}" y="{height - 5}" class="tick mid">{text}</text>'


def _svg(parts: Sequence[str], said: str, identifier: str, height: int) -> str:
    safe = re.sub(r"[^\w.-]", "-", identifier)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-labelledby="{safe}">'
        f'<title id="{safe}">{html_text(said)}</title>{"".join(parts)}</svg>'
    )

"""A run as a picture."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.reporting.results import Results
from benchmarks.reporting.statistics import median_of

__all__ = ["draw"]

_OURS: Final = "#1b6ca8"
_OTHERS: Final = "#b9bec5"


@dataclass(frozen=True)
class _Panel:
    """A chart: attribute of a row, factor to the unit shown, format of a value."""

    title: str
    name: str
    scale: float
    form: str
    less_is_better: bool


_PANELS: Final = (
    _Panel("short texts/s", "short_rates", 1.0, "{:,.0f}", less_is_better=False),
    _Panel("256-token texts/s", "long_rates", 1.0, "{:,.0f}", less_is_better=False),
    _Panel("one short text, ms", "single_seconds", 1e3, "{:.1f}", less_is_better=True),
    _Panel("process start to first vector, s", "start_seconds", 1, "{:.2f}", less_is_better=True),
)


def draw(results: Results, path: Path) -> bool:
    """Write bars of speed and start to `path` (its suffix says the format).

    Returns:
        Whether it was drawn: matplotlib may not be installed.
    """
    try:
        import matplotlib as mpl
    except ImportError:
        return False
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(13, 9), layout="constrained")
    for axis, panel in zip(axes.flat, _PANELS, strict=True):
        _draw_panel(axis, results, panel)
    machine = results.machine
    figure.suptitle(f"{machine.get('processor')}, cores: {machine.get('cores allowed')}")
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return True


def _draw_panel(axis: Any, results: Results, panel: _Panel) -> None:
    values = [(row.entry, median_of(getattr(row, panel.name))) for row in results.measured()]
    bars = [(entry, value * panel.scale) for entry, value in values if value is not None]
    # Bars are drawn upwards: the best comes last.
    bars.sort(key=lambda bar: bar[1], reverse=panel.less_is_better)
    drawn = axis.barh(
        [entry.name for entry, _ in bars],
        [value for _, value in bars],
        color=[_OURS if entry.ours else _OTHERS for entry, _ in bars],
    )
    labels = [panel.form.format(value) for _, value in bars]
    axis.bar_label(drawn, labels=labels, padding=3, fontsize=8)
    axis.set_title(f"{panel.title} (less is better)" if panel.less_is_better else panel.title)
    axis.tick_params(labelsize=8)
    axis.margins(x=0.12)
    axis.spines[["top", "right"]].set_visible(False)

"""Why each layer has its precision: what int8 costs it, and what it costs to run."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from minilm.optimize.calibrator import Calibrator
from minilm.optimize.ir_utils import linears
from minilm.optimize.passes.source_graph import simplified
from minilm.optimize.search.mixed_precision import measure_sensitivity, search_mixed_precision

__all__ = ["LayerReport", "explain_layers", "to_svg"]

_LABEL, _BAR, _ROW, _TOP = 220, 300, 20, 64


@dataclass(frozen=True, kw_only=True)
class LayerReport:
    """One layer of the static int8 graph, or Q, K and V of one together.

    Attributes:
        name: Module path without the common prefix ("layer.0.output.dense").
        mean_loss: 1 - mean cosine to the fp32 graph with this layer alone in int8.
        worst_loss: 1 - least of these cosines.
        cost: Share of the encoder's multiplications in linear layers, 0 to 1.
        precision: "int8" or "float", as the search chose.
    """

    name: str
    mean_loss: float
    worst_loss: float
    cost: float
    precision: str


def explain_layers(calibration: Calibrator) -> tuple[LayerReport, ...]:
    """Measure every layer, the most damaging first.

    Raises:
        BuildFailed: no plan reaches the gate; names the layers tried and the best figures.
    """
    plan = search_mixed_precision(calibration)
    graph = simplified(calibration.exported).graph
    sizes = {linear.name: linear.weight.size for linear in linears(graph)}
    total = sum(sizes.values())
    return tuple(
        LayerReport(
            name=_short(each.names),
            mean_loss=each.mean_loss,
            worst_loss=each.worst_loss,
            cost=sum(sizes[name] for name in each.names) / total,
            precision="float" if set(each.names) <= plan.float_layers else "int8",
        )
        for each in measure_sensitivity(calibration)
    )


def to_svg(layers: Sequence[LayerReport]) -> str:
    """Bars of damage and cost, one row a layer, as a picture that needs no other file."""
    height = _TOP + _ROW * len(layers) + 16
    width = _LABEL + 2 * _BAR + 90
    most = max((layer.mean_loss for layer in layers), default=0) or 1
    dear = max((layer.cost for layer in layers), default=0) or 1
    rows = [_row(index, layer, most, dear) for index, layer in enumerate(layers)]
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
                'role="img" aria-labelledby="title" font-family="system-ui, sans-serif" '
                'font-size="12">'
            ),
            (
                '<title id="title">Damage of static int8 and cost of each layer; orange layers '
                "stay in floating point</title>"
            ),
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
            '<text x="8" y="24" font-size="16">What int8 costs each layer</text>',
            f'<text x="{_LABEL}" y="50">damage: 1 - mean cosine, that layer alone in int8</text>',
            f'<text x="{_LABEL + _BAR + 70}" y="50">share of the multiplications</text>',
            *rows,
            "</svg>",
            "",
        ]
    )


def _row(index: int, layer: LayerReport, most: float, dear: float) -> str:
    y = _TOP + _ROW * index
    color = "#d9730d" if layer.precision == "float" else "#2f6f9f"
    damage, cost = _BAR * layer.mean_loss / most * 0.8, _BAR * layer.cost / dear * 0.5
    second = _LABEL + _BAR + 70
    return (
        f'<text x="{_LABEL - 8}" y="{y + 12}" text-anchor="end">{escape(layer.name)}</text>'
        f'<rect x="{_LABEL}" y="{y + 2}" width="{damage:.1f}" height="12" fill="{color}"/>'
        f'<text x="{_LABEL + damage + 4:.1f}" y="{y + 12}">{layer.mean_loss:.6f} '
        f"{layer.precision}</text>"
        f'<rect x="{second}" y="{y + 2}" width="{cost:.1f}" height="12" fill="#8a8f98"/>'
        f'<text x="{second + cost + 4:.1f}" y="{y + 12}">{layer.cost:.1%}</text>'
    )


def _short(names: Sequence[str]) -> str:
    name = names[0].removeprefix("encoder.")
    return name.replace(".query", ".qkv") if len(names) > 1 else name

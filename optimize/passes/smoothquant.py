"""Outlier channels move from activations, which are rounded row by row, into the weights."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from minilm.optimize.calibration.statistics import ActivationStatistics
from minilm.optimize.ir_utils import (
    Builder,
    Linear,
    array_of,
    consumers,
    linears,
    nodes_of,
    only_consumer,
)
from minilm.optimize.passes.base import Changes

__all__ = ["SmoothLayerNorm", "Smoothing", "fit_smoothing"]


@dataclass(frozen=True, kw_only=True)
class Smoothing:
    """A change of a layer's input from x to (x - shift) / scale.

    Attributes:
        scale: float32, (inputs,), powers of two.
        shift: float32, (inputs,).
    """

    scale: npt.NDArray[np.float32]
    shift: npt.NDArray[np.float32]

    def gram(self, seen: ActivationStatistics) -> npt.NDArray[np.float64]:
        """The sum of y yᵀ over the smoothed inputs y: float64, (inputs, inputs)."""
        return seen.affine_gram(self.scale, self.shift)


def fit_smoothing(
    graph: ir.Graph,
    statistics: Mapping[str, ActivationStatistics],
    *,
    alpha: float,
    shift: bool = True,
) -> Mapping[str, Smoothing]:
    """Choose a smoothing for each linear layer that reads a LayerNormalization.

    The scales are SmoothQuant's (Xiao et al., arXiv:2211.10438, equation 4),

        s = max|x| ** alpha / max|W| ** (1 - alpha),

    divided by their geometric mean and snapped to powers of two, which are exact: no product
    rounds. The shift is the middle of the channel's range (Wei et al., Outlier Suppression+,
    arXiv:2304.09145, equation 4).

    Args:
        graph: The graph with its linear layers.
        statistics: Of the layers' inputs, by the layer's name.
        alpha: 0 leaves the activations as they are, 1 makes all channels equally wide.
        shift: Whether to shift too.

    Returns:
        Smoothings by the layer's name; layers with one input (Q, K and V) share theirs.
    """
    fitted: dict[str, Smoothing] = {}
    for after in _layers_after_norms(graph).values():
        seen = statistics[after[0].name]
        middle = (seen.low + seen.high) * (0.5 * shift)
        reach = np.maximum(seen.high - middle, middle - seen.low)
        joined = np.concatenate([linear.weight for linear in after], axis=1)
        weight = np.abs(joined).max(axis=1).astype(np.float64)
        with np.errstate(divide="ignore"):
            log = alpha * np.log2(reach) - (1 - alpha) * np.log2(weight)
        log = np.where(np.isfinite(log), log, 0.0)
        octaves = np.rint(log - log.mean()).astype(int)
        smoothing = Smoothing(
            scale=np.ldexp(np.float32(1), octaves).astype(np.float32),
            shift=middle.astype(np.float32),
        )
        fitted.update((linear.name, smoothing) for linear in after)
    return fitted


@dataclass(frozen=True, kw_only=True)
class SmoothLayerNorm:
    """Scale and shift what LayerNormalization gives to the linear layers after it.

    With s and z a channel's scale and shift, the norm's own weights give (x - z) / s, the weights
    take s and the bias takes z W, and the residual path gets x back as x' s + z.

    Attributes:
        smoothings: By the layer's name, as `fit_smoothing` gives them.
        norms: Number of LayerNormalizations that feed linear layers.
    """

    smoothings: Mapping[str, Smoothing]
    norms: int

    @property
    def promises(self) -> Mapping[str, int]:
        return {"norm": self.norms}

    def __call__(self, model: ir.Model) -> Changes:
        graph = model.graph
        found = _layers_after_norms(graph)
        for norm, after in found.items():
            self._smooth(graph, norm, after)
        return Changes(model=model, counts={"norm": len(found)})

    def _smooth(self, graph: ir.Graph, norm: ir.Node, after: list[Linear]) -> None:
        smoothing = self.smoothings[after[0].name]
        scale, shift = smoothing.scale, smoothing.shift
        _restore_for_others(graph, norm, after, smoothing)
        for linear in after:
            bias = shift.astype(np.float64) @ linear.weight.astype(np.float64)
            _change(graph, linear.matmul, 1, linear.weight * scale[:, None])
            _add_to_bias(graph, linear, bias)
        _change(graph, norm, 1, array_of(norm.inputs[1]) / scale)
        _change(graph, norm, 2, (array_of(norm.inputs[2]) - shift) / scale)


def _layers_after_norms(graph: ir.Graph) -> dict[ir.Node, list[Linear]]:
    readers: dict[ir.Value, list[Linear]] = {}
    for linear in linears(graph):
        readers.setdefault(linear.input, []).append(linear)
    norms = nodes_of(graph, "LayerNormalization")
    return {norm: readers[value] for norm in norms if (value := _given(norm)) in readers}


def _given(norm: ir.Node) -> ir.Value:
    """What the layers after `norm` read: its output, or that with its axes flattened."""
    reader = only_consumer(norm.outputs[0])
    reshaped = reader is not None and reader.op_type == "Reshape"
    return reader.outputs[0] if reader is not None and reshaped else norm.outputs[0]


def _restore_for_others(
    graph: ir.Graph, norm: ir.Node, after: list[Linear], smoothing: Smoothing
) -> None:
    """Give all readers but the linear layers what they had before."""
    value = _given(norm)
    products = {linear.matmul for linear in after}
    others = [(node, index) for node, index in value.uses() if node not in products]
    if not others:
        return
    first = min((node for node, _ in others), key=list(graph).index)
    at = Builder(graph, first, f"{(norm.name or '').rsplit('.', 1)[0]}.residual")
    restored = at.op("Mul", value, at.const("scale", smoothing.scale), name="scale")
    if smoothing.shift.any():
        restored = at.op("Add", restored, at.const("middle", smoothing.shift), name="shift")
    for node, index in others:
        node.replace_input_with(index, restored)


def _add_to_bias(graph: ir.Graph, linear: Linear, extra: npt.NDArray[np.float64]) -> None:
    if not extra.any():
        return
    reader = linear.add or consumers(linear.matmul.outputs[0])[0]
    bias = next(i for i, v in enumerate(reader.inputs) if v is not None and v.is_initializer())
    _change(graph, reader, bias, array_of(reader.inputs[bias]) + extra)


def _change(graph: ir.Graph, node: ir.Node, index: int, array: npt.NDArray[np.floating]) -> None:
    """Give `node` another constant; others that read the old one keep it."""
    old = node.inputs[index]
    assert old is not None
    name = f"{old.name}.{node.name}" if len(consumers(old)) > 1 else old.name
    tensor = ir.tensor(array.astype(np.float32), name=name)
    if name == old.name:
        old.const_value = tensor
    else:
        value = ir.Value(name=name, const_value=tensor)
        graph.register_initializer(value)
        node.replace_input_with(index, value)

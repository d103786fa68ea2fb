"""Outlier channels move from activations, which are rounded row by row, into the weights."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from minilm.optimize.calibration import Statistics
from minilm.optimize.passes.graph import (
    Builder,
    Linear,
    array_of,
    consumers,
    is_gelu,
    linears,
    nodes_of,
    only_consumer,
)
from minilm.optimize.passes.infra import Changes

__all__ = ["Smooth", "SmoothGelu"]


@dataclass(frozen=True, kw_only=True)
class Smooth:
    """Scale and shift what LayerNormalization gives to the linear layers after it.

    With s and z a channel's scale and middle, the norm's own weights give (x - z) / s, the weights
    take s and the bias takes z W, and the residual path gets x back as x' s + z. The scales are
    SmoothQuant's (Xiao et al., arXiv:2211.10438, equation 4),

        s = max|x| ** alpha / max|W| ** (1 - alpha),

    divided by their geometric mean and snapped to steps of an octave. Powers of two are exact: no
    product rounds. The shift is the middle of the channel's range (Wei et al., Outlier
    Suppression+, arXiv:2304.09145, equation 4).

    Attributes:
        statistics: of the inputs of the linear layers, by the value's name.
        norms: how many LayerNormalizations feed linear layers.
        alpha: 0 leaves the activations as they are, 1 makes all channels equally wide.
        shift: whether to shift too.
        steps: of a scale to its double; finer ones fit better, 1 is exact.
    """

    statistics: Mapping[str, Statistics]
    norms: int
    alpha: float = 0.5
    shift: bool = True
    steps: int = 1

    @property
    def promises(self) -> Mapping[str, int]:
        return {"norm": self.norms}

    def __call__(self, model: ir.Model) -> Changes:
        graph = model.graph
        fed: dict[ir.Value, list[Linear]] = {}
        for linear in linears(graph):
            fed.setdefault(linear.input, []).append(linear)
        counts = {"norm": 0}
        for norm in nodes_of(graph, "LayerNormalization"):
            value = _given(norm)
            if value in fed:
                self._smooth(graph, norm, fed[value])
                counts["norm"] += 1
        return Changes(model=model, counts=counts)

    def _smooth(self, graph: ir.Graph, norm: ir.Node, after: list[Linear]) -> None:
        value = _given(norm)
        seen = self.statistics[value.name or ""]
        middle = (seen.low + seen.high) * np.float32(0.5 * self.shift)
        scale = _scale(seen, middle, after, alpha=self.alpha, steps=self.steps)
        _restore_for_others(graph, norm, after, scale, middle)
        for linear in after:
            _take(graph, linear, scale, middle)
        _change(graph, norm, 1, array_of(norm.inputs[1]) / scale)
        _change(graph, norm, 2, (array_of(norm.inputs[2]) - middle) / scale)


@dataclass(frozen=True, kw_only=True)
class SmoothGelu:
    """Scale and shift what GELU gives to the linear layer after it.

    The same as `Smooth` does, but that GELU has no weights to take part in it: a product and a sum
    stand after it, and run within the layer before it where operators are fused. What is wide after
    GELU is few channels, the same ones for every text: with one scale for all of them int8 in these
    layers costs ten times what it does with this.

    Attributes:
        statistics: of the inputs of the linear layers, by the value's name.
        gelus: how many GELUs feed linear layers that are not left out.
        alpha: as in `Smooth`.
        steps: as in `Smooth`.
        left_out: names of layers that stay in floating point. A shift would cost them digits: what
            is small after GELU would be written as a difference from the middle, in bf16.
    """

    statistics: Mapping[str, Statistics]
    gelus: int
    alpha: float
    steps: int = 1
    left_out: frozenset[str] = frozenset()

    @property
    def promises(self) -> Mapping[str, int]:
        return {"gelu": self.gelus}

    def __call__(self, model: ir.Model) -> Changes:
        graph = model.graph
        after_gelu = [
            linear
            for linear in linears(graph)
            if is_gelu(linear.input) and linear.name not in self.left_out
        ]
        for linear in after_gelu:
            seen = self.statistics[linear.input.name or ""]
            middle = (seen.low + seen.high) * np.float32(0.5)
            scale = _scale(seen, middle, [linear], alpha=self.alpha, steps=self.steps)
            at = Builder(graph, linear.matmul, f"{linear.name}.smooth")
            scaled = at.op("Mul", linear.input, at.const("factor", 1 / scale), name="scaled")
            shifted = at.op("Add", scaled, at.const("shift", -middle / scale), name="shifted")
            _take(graph, linear, scale, middle)
            linear.matmul.replace_input_with(0, shifted)
        return Changes(model=model, counts={"gelu": len(after_gelu)})


def _given(norm: ir.Node) -> ir.Value:
    """What the layers after `norm` read: its output, or that with its axes flattened."""
    reader = only_consumer(norm.outputs[0])
    reshaped = reader is not None and reader.op_type == "Reshape"
    return reader.outputs[0] if reader is not None and reshaped else norm.outputs[0]


def _scale(
    seen: Statistics,
    middle: npt.NDArray[np.float32],
    after: list[Linear],
    *,
    alpha: float,
    steps: int,
) -> npt.NDArray[np.float32]:
    """A scale for each channel: float32, (inputs,)."""
    reach = np.maximum(seen.high - middle, middle - seen.low)
    weight = np.abs(np.concatenate([linear.weight for linear in after], axis=1)).max(axis=1)
    with np.errstate(divide="ignore"):
        log = alpha * np.log2(reach) - (1 - alpha) * np.log2(weight)
    log = np.where(np.isfinite(log), log, 0.0)
    snapped = np.rint((log - log.mean()) * steps) / steps
    scale: npt.NDArray[np.float32] = np.exp2(snapped).astype(np.float32)
    return scale


def _take(
    graph: ir.Graph,
    linear: Linear,
    scale: npt.NDArray[np.float32],
    middle: npt.NDArray[np.float32],
) -> None:
    """Let `linear` read (x - middle) / scale in place of x."""
    bias = (middle.astype(np.float64) @ linear.weight).astype(np.float32)
    _change(graph, linear.matmul, 1, linear.weight * scale[:, None])
    _add_to_bias(graph, linear, bias)


def _restore_for_others(
    graph: ir.Graph,
    norm: ir.Node,
    after: list[Linear],
    scale: npt.NDArray[np.float32],
    middle: npt.NDArray[np.float32],
) -> None:
    """Give all readers but the linear layers what they had before."""
    value = _given(norm)
    products = {linear.matmul for linear in after}
    others = [(node, index) for node, index in value.uses() if node not in products]
    if not others:
        return
    first = min((node for node, _ in others), key=list(graph).index)
    at = Builder(graph, first, f"{(norm.name or '').rsplit('.', 1)[0]}.residual")
    restored = at.op("Mul", value, at.const("scale", scale), name="scale")
    if middle.any():
        restored = at.op("Add", restored, at.const("middle", middle), name="shift")
    for node, index in others:
        node.replace_input_with(index, restored)


def _add_to_bias(graph: ir.Graph, linear: Linear, extra: npt.NDArray[np.float32]) -> None:
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

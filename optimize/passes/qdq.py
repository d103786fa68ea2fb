"""Static int8 as TensorRT and the CUDA provider read it: QuantizeLinear, DequantizeLinear, s8."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir
from minilm.optimize.passes.graph import Builder, Linear, linears
from minilm.optimize.passes.infra import Changes
from minilm.optimize.rounding import Rounded

__all__ = ["QuantizeStatic"]


@dataclass(frozen=True, kw_only=True)
class QuantizeStatic:
    """Put a Q/DQ pair before each linear layer's input, and int8 codes with a DQ for its weight.

    Symmetric throughout, weights with a scale per output channel, activations with one scale that
    calibration fixed (Nvidia, TensorRT Developer Guide, "Explicit Quantization").

    Attributes:
        linears: how many layers of the graph are linear.
        peaks: greatest |x| to represent, by the name of the layer's input.
        round_weight: gives the int8 codes and scales of a layer's weight.
        left_out: names of layers that stay in floating point.
    """

    linears: int
    peaks: Mapping[str, float]
    round_weight: Callable[[Linear], Rounded]
    left_out: frozenset[str] = field(default_factory=frozenset)

    @property
    def promises(self) -> Mapping[str, int]:
        return {"linear": self.linears - len(self.left_out)}

    def __call__(self, model: ir.Model) -> Changes:
        graph = model.graph
        pairs: dict[ir.Value, ir.Value] = {}
        count = 0
        for linear in list(linears(graph)):
            if linear.name in self.left_out:
                continue
            value = linear.input
            if value not in pairs:
                pairs[value] = self._pair(graph, linear)
            rounded = self.round_weight(linear)
            at = Builder(graph, linear.matmul, linear.name)
            weight = at.op(
                "DequantizeLinear",
                at.const("weight_int8", rounded.codes),
                at.const("weight_scale", rounded.scale),
                at.const("weight_zero", np.zeros(rounded.scale.shape, np.int8)),
                name="weight_dequantize",
                axis=1,
            )
            linear.matmul.replace_input_with(0, pairs[value])
            linear.matmul.replace_input_with(1, weight)
            count += 1
        return Changes(model=model, counts={"linear": count})

    def _pair(self, graph: ir.Graph, linear: Linear) -> ir.Value:
        at = Builder(graph, linear.matmul, f"{linear.name}.input")
        scale = np.float32(self.peaks[linear.input.name or ""] / 127)
        constants = at.const("scale", np.array(scale)), at.const("zero", np.array(0, np.int8))
        codes = at.op("QuantizeLinear", linear.input, *constants, name="quantize")
        return at.op("DequantizeLinear", codes, *constants, name="dequantize")

"""Static int8 as TensorRT and the CUDA provider read it: QuantizeLinear, DequantizeLinear, s8."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir
from minilm.optimize.calibration.gptq import QuantizedWeight
from minilm.optimize.ir_utils import Builder, Linear, linears
from minilm.optimize.passes.base import Changes

__all__ = ["InsertQdq", "QuantizeWeights"]

RoundWeight = Callable[[Linear], QuantizedWeight]


@dataclass(frozen=True, kw_only=True)
class InsertQdq:
    """Put a Q/DQ pair before each linear layer's input, and int8 codes with a DQ for its weight.

    Symmetric throughout, weights with a scale per output channel, activations with one scale that
    calibration fixed (Nvidia, TensorRT Developer Guide, "Explicit Quantization").

    Attributes:
        linears: Number of linear layers in the graph.
        peaks: Greatest |x| to represent, by the layer's name.
        round_weight: Gives the int8 codes and scales of a layer's weight.
        float_layers: Names of layers that stay in floating point.
    """

    linears: int
    peaks: Mapping[str, float]
    round_weight: RoundWeight
    float_layers: frozenset[str] = field(default_factory=frozenset)

    @property
    def promises(self) -> Mapping[str, int]:
        return {"linear": self.linears - len(self.float_layers)}

    def __call__(self, model: ir.Model) -> Changes:
        graph = model.graph
        pairs: dict[ir.Value, ir.Value] = {}
        count = 0
        for linear in list(linears(graph)):
            if linear.name in self.float_layers:
                continue
            value = linear.input
            if value not in pairs:
                pairs[value] = self._pair(graph, linear)
            _quantize_weight(graph, linear, self.round_weight(linear))
            linear.matmul.replace_input_with(0, pairs[value])
            count += 1
        return Changes(model=model, counts={"linear": count})

    def _pair(self, graph: ir.Graph, linear: Linear) -> ir.Value:
        at = Builder(graph, linear.matmul, f"{linear.name}.input")
        scale = np.float32(self.peaks[linear.name] / 127)
        constants = at.const("scale", np.array(scale)), at.const("zero", np.array(0, np.int8))
        codes = at.op("QuantizeLinear", linear.input, *constants, name="quantize")
        return at.op("DequantizeLinear", codes, *constants, name="dequantize")


@dataclass(frozen=True, kw_only=True)
class QuantizeWeights:
    """Store the weights of all linear layers as int8 codes with a DQ; activations stay as they are.

    Attributes:
        linears: Number of linear layers in the graph.
        round_weight: Gives the int8 codes and scales of a layer's weight.
    """

    linears: int
    round_weight: RoundWeight

    @property
    def promises(self) -> Mapping[str, int]:
        return {"linear": self.linears}

    def __call__(self, model: ir.Model) -> Changes:
        found = list(linears(model.graph))
        for linear in found:
            _quantize_weight(model.graph, linear, self.round_weight(linear))
        return Changes(model=model, counts={"linear": len(found)})


def _quantize_weight(graph: ir.Graph, linear: Linear, rounded: QuantizedWeight) -> None:
    at = Builder(graph, linear.matmul, linear.name)
    weight = at.op(
        "DequantizeLinear",
        at.const("weight_int8", rounded.codes),
        at.const("weight_scale", rounded.scale),
        at.const("weight_zero", np.zeros(rounded.scale.shape, np.int8)),
        name="weight_dequantize",
        axis=1,
    )
    linear.matmul.replace_input_with(1, weight)

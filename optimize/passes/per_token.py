"""int8 products whose activations have a scale of their own for every token.

    codes = QuantizeLinear(x, scale of each row)       u8
    y     = MatMulIntegerToFloat(codes, int8 weight)   int32 sums x row scale x column scale

A text's vector then does not depend on what else is in its batch, which it does under
`DynamicQuantizeLinear`, whose one scale is the whole tensor's. Weights are s8 and activations u8:
the pair that ONNX Runtime's VNNI and AMX kernels take (onnxruntime, mlas/lib/qgemm.h).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx_ir as ir
from minilm.optimize.calibration.gptq import QuantizedWeight
from minilm.optimize.ir_utils import (
    MICROSOFT,
    Builder,
    Linear,
    is_gelu,
    linears,
    replace_value,
)
from minilm.optimize.passes.base import Changes

__all__ = ["QuantizeDynamicPerToken"]

_GELU_FLOOR: Final = 0.17
"""GELU's minimum is -0.16997 (Hendrycks and Gimpel, arXiv:1606.08415), at x = -0.7518."""
_GELU_ZERO: Final = 32
"""Zero point of the code for GELU's outputs: they use 0 to 255 with 32 codes under zero."""
_ZERO: Final = 128
"""Zero point of the symmetric code: u8 whose middle stands for zero."""
_SMALLEST: Final = 1e-12
"""Floor of a row's peak, so that a row of zeros divides by no zero."""


@dataclass(frozen=True, kw_only=True)
class QuantizeDynamicPerToken:
    """Make every linear layer of the encoder an int8 product with a scale per token.

    Attributes:
        layers: of the encoder; each has four products (Q, K and V are one).
        round_weight: gives the int8 codes and scales of a layer's weight.
    """

    layers: int
    round_weight: Callable[[Linear], QuantizedWeight]

    @property
    def promises(self) -> Mapping[str, int]:
        return {"linear": 4 * self.layers, "after Gelu": self.layers}

    def __call__(self, model: ir.Model) -> Changes:
        graph = model.graph
        counts = {"linear": 0, "after Gelu": 0}
        for linear in list(linears(graph)):
            gelu = is_gelu(linear.input)
            at = Builder(graph, linear.matmul, f"{linear.name}.int8")
            codes, scale, zero = _after_gelu(at, linear) if gelu else _symmetric(at, linear)
            rounded = self.round_weight(linear)
            product = at.op(
                "MatMulIntegerToFloat",
                codes,
                at.const("weight", rounded.codes),
                scale,
                at.const("weight_scale", rounded.scale),
                zero,
                name="MatMul",
                domain=MICROSOFT,
            )
            # The operator's own bias input is no use: it is multiplied by the row's scale with the
            # sums (matmul_integer_to_float, ONNX Runtime 1.32). The addition stays where it was.
            replace_value(graph, linear.matmul.outputs[0], product)
            graph.remove(linear.matmul, safe=True)
            counts["linear"] += 1
            counts["after Gelu"] += int(gelu)
        return Changes(model=model, counts=counts)


def _symmetric(at: Builder, linear: Linear) -> tuple[ir.Value, ir.Value, ir.Value]:
    """Codes around 128, scale = max|row| / 127."""
    axis = at.shared("quantize.axis", np.array([-1]))
    high = at.op("ReduceMax", linear.input, axis, name="high", keepdims=0)
    low = at.op("ReduceMin", linear.input, axis, name="low", keepdims=0)
    peak = at.op(
        "Max",
        high,
        at.op("Neg", low, name="minus_low"),
        at.shared("quantize.smallest", np.array(_SMALLEST, np.float32)),
        name="peak",
    )
    step = at.shared("quantize.step", np.array(1 / 127, np.float32))
    return _codes(at, linear, at.op("Mul", peak, step, name="scale"), _ZERO)


def _after_gelu(at: Builder, linear: Linear) -> tuple[ir.Value, ir.Value, ir.Value]:
    """Codes from 0 to 255 with zero at 32, scale = max(row) / 223 and at least 0.17 / 32."""
    axis = at.shared("quantize.axis", np.array([-1]))
    high = at.op("ReduceMax", linear.input, axis, name="high", keepdims=0)
    floor = np.array(_GELU_FLOOR / _GELU_ZERO * (255 - _GELU_ZERO), np.float32)
    peak = at.op("Max", high, at.shared("quantize.gelu_floor", floor), name="peak")
    step = at.shared("quantize.gelu_step", np.array(1 / (255 - _GELU_ZERO), np.float32))
    return _codes(at, linear, at.op("Mul", peak, step, name="scale"), _GELU_ZERO)


def _codes(
    at: Builder, linear: Linear, scale: ir.Value, zero: int
) -> tuple[ir.Value, ir.Value, ir.Value]:
    # QuantizeLinear along an axis wants a zero point for each row.
    scalar = at.shared(f"quantize.zero_{zero}", np.array(zero, np.uint8))
    zeros = at.op("Expand", scalar, at.op("Shape", scale, name="rows"), name="zeros")
    codes = at.op("QuantizeLinear", linear.input, scale, zeros, name="codes", axis=0)
    column = at.op("Unsqueeze", scale, at.shared("quantize.axis", np.array([-1])), name="row_scale")
    return codes, column, scalar

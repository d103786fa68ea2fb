"""Rotate what the linear layers read, so that one scale suits all of its elements."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from minilm.optimize.calibration.hadamard import block_size, hadamard, rotate_weight
from minilm.optimize.ir_utils import Builder, Linear, is_gelu, is_norm, linears
from minilm.optimize.passes.base import Changes

__all__ = ["RotateInputs", "is_rotated"]


@dataclass(frozen=True, kw_only=True)
class RotateInputs:
    """Multiply linear layers' inputs by a Hadamard matrix, their weights by its transpose.

    Norms and GELU give a few channels that are a hundred times the rest; these inputs are rotated
    (see `minilm.optimize.calibration.hadamard`). What attention gives has none, and stays.

    Attributes:
        inputs: Number of values that are rotated.
        float_layers: Names of layers that stay in floating point and need no rotation.
    """

    inputs: int
    float_layers: frozenset[str] = frozenset()

    @property
    def promises(self) -> Mapping[str, int]:
        return {"input": self.inputs}

    def __call__(self, model: ir.Model) -> Changes:
        graph = model.graph
        rotated: dict[ir.Value, ir.Value] = {}
        for linear in list(linears(graph)):
            if not is_rotated(linear) or linear.name in self.float_layers:
                continue
            value = linear.input
            if value not in rotated:
                rotated[value] = _rotate(graph, linear)
            weight = linear.matmul.inputs[1]
            assert weight is not None
            wide = rotate_weight(linear.weight)
            weight.const_value = ir.tensor(wide.astype(np.float32), name=weight.name)
            linear.matmul.replace_input_with(0, rotated[value])
        return Changes(model=model, counts={"input": len(rotated)})


def is_rotated(linear: Linear) -> bool:
    """Whether `RotateInputs` rotates the input of `linear`, a layer of the graph before it."""
    return is_norm(linear.input) or is_gelu(linear.input)


def _rotate(graph: ir.Graph, linear: Linear) -> ir.Value:
    width = len(linear.weight)
    block = block_size(width)
    at = Builder(graph, linear.matmul, f"{linear.name}.rotation")
    blocks = at.shared(f"rotation.blocks_{width}", np.array([0, 0, width // block, block]))
    matrix = at.shared(f"rotation.hadamard_{block}", hadamard(block).astype(np.float32))
    split = at.op("Reshape", linear.input, blocks, name="split")
    product = at.op("MatMul", split, matrix, name="product")
    rows = at.shared(f"rotation.rows_{width}", np.array([0, 0, width]))
    return at.op("Reshape", product, rows, name="joined")

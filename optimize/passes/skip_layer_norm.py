"""Residual additions joined with the LayerNormalization after them, for CUDA."""

from collections.abc import Mapping
from dataclasses import dataclass

import onnx_ir as ir
from minilm.optimize.ir_utils import (
    MICROSOFT,
    Builder,
    Linear,
    linears,
    nodes_of,
    only_consumer,
    replace_value,
)
from minilm.optimize.passes.base import Changes

__all__ = ["FuseSkipLayerNorm"]


@dataclass(frozen=True, kw_only=True)
class FuseSkipLayerNorm:
    """Make LayerNormalization(linear + residual) one `SkipLayerNormalization`, its bias inside.

    One kernel on CUDA. On CPU the operator takes ten times what its parts take, so only the CUDA
    target asks for it. The fusion of `onnxruntime.transformers` finds nothing here, because its
    shape inference gives up on this graph; the pattern is small enough to be matched by name.

    Attributes:
        layers: of the encoder; each has two.
    """

    layers: int

    @property
    def promises(self) -> Mapping[str, int]:
        return {"residual": 2 * self.layers}

    def __call__(self, model: ir.Model) -> Changes:
        graph = model.graph
        by_output = {linear.output: linear for linear in linears(graph)}
        count = 0
        for norm in nodes_of(graph, "LayerNormalization"):
            total = norm.inputs[0]
            addition = total.producer() if total is not None else None
            if total is None or addition is None or addition.op_type != "Add":
                continue
            if only_consumer(total) is not norm:
                continue
            linear = next((by_output[v] for v in addition.inputs if v in by_output), None)
            if linear is not None and linear.add is not None:
                _join(graph, norm, addition, linear)
                count += 1
        return Changes(model=model, counts={"residual": count})


def _join(graph: ir.Graph, norm: ir.Node, addition: ir.Node, linear: Linear) -> None:
    assert linear.add is not None
    residual = next(value for value in addition.inputs if value is not linear.output)
    bias = next(v for v in linear.add.inputs if v is not None and v.is_initializer())
    joined = Builder(graph, norm, (norm.name or "").rsplit(".", 1)[0]).op(
        "SkipLayerNormalization",
        linear.matmul.outputs[0], residual, norm.inputs[1], norm.inputs[2], bias,
        name="SkipLayerNormalization",
        domain=MICROSOFT,
        epsilon=norm.attributes["epsilon"].as_float(),
    )  # fmt: skip
    replace_value(graph, norm.outputs[0], joined)
    graph.remove([norm, addition, linear.add], safe=True)

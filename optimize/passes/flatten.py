"""One row a token: the encoder works on (batch * tokens) x dimension."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from minilm.optimize.ir_utils import MICROSOFT, Builder, array_of, nodes_of, replace_value
from minilm.optimize.passes.base import Changes

__all__ = ["FlattenBatch", "layer_of"]


@dataclass(frozen=True, kw_only=True)
class FlattenBatch:
    """Drop the batch axis between embeddings and output; only `Attention` sees it.

    Reshapes copy nothing. A product with its bias becomes one `Gemm` when the session is made, a
    scale per token is a scale along one axis, and ONNX Runtime's own fusion of residual additions
    into the slow `SkipLayerNormalization`, which wants three dimensions, leaves the graph alone.

    Attributes:
        layers: of the encoder.
    """

    layers: int

    @property
    def promises(self) -> Mapping[str, int]:
        return {"attention": self.layers, "embeddings": 1, "output": 1}

    def __call__(self, model: ir.Model) -> Changes:
        graph = model.graph
        attentions = nodes_of(graph, "Attention", MICROSOFT)
        norms = nodes_of(graph, "LayerNormalization")
        if not attentions or not norms:
            return Changes(model=model)
        rows, batched = _shapes(graph, array_of(norms[0].inputs[1]).shape[0])
        for node in attentions:
            assert node.inputs[0] is not None
            at = Builder(graph, node, layer_of(node))
            node.replace_input_with(0, at.op("Reshape", node.inputs[0], batched, name="batched"))
            _reshape_after(graph, node, layer_of(node), rows)
        _reshape_after(graph, norms[0], "embeddings", rows)
        last = norms[-1].outputs[0]
        hidden = Builder(graph, _after(graph, norms[-1]), "output").op(
            "Reshape", last, batched, name="batched"
        )
        replace_value(graph, last, hidden)
        producer = hidden.producer()
        assert producer is not None
        producer.replace_input_with(0, last)
        last.shape = None
        return Changes(
            model=model, counts={"attention": len(attentions), "embeddings": 1, "output": 1}
        )


def layer_of(attention: ir.Node) -> str:
    """Module path of an `Attention` node ("encoder.layer.0.attention"), from its output's name."""
    return (attention.outputs[0].name or "").rsplit(".self", 1)[0]


def _shapes(graph: ir.Graph, dimension: int) -> tuple[ir.Value, ir.Value]:
    """Shapes to reshape to: one row a token, and batch x tokens x what there is."""
    ids = next(value for value in graph.inputs if value.name == "input_ids")
    at = Builder(graph, graph[0], "shape")
    rows = at.const("rows", np.array([-1, dimension]))
    rest = at.const("rest", np.array([-1]))
    return rows, at.op("Concat", at.op("Shape", ids, name="ids"), rest, name="batched", axis=0)


def _reshape_after(graph: ir.Graph, node: ir.Node, prefix: str, shape: ir.Value) -> None:
    value = node.outputs[0]
    readers = list(value.uses())
    flat = Builder(graph, _after(graph, node), prefix).op("Reshape", value, shape, name="rows")
    for reader, index in readers:
        reader.replace_input_with(index, flat)


def _after(graph: ir.Graph, node: ir.Node) -> ir.Node:
    return graph[list(graph).index(node) + 1]

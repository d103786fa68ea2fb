"""Mean pooling and the L2 norm without arrays of the activations' size that hold a mask."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from minilm.optimize.ir_utils import Builder, nodes_of, only_consumer, replace_value
from minilm.optimize.passes.base import Changes

__all__ = ["SimplifyL2Norm", "SimplifyMeanPooling"]


@dataclass(frozen=True, kw_only=True)
class SimplifyMeanPooling:
    """Sum a text's token vectors as mask (1 x tokens) times hidden state, or mask them and sum.

    sentence-transformers expands the int64 mask to batch x tokens x dimension, casts and multiplies
    it, then sums (`Pooling.forward`); the sum is the same.

    Attributes:
        pooling: of the model; there is nothing to do unless it is "mean".
        product: whether to make it a product: one pass less over the activations, but where a
            runtime lowers the precision of products, it lowers this one's too.
    """

    pooling: str
    product: bool = True

    @property
    def promises(self) -> Mapping[str, int]:
        return {"mean pooling": int(self.pooling == "mean")}

    def __call__(self, model: ir.Model) -> Changes:
        graph = model.graph
        sums = nodes_of(graph, "ReduceSum")
        if self.pooling != "mean" or len(sums) != 2:
            return Changes(model=model)
        hidden = next(value for value in graph.outputs if value.name == "last_hidden_state")
        mask = next(value for value in graph.inputs if value.name == "attention_mask")
        vectors = next((node for node in sums if _reads(node, hidden)), None)
        counts = next((node for node in sums if not _reads(node, hidden)), None)
        if vectors is None or counts is None:
            return Changes(model=model)
        at = Builder(graph, min(vectors, counts, key=list(graph).index), "pooling")
        ones = at.op("Cast", mask, name="mask", to=int(ir.DataType.FLOAT))
        axis = at.const("axis", np.array([1]))
        if self.product:
            row = at.op("Unsqueeze", ones, axis, name="mask_row")
            total = at.op("Squeeze", at.op("MatMul", row, hidden, name="product"), axis, name="sum")
        else:
            column = at.op("Unsqueeze", ones, at.const("last", np.array([-1])), name="mask_column")
            masked = at.op("Mul", hidden, column, name="masked")
            total = at.op("ReduceSum", masked, axis, name="sum", keepdims=0)
        length = at.op("ReduceSum", ones, axis, name="length", keepdims=1)
        replace_value(graph, vectors.outputs[0], total)
        replace_value(graph, counts.outputs[0], length)
        return Changes(model=model, counts={"mean pooling": 1})


@dataclass(frozen=True, kw_only=True)
class SimplifyL2Norm:
    """Divide by the L2 norm as it is: the division broadcasts, no norm need be expanded first.

    Attributes:
        normalized: whether the model has an L2 norm; there is nothing to do otherwise.
    """

    normalized: bool

    @property
    def promises(self) -> Mapping[str, int]:
        return {"norm": int(self.normalized)}

    def __call__(self, model: ir.Model) -> Changes:
        count = 0
        for node in nodes_of(model.graph, "Expand"):
            norm, reader = node.inputs[0], only_consumer(node.outputs[0])
            if norm is not None and reader is not None and reader.op_type == "Div":
                replace_value(model.graph, node.outputs[0], norm)
                model.graph.remove(node, safe=True)
                count += 1
        return Changes(model=model, counts={"norm": count})


def _reads(node: ir.Node, value: ir.Value) -> bool:
    product = node.inputs[0].producer() if node.inputs[0] is not None else None
    return product is not None and value in product.inputs

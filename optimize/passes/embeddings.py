"""Rewrites of the embedding layer: one table less to add, and int8 rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx_ir as ir
from minilm.optimize.ir_utils import Builder, array_of, nodes_of, replace_value
from minilm.optimize.passes.base import Changes

__all__ = ["CastEmbeddingsToFp16", "FoldTokenTypeEmbeddings", "QuantizeWordEmbeddings"]

_WORDS: Final = "embeddings.word_embeddings.weight"
_TYPES: Final = "embeddings.token_type_embeddings.weight"
_POSITIONS: Final = "embeddings.position_embeddings.weight"


@dataclass(frozen=True)
class FoldTokenTypeEmbeddings:
    """Add the first row of the token-type table to every position: all tokens have type 0 here."""

    @property
    def promises(self) -> Mapping[str, int]:
        return {"token types": 1}

    def __call__(self, model: ir.Model) -> Changes:
        graph = model.graph
        gather = _gather_of(graph, _TYPES)
        reader = next((node for node, _ in gather.outputs[0].uses()), None) if gather else None
        if gather is None or reader is None or reader.op_type != "Add":
            return Changes(model=model)
        types = graph.initializers[_TYPES]
        positions = graph.initializers[_POSITIONS]
        folded = array_of(positions) + array_of(types)[0]
        positions.const_value = ir.tensor(folded, name=_POSITIONS)
        other = next(value for value in reader.inputs if value is not gather.outputs[0])
        assert other is not None
        replace_value(graph, reader.outputs[0], other)
        graph.remove([reader, gather], safe=True)
        graph.initializers.pop(_TYPES)
        return Changes(model=model, counts={"token types": 1})


@dataclass(frozen=True)
class QuantizeWordEmbeddings:
    """Store word embeddings in int8 with a scale per row, dequantized after the gather.

    Symmetric: scale = max|row| / 127. Needs ids and rows without the batch axis, since
    DequantizeLinear has its scales along one axis.
    """

    @property
    def promises(self) -> Mapping[str, int]:
        return {"word embeddings": 1}

    def __call__(self, model: ir.Model) -> Changes:
        graph = model.graph
        gather = _gather_of(graph, _WORDS)
        if gather is None:
            return Changes(model=model)
        table = array_of(graph.initializers[_WORDS])
        scale = (np.abs(table).max(axis=1) / 127.0).astype(np.float32)
        scale = np.where(scale > 0, scale, np.float32(1))
        rows = np.rint(table / scale[:, None]).astype(np.int8)
        at = Builder(graph, gather, "embeddings.word_embeddings")
        ids = gather.inputs[1]
        flat = at.op("Reshape", ids, at.shared("shape.flat", np.array([-1])), name="flat_ids")
        codes = at.op("Gather", at.const("weight_int8", rows), flat, name="rows")
        scales = at.op("Gather", at.const("weight_scale", scale), flat, name="row_scales")
        words = at.op("DequantizeLinear", codes, scales, name="dequantize", axis=0)
        shape = at.op(
            "Concat",
            at.op("Shape", ids, name="ids_shape"),
            at.const("dimension", np.array([table.shape[1]])),
            name="shape",
            axis=0,
        )
        replace_value(graph, gather.outputs[0], at.op("Reshape", words, shape, name="batched"))
        graph.remove(gather, safe=True)
        graph.initializers.pop(_WORDS)
        return Changes(model=model, counts={"word embeddings": 1})


@dataclass(frozen=True)
class CastEmbeddingsToFp16:
    """Store word embeddings in fp16, made float32 after the gather.

    Half of the file goes for a cosine of 0.9999999: the table is most of the model.
    """

    @property
    def promises(self) -> Mapping[str, int]:
        return {"word embeddings": 1}

    def __call__(self, model: ir.Model) -> Changes:
        graph = model.graph
        gather = _gather_of(graph, _WORDS)
        if gather is None:
            return Changes(model=model)
        at = Builder(graph, gather, "embeddings.word_embeddings")
        table = array_of(graph.initializers[_WORDS]).astype(np.float16)
        rows = at.op("Gather", at.const("weight_fp16", table), gather.inputs[1], name="rows")
        words = at.op("Cast", rows, name="words", to=int(ir.DataType.FLOAT))
        replace_value(graph, gather.outputs[0], words)
        graph.remove(gather, safe=True)
        graph.initializers.pop(_WORDS)
        return Changes(model=model, counts={"word embeddings": 1})


def _gather_of(graph: ir.Graph, table: str) -> ir.Node | None:
    for node in nodes_of(graph, "Gather"):
        if node.inputs[0] is not None and node.inputs[0].name == table:
            return node
    return None

"""fp16 weights and activations for the encoder; pooling and the L2 norm stay in fp32."""

from collections.abc import Mapping
from dataclasses import dataclass

import onnx_ir as ir
from minilm.optimize.ir_utils import nodes_of, replace_value
from minilm.optimize.passes.base import Changes
from onnxruntime.transformers.float16 import convert_float_to_float16

__all__ = ["ConvertToFp16"]


@dataclass(frozen=True)
class ConvertToFp16:
    """Convert all but what comes after the last hidden state to fp16; the outputs stay float32.

    The sum over tokens and the norm are a thousandth of the arithmetic, and in fp16 they would cost
    unit length its fourth digit.
    """

    @property
    def promises(self) -> Mapping[str, int]:
        return {"hidden state": 1}

    def __call__(self, model: ir.Model) -> Changes:
        graph = model.graph
        names = [value.name for value in graph.outputs]
        if "last_hidden_state" not in names:
            return Changes(model=model)
        kept = _after(graph.outputs[names.index("last_hidden_state")])
        for node in graph:  # the converter tells nodes apart by name
            if not node.name:
                node.name = f"{node.op_type}.{node.outputs[0].name}"
        halved = convert_float_to_float16(
            ir.to_proto(model),
            keep_io_types=True,
            disable_shape_infer=True,
            node_block_list=[node.name for node in kept],
        )
        model = ir.from_proto(halved)
        _retype(model.graph)
        _drop_round_trips(model.graph)
        return Changes(model=model, counts={"hidden state": 1})


def _retype(graph: ir.Graph) -> None:
    """Give constants the type of their values: the converter notes fp16 for those that it keeps."""
    for value in graph.initializers.values():
        if value.const_value is not None:
            value.type = ir.TensorType(value.const_value.dtype)


def _drop_round_trips(graph: ir.Graph) -> None:
    """Remove casts of a float32 value to fp16 and back, which the converter puts at outputs."""
    for back in nodes_of(graph, "Cast"):
        there = back.inputs[0].producer() if back.inputs[0] is not None else None
        if there is None or there.op_type != "Cast" or there.inputs[0] is None:
            continue
        kinds = (there.attributes["to"].as_int(), back.attributes["to"].as_int())
        if kinds == (int(ir.DataType.FLOAT16), int(ir.DataType.FLOAT)):
            replace_value(graph, back.outputs[0], there.inputs[0])


def _after(value: ir.Value) -> set[ir.Node]:
    """All nodes that depend on `value`, and those that read the mask beside them."""
    found: set[ir.Node] = set()
    waiting = [node for node, _ in value.uses()]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += [reader for output in node.outputs for reader, _ in output.uses()]
            # What only feeds these (the mask as floats, its sum) belongs to them.
            waiting += [
                made
                for given in node.inputs
                if given is not None
                and (made := given.producer()) is not None
                and given is not value
                and all(reader in found for reader, _ in given.uses())
            ]
    return found

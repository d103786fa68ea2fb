"""Make the exported graph the same bytes for the same weights, with names that a person can read.

The tracer numbers its values and weights and leaves its own version's marks; here each linear
layer's weight gets the name of its module, constants become initializers, duplicates go, and
everything stands in a fixed order.
"""

import re
from typing import Final

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import common

__all__ = ["normalize"]

_OUTPUTS: Final = {"token_embeddings": "last_hidden_state"}
_SHAPES: Final = {"last_hidden_state": ("batch", "tokens"), "sentence_embedding": ("batch",)}
_MODULE_PREFIX: Final = re.compile(r"^/?0[./](model\.)?")
_PRODUCER: Final = "minilm-toolkit"


def normalize(model: ir.Model, dimension: int) -> None:
    """Normalize `model`, whose vectors have `dimension` elements, in place."""
    _settle_branches(model.graph)
    ir.passes.Sequential(
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.CommonSubexpressionEliminationPass(),
        common.DeduplicateInitializersPass(),
        common.IdentityEliminationPass(),
        common.RemoveUnusedNodesPass(),
        common.RemoveUnusedOpsetsPass(),
        common.ClearMetadataAndDocStringPass(),
        common.TopologicalSortPass(),
    )(model)
    graph = model.graph
    model.producer_name, model.producer_version = _PRODUCER, None
    model.domain, model.model_version, model.doc_string = None, None, None
    graph.name = _PRODUCER
    model.metadata_props.clear()
    _name_nodes(graph)
    _name_weights(graph)
    _name_constants(graph)
    for value in graph.outputs:
        value.name = _OUTPUTS.get(value.name or "", value.name)
        value.shape = ir.Shape(_SHAPES[value.name or ""] + (dimension,))
    for value in graph.inputs:
        value.shape = ir.Shape(("batch", "tokens"))
    order = sorted(graph.initializers.items())
    graph.initializers.clear()
    graph.initializers.update(order)


def _settle_branches(graph: ir.Graph) -> None:
    """Replace the `If` that `torch.squeeze` leaves behind by the branch that is always taken.

    [CLS] pooling gathers batch x 1 x dimension and squeezes the 1 away; the tracer, which does not
    know that it is one, asks for it at run time.
    """
    for node in [node for node in graph if node.op_type == "If"]:
        branch = node.attributes["then_branch"].as_graph()
        last = branch.outputs[0].producer()
        if last is None or last.op_type != "Squeeze" or last.inputs[0] is None:
            continue
        name = f"{node.name}/axis"
        axis = ir.Value(name=name, const_value=ir.tensor(np.array([1]), name=name))
        graph.register_initializer(axis)
        squeezed = ir.node("Squeeze", [last.inputs[0], axis], name=f"{node.name}/Squeeze")
        graph.insert_before(node, squeezed)
        node.outputs[0].replace_all_uses_with(squeezed.outputs[0])
        graph.remove(node, safe=True)


def _name_nodes(graph: ir.Graph) -> None:
    """Name nodes after their module ("encoder.layer.0.output.dense.MatMul"), values after nodes."""
    taken: set[str] = set()
    outputs = set(graph.outputs)
    for node in graph:
        path = _MODULE_PREFIX.sub("", node.name or node.op_type).strip("/").replace("/", ".")
        name, copy = path, 1
        while name in taken:
            copy += 1
            name = f"{path}_{copy}"
        taken.add(name)
        node.name = name
        for index, value in enumerate(node.outputs):
            if value not in outputs:
                value.name = f"{name}.out{index or ''}"
                # Shapes are inferred again where needed; the tracer's are numbered guesses.
                value.shape, value.type = None, None


def _name_weights(graph: ir.Graph) -> None:
    for node in graph:
        for value in node.inputs:
            if value is None or not value.is_initializer() or value.name is None:
                continue
            if value.name.startswith("onnx::MatMul") and node.op_type == "MatMul":
                _rename(graph, value, f"{(node.name or '').removesuffix('.MatMul')}.weight")
            elif _MODULE_PREFIX.match(value.name):
                _rename(graph, value, _MODULE_PREFIX.sub("", value.name))


def _name_constants(graph: ir.Graph) -> None:
    """Number the constants that are left (shapes, epsilons) in the order of their first use."""
    seen: dict[ir.Value, None] = {}
    for node in graph:
        for value in node.inputs:
            if value is not None and value.is_initializer() and _is_constant(value):
                seen.setdefault(value)
    for number, value in enumerate(seen):
        _rename(graph, value, f"constant.{number}")


def _is_constant(value: ir.Value) -> bool:
    return not (value.name or "").endswith((".weight", ".bias"))


def _rename(graph: ir.Graph, value: ir.Value, name: str) -> None:
    if value.name is not None and value.name != name:
        graph.initializers.pop(value.name)
        value.name = name
        if value.const_value is not None:
            value.const_value.name = name
        graph.register_initializer(value)

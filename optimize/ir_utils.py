"""The verbs that the passes share: find a pattern, add nodes before a place, read a constant."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

__all__ = [
    "MICROSOFT",
    "Builder",
    "Linear",
    "array_of",
    "consumers",
    "is_gelu",
    "is_norm",
    "linears",
    "nodes_of",
    "only_consumer",
    "replace_value",
]

MICROSOFT: Final = "com.microsoft"
"""Domain of ONNX Runtime's own operators (onnxruntime, docs/ContribOperators.md)."""

_WEIGHT: Final = ".weight"


class Builder:
    """Adds nodes before `anchor`; their names and their values' names start with `prefix`."""

    def __init__(self, graph: ir.Graph, anchor: ir.Node, prefix: str) -> None:
        self._graph = graph
        self._anchor = anchor
        self._prefix = prefix

    def const(self, name: str, array: npt.NDArray[Any]) -> ir.Value:
        """An initializer of `array`, called `prefix.name`."""
        return self.shared(f"{self._prefix}.{name}", array)

    def shared(self, name: str, array: npt.NDArray[Any]) -> ir.Value:
        """An initializer called `name` for all who ask for it."""
        if name not in self._graph.initializers:
            value = ir.Value(
                name=name, const_value=ir.tensor(np.ascontiguousarray(array), name=name)
            )
            self._graph.register_initializer(value)
        return self._graph.initializers[name]

    def op(
        self, op_type: str, *inputs: ir.Value | None, name: str, domain: str = "", **attributes: Any
    ) -> ir.Value:
        """Add a node of one output and give that output."""
        return self.ops(op_type, *inputs, name=name, outputs=1, domain=domain, **attributes)[0]

    def ops(
        self,
        op_type: str,
        *inputs: ir.Value | None,
        name: str,
        outputs: int,
        domain: str = "",
        **attributes: Any,
    ) -> tuple[ir.Value, ...]:
        """Add a node of several outputs and give these."""
        full = f"{self._prefix}.{name}"
        made = [ir.Value(name=f"{full}.out{index or ''}") for index in range(outputs)]
        node = ir.node(op_type, inputs, attributes, domain=domain, outputs=made, name=full)
        self._graph.insert_before(self._anchor, node)
        self._graph.opset_imports.setdefault(domain, 1)
        return tuple(made)


@dataclass(frozen=True, kw_only=True)
class Linear:
    """A product with a constant matrix, and the constant that is added to it.

    Attributes:
        name: of the layer ("encoder.layer.0.output.dense").
        matmul: the product; its first input is the activation.
        add: the addition of the bias, or None where the bias went into another operator.
    """

    name: str
    matmul: ir.Node
    add: ir.Node | None

    @property
    def input(self) -> ir.Value:
        """The activation."""
        value = self.matmul.inputs[0]
        assert value is not None
        return value

    @property
    def output(self) -> ir.Value:
        """The product with its bias."""
        return (self.add or self.matmul).outputs[0]

    @property
    def weight(self) -> npt.NDArray[np.float32]:
        """float32, (inputs, outputs)."""
        return array_of(self.matmul.inputs[1])

    @property
    def bias(self) -> npt.NDArray[np.float32] | None:
        """float32, (outputs,), or None."""
        if self.add is None:
            return None
        return array_of(next(v for v in self.add.inputs if v is not None and v.is_initializer()))


def linears(graph: ir.Graph) -> Iterator[Linear]:
    """The linear layers of `graph` in its order."""
    for node in nodes_of(graph, "MatMul"):
        weight = node.inputs[1]
        if weight is None or not weight.is_initializer() or array_of(weight).ndim != 2:
            continue
        if not (weight.name or "").endswith(_WEIGHT):
            continue  # a rotation, which has nothing to learn
        after = only_consumer(node.outputs[0])
        biased = after is not None and after.op_type == "Add" and _has_vector(after)
        name = (weight.name or "").removesuffix(_WEIGHT)
        yield Linear(name=name, matmul=node, add=after if biased else None)


def nodes_of(graph: ir.Graph, op_type: str, domain: str = "") -> list[ir.Node]:
    """All nodes of a type, in the graph's order."""
    return [node for node in graph if node.op_type == op_type and node.domain == domain]


def consumers(value: ir.Value) -> list[ir.Node]:
    """The nodes that read `value`."""
    return list(dict.fromkeys(node for node, _ in value.uses()))


def only_consumer(value: ir.Value) -> ir.Node | None:
    """The node that alone reads `value`, if there is just one and it is no output of the graph."""
    readers = consumers(value)
    return readers[0] if len(readers) == 1 and not value.is_graph_output() else None


def array_of(value: ir.Value | None) -> npt.NDArray[Any]:
    """The array of an initializer."""
    assert value is not None, "not an initializer"
    assert value.const_value is not None, f"{value.name} is not an initializer"
    return value.const_value.numpy()


def is_gelu(value: ir.Value) -> bool:
    """Whether `value` is what GELU gives: x * (1 + erf(x / sqrt(2))) / 2, or an operator for it."""
    waiting = [value.producer()]
    while waiting:
        node = waiting.pop()
        if node is not None and node.op_type in {"Erf", "Gelu", "BiasGelu"}:
            return True
        if node is not None and node.op_type in {"Mul", "Div", "Add"}:
            waiting += [v.producer() for v in node.inputs if v is not None]
    return False


def is_norm(value: ir.Value) -> bool:
    """Whether LayerNormalization gives `value`."""
    producer = value.producer()
    return producer is not None and producer.op_type == "LayerNormalization"


def replace_value(graph: ir.Graph, old: ir.Value, new: ir.Value) -> None:
    """Let all who read `old` have `new`; an output of the graph keeps its name."""
    for index, output in enumerate(graph.outputs):
        if output is old:
            new.name, old.name = old.name, f"{old.name}.before"
            new.shape, new.type = old.shape, old.type
            graph.outputs[index] = new
    old.replace_all_uses_with(new)


def _has_vector(node: ir.Node) -> bool:
    return any(v is not None and v.is_initializer() and array_of(v).ndim == 1 for v in node.inputs)

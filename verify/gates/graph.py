"""Gates of a graph's file: interface, operators and the precision of its products."""

from typing import Final

from minilm.runtime.manifest import TensorInfo, Variant
from minilm.verify.candidates.graph_info import GraphInfo
from minilm.verify.gates.base import Gate, Measurement, NotMeasured
from minilm.verify.gates.measurements import VariantMeasurements

__all__ = ["INTERFACE", "OPERATORS", "PRECISION"]


def _unreadable(found: VariantMeasurements) -> NotMeasured:
    return NotMeasured(
        f"left out, since the library that reads {found.graph_file} is not installed: "
        'pip install "minilm-toolkit[build]"'
    )


_NO_MANIFEST: Final = NotMeasured("left out, since there is no manifest")


def _interface(found: VariantMeasurements) -> Measurement | NotMeasured:
    if found.graph_info is None:
        return _unreadable(found)
    if found.promised is None:
        return _NO_MANIFEST
    graph, promised = found.graph_info, found.promised
    ours, theirs = _ports(graph), _ports(promised)
    differ = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
    detail = "; ".join(
        f"{key}: {ours.get(key, 'none')}, manifest {theirs.get(key, 'none')}" for key in differ
    )
    return Measurement(figure=len(differ), worst=differ[0] if differ else "", detail=detail)


def _ports(graph: GraphInfo | Variant) -> dict[str, str]:
    """Opset, inputs and outputs; the name of a dynamic axis does not matter."""
    found = {"opset": str(graph.opset)}
    for side, tensors in (("input", graph.inputs), ("output", graph.outputs)):
        found |= {f"{side} {tensor.name}": _type(tensor) for tensor in tensors}
    return found


def _type(tensor: TensorInfo) -> str:
    axes = ", ".join(str(axis) if isinstance(axis, int) else "any" for axis in tensor.shape)
    return f"{tensor.dtype} ({axes})"


INTERFACE: Final = Gate(
    name="interface",
    comparison="==",
    meaning="inputs, outputs and opset that are not as the manifest says",
    advice="the graph is not the one that the manifest describes: build the bundle again",
    measure=_interface,
)


def _operators(found: VariantMeasurements) -> Measurement | NotMeasured:
    if found.graph_info is None:
        return _unreadable(found)
    if found.promised is None:
        return _NO_MANIFEST
    ours, theirs = found.graph_info.operators, found.promised.operators
    differ = [kind for kind in sorted({*ours, *theirs}) if ours.get(kind, 0) != theirs.get(kind, 0)]
    detail = ", ".join(
        f"{kind}: {ours.get(kind, 0)}, manifest {theirs.get(kind, 0)}" for kind in differ[:5]
    )
    return Measurement(figure=len(differ), worst=differ[0] if differ else "", detail=detail)


OPERATORS: Final = Gate(
    name="operators",
    comparison="==",
    meaning="operator types whose count is not what the manifest says",
    advice="the graph is not the one that the manifest describes: build the bundle again",
    measure=_operators,
)


def _precision(found: VariantMeasurements) -> Measurement | NotMeasured:
    if found.graph_info is None:
        return _unreadable(found)
    precision = found.kind.rpartition("/")[2]
    precisions = found.graph_info.precisions
    share = precisions.share(precision)
    worst = precisions.first_float if precision == "int8" and share < 1 else ""
    return Measurement(figure=share, worst=worst, detail=precisions.sentence())


# CUDA's int8 rotates inputs in floating point, and keeps layers there where parity needs it.
PRECISION: Final = Gate(
    name="precision",
    comparison=">=",
    meaning="share of the weight products computed in the promised precision",
    advice="the variant's name promises what the graph does not do",
    measure=_precision,
    thresholds={"*": 0.99, "cuda/int8": 0.5},
)

"""Gate over the ONNX checker: a graph that ONNX's own tools refuse is refused by some runtimes."""

from typing import Final

from minilm.verify.gates.base import Gate, Measurement, NotMeasured
from minilm.verify.gates.measurements import VariantMeasurements

__all__ = ["CHECKER"]


def _checker(found: VariantMeasurements) -> Measurement | NotMeasured | None:
    # Another tool's graph is judged by what it computes.
    if found.promised is None or not found.graph_file.endswith(".onnx"):
        return None
    if found.graph_info is None:
        return NotMeasured(
            f"left out, since the library that reads {found.graph_file} is not installed: "
            'pip install "minilm-toolkit[build]"'
        )
    objection = found.graph_info.objection
    return Measurement(figure=int(bool(objection)), worst=objection)


CHECKER: Final = Gate(
    name="checker",
    comparison="==",
    meaning="objections of onnx.checker, with strict shape inference, to the graph",
    advice="runtimes that check what they load refuse this graph: build the bundle again",
    measure=_checker,
)

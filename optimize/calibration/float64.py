"""A graph evaluated in float64, by ONNX's own reference implementation."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

__all__ = ["Feed", "Float64Session"]

Feed = Mapping[str, npt.NDArray[np.int64]]
"""Inputs of one run: `input_ids` and `attention_mask`, each int64, (1, tokens)."""

_FLOAT: Final = onnx.TensorProto.FLOAT
_DOUBLE: Final = onnx.TensorProto.DOUBLE


class Float64Session:
    """A float32 graph whose constants and operators are widened to float64.

    Sums of float64 differ from processor to processor too, but by 1e-16 of their size. A figure
    that is rounded to float32 or to an int8 code afterwards hides that: of the ten million codes
    of this model about one in a thousand builds meets a tie. Threads may share a session.

    Args:
        model: A graph of standard operators.
        outputs: Names of the values to return; inner values of the graph are allowed.
    """

    def __init__(self, model: ir.Model, outputs: Sequence[str]) -> None:
        proto = ir.to_proto(model)
        _widen(proto)
        # Each replaces ONNX's own by the name of its class.
        operators = [Erf, GatherElements, QuantizeLinear, DequantizeLinear]
        self._outputs = list(outputs)
        self._evaluator = ReferenceEvaluator(proto, new_ops=operators)

    def run(self, feed: Feed) -> list[npt.NDArray[np.float64]]:
        """Evaluate the graph for one feed; the arrays stand in the order of `outputs`."""
        found: list[npt.NDArray[np.float64]] = self._evaluator.run(self._outputs, dict(feed))
        return found


class Erf(OpRun):  # type: ignore[misc] # onnx ships no types
    """ONNX's own goes through Python element by element."""

    def _run(self, x: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64]]:
        from scipy.special import erf

        return (erf(x),)


class GatherElements(OpRun):  # type: ignore[misc] # onnx ships no types
    """ONNX's own takes 64 elements of an axis at most."""

    def _run(
        self, data: npt.NDArray[Any], indices: npt.NDArray[np.int64], axis: int | None = None
    ) -> tuple[npt.NDArray[Any]]:
        return (np.take_along_axis(data, indices, axis=axis or 0),)


class QuantizeLinear(OpRun):  # type: ignore[misc] # onnx ships no types
    """Symmetric s8 codes with one scale; ONNX's own divides in float32."""

    def _run(
        self, x: npt.NDArray[np.float64], scale: npt.NDArray[np.float64], *_: object, **__: object
    ) -> tuple[npt.NDArray[np.float64]]:
        return (np.clip(np.rint(x / scale), -128, 127),)


class DequantizeLinear(OpRun):  # type: ignore[misc] # onnx ships no types
    """Symmetric codes times one scale, or one for each column."""

    def _run(
        self, x: npt.NDArray[Any], scale: npt.NDArray[np.float64], *_: object, **__: object
    ) -> tuple[npt.NDArray[np.float64]]:
        return (x * scale,)


def _widen(proto: onnx.ModelProto) -> None:
    for tensor in proto.graph.initializer:
        _widen_tensor(tensor)
    for node in proto.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == _FLOAT:
                attribute.i = _DOUBLE
            if attribute.type == onnx.AttributeProto.TENSOR:
                _widen_tensor(attribute.t)
    _fold_weights(proto.graph)


def _widen_tensor(tensor: onnx.TensorProto) -> None:
    if tensor.data_type == _FLOAT:
        wide = numpy_helper.to_array(tensor).astype(np.float64)
        tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))


def _fold_weights(graph: onnx.GraphProto) -> None:
    """Dequantize constant weights once, not in each run."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in [node for node in graph.node if node.op_type == "DequantizeLinear"]:
        if node.input[0] in constants:
            codes, scale = (numpy_helper.to_array(constants[name]) for name in node.input[:2])
            graph.initializer.append(numpy_helper.from_array(codes * scale, node.output[0]))
            graph.node.remove(node)

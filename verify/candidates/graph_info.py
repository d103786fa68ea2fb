"""What a graph's file really holds: operators, and the precision in which it multiplies weights.

int8 *storage* and int8 *arithmetic* are told apart: a graph that keeps weights in int8 and
multiplies them in float32 is small, but no faster. So are signed and unsigned weights: a product
of two unsigned factors saturates on processors without VNNI, and misses the fast kernels of the
others.
"""

import importlib.util
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from minilm.runtime.errors import InvalidArtifact
from minilm.runtime.manifest import TensorInfo
from minilm.verify.candidates.weight_file import WEIGHT_FILE_SUFFIX, read_weight_file

__all__ = ["GraphInfo", "MatMulPrecisions", "can_read_graph", "read_graph_info"]

_INTEGER_OPS: Final = frozenset(
    {
        "ConvInteger",
        "DynamicQuantizeMatMul",
        "MatMulInteger",
        "MatMulIntegerToFloat",
        "QAttention",
        "QGemm",
        "QLinearMatMul",
    }
)
_FLOAT_OPS: Final = frozenset({"Attention", "FusedMatMul", "Gemm", "FusedGemm", "MatMul"})
_PASS_THROUGH: Final = frozenset({"Reshape", "Transpose", "Squeeze", "Unsqueeze", "Identity"})
_SCALING: Final = frozenset({"Mul", "Sub"})
"""Dequantization written out: (code - zero point) * scale."""
_ONNX_TYPES: Final = {
    1: "float32",
    2: "uint8",
    3: "int8",
    7: "int64",
    10: "float16",
    16: "bfloat16",
}
_IR_TYPES: Final = {
    "f32": "float32",
    "f16": "float16",
    "bf16": "bfloat16",
    "i8": "int8",
    "u8": "uint8",
    "i64": "int64",
}


@dataclass(frozen=True, kw_only=True)
class MatMulPrecisions:
    """Products of activations and stored weights.

    Attributes:
        kinds: (arithmetic, storage) of each product: ("int8", "int8"), ("float32", "int8"), …
        first_float: name of the first product that is not in int8; empty if there is none.
    """

    kinds: tuple[tuple[str, str], ...]
    first_float: str = ""

    def share(self, precision: str) -> float:
        """Share of the products that are what a variant of that precision promises, 0 to 1."""
        if not self.kinds:
            return 0.0
        if precision == "int8":
            kept = [kind for kind in self.kinds if kind[0] == "int8"]
        elif precision == "fp16":
            kept = [kind for kind in self.kinds if kind[0] == "float16"]
        else:
            # bf16 stores float16 or float32 and leaves the arithmetic to the processor.
            kept = [kind for kind in self.kinds if "int8" not in kind[0] + kind[1]]
        return len(kept) / len(self.kinds)

    def sentence(self) -> str:
        """What was found, for a report."""
        counts = Counter(self.kinds)
        parts = [
            f"{count} computed in {arithmetic} from weights stored in {stored}"
            for (arithmetic, stored), count in sorted(counts.items())
        ]
        return "products: " + (", ".join(parts) or "none")


def can_read_graph(path: Path) -> bool:
    """Whether the library that reads this kind of file is installed."""
    if path.suffix == WEIGHT_FILE_SUFFIX:
        return True
    return importlib.util.find_spec("onnx" if path.suffix == ".onnx" else "openvino") is not None


@dataclass(frozen=True, kw_only=True)
class GraphInfo:
    """What a graph's file holds.

    Attributes:
        operators: type ("Gelu", "com.microsoft.FastGelu") to count.
        precisions: Precisions in which weights are multiplied.
        opset: of the default ONNX domain, or the highest of OpenVINO's that is used.
        inputs: name, type and shape; dynamic axes by name, or "" where they have none.
        outputs: likewise.
        objection: What ONNX's checker has against a bundle's graph; empty for nothing.
    """

    operators: dict[str, int]
    precisions: MatMulPrecisions
    opset: int
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    objection: str = ""


def read_graph_info(path: Path) -> GraphInfo:
    """Look into an ONNX file, an OpenVINO IR or a weight file of the native encoder.

    Raises:
        InvalidArtifact: the file cannot be read.
    """
    if path.suffix == WEIGHT_FILE_SUFFIX:
        return _weight_file_info(path)
    if path.suffix == ".onnx":
        model = _onnx(path)
        graph = model.graph
        opset = max(
            (o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0
        )
        ports = [[_onnx_port(value) for value in side] for side in (graph.input, graph.output)]
        kinds = [
            node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
            for node in graph.node
        ]
        found = _onnx_products(graph)
    else:
        model = _ir(path)
        ops = list(model.get_ordered_ops())
        sets = [op.get_type_info().version_id for op in ops]
        opset = max((int(s[5:]) for s in sets if re.fullmatch(r"opset\d+", s)), default=0)
        ports = [[_ir_port(port) for port in side] for side in (model.inputs, model.outputs)]
        kinds = [op.get_type_name() for op in ops]
        found = _ir_products(ops, dynamic=_quantizes_activations(model))
    floats = [name for name, kind, _ in found if kind != "int8"]
    return GraphInfo(
        operators=dict(sorted(Counter(kinds).items())),
        precisions=MatMulPrecisions(
            kinds=tuple((kind, stored) for _, kind, stored in found),
            first_float=floats[0] if floats else "",
        ),
        opset=opset,
        inputs=tuple(ports[0]),
        outputs=tuple(ports[1]),
    )


def _weight_file_info(path: Path) -> GraphInfo:
    weights = read_weight_file(path)
    products = weights.products
    floats = [name for name, kind in products if kind != "int8"]
    return GraphInfo(
        operators=weights.operators,
        precisions=MatMulPrecisions(
            # A product's arithmetic is that of its weights: the encoder has no other kernel.
            kinds=tuple((kind, kind) for _, kind in products),
            first_float=floats[0] if floats else "",
        ),
        opset=weights.format_version,
        inputs=weights.inputs,
        outputs=weights.outputs,
    )


def _onnx(path: Path) -> Any:
    import onnx

    try:
        return onnx.load(str(path), load_external_data=False)
    # protobuf's errors share no base but Exception, and it ships no types.
    except Exception as error:
        raise InvalidArtifact(f"cannot read {path}: {error}") from error


def _ir(path: Path) -> Any:
    import openvino as ov

    try:
        return ov.Core().read_model(str(path))
    except RuntimeError as error:
        raise InvalidArtifact(f"cannot read {path}: {error}") from error


def _onnx_port(value: Any) -> TensorInfo:
    tensor = value.type.tensor_type
    shape = tuple(d.dim_value if d.HasField("dim_value") else d.dim_param for d in tensor.shape.dim)
    dtype = _ONNX_TYPES.get(tensor.elem_type, "other")
    return TensorInfo(name=value.name, dtype=dtype, shape=shape)


def _ir_port(port: Any) -> TensorInfo:
    dtype = _IR_TYPES.get(port.get_element_type().get_type_name(), "other")
    axes = port.get_partial_shape()
    shape = tuple("" if axis.is_dynamic else axis.get_length() for axis in axes)
    return TensorInfo(name=port.get_any_name(), dtype=dtype, shape=shape)


def _onnx_products(graph: Any) -> list[tuple[str, str, str]]:
    stored = {item.name: _ONNX_TYPES.get(item.data_type, "other") for item in graph.initializer}
    stored |= {
        node.output[0]: _ONNX_TYPES.get(attribute.t.data_type, "other")
        for node in graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }
    maker = {output: node for node in graph.node for output in node.output}
    found = []
    for node in graph.node:
        if node.op_type in _INTEGER_OPS:
            # Zero points are stored too, and come after the weights.
            kinds = [stored[name] for name in node.input if name in stored]
            kept = [kind for kind in kinds if kind.endswith("int8")]
            if kept:
                found.append((node.name, kept[0], kept[0]))
        elif node.op_type == "MatMulNBits":
            found.append((node.name, "float32", "uint8"))
        elif node.op_type in _FLOAT_OPS and len(node.input) > 1:
            left, right = (_onnx_source(name, maker, stored) for name in node.input[:2])
            if right[0] is None:
                continue
            integers = left[1] and right[1] and right[0].endswith("int8")
            arithmetic = right[0] if integers else _wide(right[0], widened=right[2])
            found.append((node.name, arithmetic, right[0]))
    return found


def _wide(stored: str, *, widened: bool) -> str:
    return "float32" if widened or stored in ("int8", "uint8", "other") else stored


def _onnx_source(
    name: str, maker: Mapping[str, Any], stored: Mapping[str, str]
) -> tuple[str | None, bool, bool]:
    """Type of the stored tensor behind `name` (None: computed), dequantized?, cast?"""
    dequantized = widened = False
    while name not in stored and name in maker:
        node = maker[name]
        if node.op_type == "DequantizeLinear":
            dequantized = True
        elif node.op_type == "Cast":
            widened = True
        elif node.op_type not in _PASS_THROUGH | _SCALING:
            break
        name = node.input[0]
    return stored.get(name), dequantized, widened


def _quantizes_activations(model: Any) -> bool:
    """Whether the file asks OpenVINO to round activations to int8 as they come."""
    place = ["runtime_options", "DYNAMIC_QUANTIZATION_GROUP_SIZE"]
    return bool(model.has_rt_info(place) and int(model.get_rt_info(place).astype(str)) > 0)


def _ir_products(ops: list[Any], *, dynamic: bool) -> list[tuple[str, str, str]]:
    found = []
    for op in ops:
        if op.get_type_name() != "MatMul":
            continue
        chains = [_ir_chain(op.input_value(place).get_node()) for place in range(2)]
        weights = next((stored for stored, _ in chains[::-1] if stored), None)
        if weights is None:
            continue
        quantized = dynamic or any(not stored and fake for stored, fake in chains)
        integers = quantized and weights.endswith("int8")
        # OpenVINO computes in the processor's best type, whatever the floats are stored in.
        found.append((op.get_friendly_name(), weights if integers else "float32", weights))
    return found


def _ir_chain(node: Any) -> tuple[str | None, bool]:
    """Type of the stored tensor behind a node (None: computed), and whether it is quantized."""
    through = {"Convert", "Multiply", "Subtract", *_PASS_THROUGH}
    fake = False
    while node.get_type_name() in {*through, "FakeQuantize"}:
        fake = fake or node.get_type_name() == "FakeQuantize"
        if fake and not _is_constant(node.input_value(0).get_node()):
            return None, True
        node = node.input_value(0).get_node()
    if node.get_type_name() != "Constant":
        return None, fake
    return _IR_TYPES.get(node.get_element_type().get_type_name(), "other"), fake


def _is_constant(node: Any) -> bool:
    while node.get_input_size() and node.get_type_name() != "Constant":
        node = node.input_value(0).get_node()
    return bool(node.get_type_name() == "Constant")

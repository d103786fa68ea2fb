"""What a finished graph is, read back from its file: the manifest's entry for a variant."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minilm.runtime.manifest import VARIANTS, TensorInfo, Variant

__all__ = ["describe_ir", "describe_onnx", "path_of"]


def describe_onnx(
    bundle: Path, name: str, *, backend: str, backend_version: str, instruction_sets: Sequence[str]
) -> Variant:
    """Describe the ONNX file of variant `name` below `bundle`."""
    import onnx_ir as ir

    model = ir.load(bundle / VARIANTS[name][0])
    operators = Counter(
        f"{node.domain}.{node.op_type}" if node.domain else node.op_type for node in model.graph
    )
    return Variant(
        name=name,
        files=VARIANTS[name],
        opset=model.graph.opset_imports[""],
        inputs=tuple(_tensor(value) for value in model.graph.inputs),
        outputs=tuple(_tensor(value) for value in model.graph.outputs),
        operators=dict(sorted(operators.items())),
        backend=backend,
        backend_version=backend_version,
        instruction_sets=tuple(instruction_sets),
    )


def describe_ir(
    bundle: Path, name: str, *, backend_version: str, instruction_sets: Sequence[str]
) -> Variant:
    """Describe the OpenVINO IR of variant `name` below `bundle`."""
    import openvino as ov

    model = ov.Core().read_model(bundle / VARIANTS[name][0])
    operations = model.get_ops()
    operators = Counter(operation.get_type_name() for operation in operations)
    opsets = {operation.get_type_info().version_id for operation in operations}
    return Variant(
        name=name,
        files=VARIANTS[name],
        opset=max(int(v.removeprefix("opset")) for v in opsets if v.startswith("opset")),
        inputs=tuple(_port(port, ("batch", "tokens")) for port in model.inputs),
        outputs=tuple(_port(port, ("batch", "tokens")) for port in model.outputs),
        operators=dict(sorted(operators.items())),
        backend="openvino",
        backend_version=backend_version,
        instruction_sets=tuple(instruction_sets),
    )


def _tensor(value: Any) -> TensorInfo:
    shape = tuple(dim if isinstance(dim, int) else str(dim.value) for dim in value.shape)
    return TensorInfo(name=value.name, dtype=str(value.dtype.numpy()), shape=shape)


def _port(port: Any, axes: Sequence[str]) -> TensorInfo:
    dims = port.get_partial_shape()
    shape = tuple(
        axes[index] if dim.is_dynamic else dim.get_length() for index, dim in enumerate(dims)
    )
    dtype = port.get_element_type().to_dtype()
    return TensorInfo(name=port.get_any_name(), dtype=str(dtype), shape=shape)


def path_of(bundle: Path, name: str) -> Path:
    """Path of the first file of variant `name`; its folder is made."""
    path = bundle / VARIANTS[name][0]
    path.parent.mkdir(parents=True, exist_ok=True)
    return path

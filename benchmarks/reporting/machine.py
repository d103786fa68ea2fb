"""What the figures were measured on, and how fast it multiplies."""

import os
import platform
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["ceiling", "cpu_model", "describe", "operations"]

_LAYERS: Final = 6
_WIDTH: Final = 384
_INNER: Final = 1536
_ROWS, _SHARED, _COLUMNS = 2048, 1536, 1536
"""Of the product that stands for the machine's best."""
_REPEATS: Final = 15

Matrix = npt.NDArray[Any]


def describe() -> Mapping[str, str]:
    """Facts for the heading of a report; nothing that names the machine."""
    from minilm.runtime.hardware.host import detect_host

    found = detect_host()
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    packages = ("numpy", "tokenizers", "onnxruntime", "openvino")
    return {
        "processor": cpu_model(),
        "cores allowed": f"{found.cores} ({found.cores_reason})",
        "instruction sets": ", ".join(found.instruction_sets) or "none of note",
        "memory": _memory(),
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "packages of the project": ", ".join(f"{name} {version(name)}" for name in packages),
        "load of the machine at the start": load,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Name of the processor, as the system gives it."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def operations(tokens: int) -> float:
    """Additions and multiplications of the matrix products for one text of `tokens` tokens."""
    linear = 2 * tokens * (4 * _WIDTH**2 + 2 * _WIDTH * _INNER)
    attention = 4 * tokens**2 * _WIDTH
    return float(_LAYERS * (linear + attention))


def ceiling() -> dict[str, float]:
    """Operations a second of one large product: fp32 and int8 by ONNX Runtime, bf16 by OpenVINO."""
    random = np.random.default_rng(0)
    a = random.standard_normal((_ROWS, _SHARED), dtype=np.float32)
    b = random.standard_normal((_SHARED, _COLUMNS), dtype=np.float32)
    a_int8 = random.integers(0, 255, a.shape, dtype=np.uint8)
    b_int8 = random.integers(-127, 127, b.shape, dtype=np.int8)
    return {
        "fp32": _rate(_onnx_product("MatMul", a, b)),
        "bf16": _rate(_openvino_product(a, b)),
        "int8": _rate(_onnx_product("MatMulInteger", a_int8, b_int8)),
    }


def _onnx_product(operator: str, a: Matrix, b: Matrix) -> Callable[[], Any]:
    import onnx
    import onnxruntime as ort
    from onnx import TensorProto, helper

    kind = helper.np_dtype_to_tensor_dtype(a.dtype)
    result = TensorProto.INT32 if operator == "MatMulInteger" else kind
    graph = helper.make_graph(
        [helper.make_node(operator, ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", kind, a.shape)],
        [helper.make_tensor_value_info("c", result, [a.shape[0], b.shape[1]])],
        [onnx.numpy_helper.from_array(b, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"a": a})


def _openvino_product(a: Matrix, b: Matrix) -> Callable[[], Any]:
    import openvino as ov
    from openvino import opset13 as ops

    left = ops.parameter(list(a.shape), np.float32)
    product = ops.matmul(left, ops.constant(b), transpose_a=False, transpose_b=False)
    model = ov.Model([product], [left])
    # As the loader runs this precision: bf16 where the processor has it, else f32.
    request = ov.Core().compile_model(model, "CPU").create_infer_request()
    return lambda: request.infer([a])


def _rate(product: Callable[[], Any]) -> float:
    product()
    # A ceiling: what disturbed a run is not part of it.
    seconds = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        product()
        seconds.append(time.perf_counter() - start)
    return 2.0 * _ROWS * _SHARED * _COLUMNS / min(seconds)


def _memory() -> str:
    import psutil

    return f"{psutil.virtual_memory().total / 2**30:.0f} GiB"

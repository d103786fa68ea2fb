"""What the figures were measured on, and how fast it multiplies."""

import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

__all__ = ["ceiling", "cpu_model", "describe", "operations"]

_LAYERS: Final = 6
_WIDTH: Final = 384
_INNER: Final = 1536
_SIZE: Final = (2048, 1536, 1536)
"""Rows, shared and columns of the product that stands for the machine's best."""
_REPEATS: Final = 15


def describe() -> Mapping[str, str]:
    """Facts for the heading of a report; nothing that names the machine."""
    from minilm.runtime import host

    found = host.describe()
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
    """Operations a second of one large product: fp32 and bf16 by PyTorch, int8 by ONNX Runtime."""
    import torch

    rows, shared, columns = _SIZE
    found = {}
    for name, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        a, b = torch.randn(rows, shared, dtype=kind), torch.randn(shared, columns, dtype=kind)
        found[name] = _rate(partial(torch.mm, a, b))
    found["int8"] = _rate(_int8_product())
    return found


def _int8_product() -> Callable[[], Any]:
    import numpy as np
    import onnx
    import onnxruntime as ort
    from onnx import TensorProto, helper

    rows, shared, columns = _SIZE
    random = np.random.default_rng(0)
    weights = random.integers(-127, 127, (shared, columns), dtype=np.int8)
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", TensorProto.UINT8, [rows, shared])],
        [helper.make_tensor_value_info("c", TensorProto.INT32, [rows, columns])],
        [onnx.numpy_helper.from_array(weights, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    providers = ["CPUExecutionProvider"]
    session = ort.InferenceSession(model.SerializeToString(), providers=providers)
    feed = {"a": random.integers(0, 255, (rows, shared), dtype=np.uint8)}
    return lambda: session.run(None, feed)


def _rate(product: Callable[[], Any]) -> float:
    product()
    # A ceiling: what disturbed a run is not part of it.
    seconds = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        product()
        seconds.append(time.perf_counter() - start)
    rows, shared, columns = _SIZE
    return 2.0 * rows * shared * columns / min(seconds)


def _memory() -> str:
    if sys.platform == "win32" or "SC_PHYS_PAGES" not in os.sysconf_names:
        return "unknown"
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"

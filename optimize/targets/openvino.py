"""OpenVINO on Intel and other x86-64 CPUs: an IR that runs in bf16 where the CPU has it, and int8.

Weights of the first are stored as fp16. The second is the static Q/DQ graph of
`minilm.optimize.static`, which OpenVINO reads as FakeQuantize and runs in int8; what the search
leaves out runs in bf16. Against NNCF's post-training quantization of the same graph, with both
`output.dense` products of each layer left out, it has the better minimum, alone and in padded
batches, and is faster, since half as many products have to stay out. The attention products stay
out of int8 always: the mask's large negative numbers ruin their ranges.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import onnx_ir as ir
from minilm.optimize.describe import describe_ir
from minilm.optimize.intermediate import normalize
from minilm.optimize.passes.infra import tidy
from minilm.optimize.passes.simplify import simplified
from minilm.optimize.spec import Exported, path_of
from minilm.optimize.static import quantized
from minilm.runtime.errors import BuildFailed
from minilm.runtime.manifest import Variant

__all__ = ["build", "precisions"]

precisions: Final = ("bf16", "int8")

_ATTENTION: Final = "ScaledDotProductAttention"
_INSTRUCTION_SETS: Final = {
    "bf16": ("amx_bf16", "avx512_bf16"),
    "int8": ("amx_int8", "avx512_vnni", "avx_vnni"),
}


def build(exported: Exported, precision: str, bundle: Path, corpus: Sequence[str]) -> Variant:
    """See `Target.build`."""
    name = f"openvino/{precision}"
    float_layers: frozenset[str] = frozenset()
    # Pooling is no product here: what follows the last product OpenVINO computes in f32.
    if precision == "bf16":
        model = simplified(exported, product_pooling=False)
    else:
        model, plan = quantized(exported, corpus, product_pooling=False)
        float_layers = plan.left_out
    _save(model, path_of(bundle, name), exported.layers)
    variant = describe_ir(
        bundle,
        name,
        backend_version="2025.0",
        instruction_sets=_INSTRUCTION_SETS[precision],
    )
    return replace(variant, float_layers=tuple(sorted(float_layers)))


def _save(model: ir.Model, destination: Path, layers: int) -> None:
    import openvino as ov

    scratch = destination.with_suffix(".onnx")
    try:
        ir.save(tidy(model), scratch)
        converted = ov.convert_model(scratch)
        _expect_attention(converted, layers)
        ov.save_model(converted, destination, compress_to_fp16=True)
    finally:
        scratch.unlink(missing_ok=True)
    normalize(destination)


def _expect_attention(model: Any, layers: int) -> None:
    found = sum(operation.get_type_name() == _ATTENTION for operation in model.get_ops())
    if found != layers:
        raise BuildFailed(
            f"openvino: expected {layers} of pattern {_ATTENTION!r} and found {found}"
        )

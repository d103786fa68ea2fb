"""OpenVINO on Intel and other x86-64 CPUs: an IR that runs in bf16 where the CPU has it, and int8.

Weights of the first are stored as fp16. In the second the attention products stay out of int8 (the
mask's large negative numbers ruin their ranges: 0.59 in padded batches), and so do both
`output.dense` products of each layer, whose inputs have outliers (0.90 with them, 0.993 without).
Pooling is no product here, so that OpenVINO computes it in f32 as it does all that follows the last
product.
"""

import contextlib
import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import onnx_ir as ir
from minilm.optimize.calibration import feeds
from minilm.optimize.describe import describe_ir
from minilm.optimize.intermediate import normalize
from minilm.optimize.passes.infra import tidy
from minilm.optimize.passes.simplify import simplified
from minilm.optimize.spec import Exported, path_of
from minilm.runtime.errors import BuildFailed
from minilm.runtime.manifest import Variant

__all__ = ["build", "precisions"]

precisions: Final = ("bf16", "int8")

_ATTENTION: Final = "ScaledDotProductAttention"
_LEFT_OUT: Final = (
    "encoder.layer.{}.attention.output.dense.MatMul",
    "encoder.layer.{}.output.dense.MatMul",
)
_INSTRUCTION_SETS: Final = {
    "bf16": ("amx_bf16", "avx512_bf16"),
    "int8": ("amx_int8", "avx512_vnni", "avx_vnni"),
}


def build(exported: Exported, precision: str, bundle: Path, corpus: Sequence[str]) -> Variant:
    """See `Target.build`."""
    import openvino as ov

    name = f"openvino/{precision}"
    destination = path_of(bundle, name)
    scratch = destination.with_suffix(".onnx")
    ir.save(tidy(simplified(exported, product_pooling=False)), scratch)
    try:
        model = ov.convert_model(scratch)
        if precision == "int8":
            model = _quantized(model, exported, corpus)
        ov.save_model(model, destination, compress_to_fp16=True)
    finally:
        scratch.unlink()
    normalize(destination)
    return describe_ir(
        bundle,
        name,
        backend_version="2025.0",
        instruction_sets=_INSTRUCTION_SETS[precision],
    )


def _quantized(model: Any, exported: Exported, corpus: Sequence[str]) -> Any:
    import nncf

    nncf.set_log_level(logging.ERROR)
    names = [pattern.format(n) for n in range(exported.layers) for pattern in _LEFT_OUT]
    _expect(model, names, exported.layers)
    inputs = feeds(exported.tokenizer, corpus, exported.max_tokens)
    with contextlib.redirect_stdout(io.StringIO()):  # its progress bars
        return nncf.quantize(
            model,
            nncf.Dataset(inputs),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(inputs),
            model_type=nncf.ModelType.TRANSFORMER,
            ignored_scope=nncf.IgnoredScope(names=names, types=[_ATTENTION]),
        )


def _expect(model: Any, names: Sequence[str], layers: int) -> None:
    """Check that what is to be left out is there: a type that matches nothing NNCF only logs."""
    operations = model.get_ops()
    missing = set(names) - {operation.get_friendly_name() for operation in operations}
    if missing:
        raise BuildFailed(f"openvino/int8: the graph has no operation named {min(missing)!r}")
    found = sum(operation.get_type_name() == _ATTENTION for operation in operations)
    if found != layers:
        raise BuildFailed(
            f"openvino/int8: expected {layers} of pattern {_ATTENTION!r} and found {found}"
        )

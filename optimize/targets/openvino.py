"""OpenVINO on Intel and other x86-64 CPUs: an IR that runs in bf16 where the CPU has it, and int8.

Weights of the first are stored as fp16. The second stores weights as int8 and asks OpenVINO to
quantize activations at run time, in groups of elements of each token. Where the CPU
has VNNI the products are int8; elsewhere OpenVINO widens the weights and multiplies in floating
point. No product can saturate, and no range is fixed by calibration texts. A static graph
(FakeQuantize) saturates u8 x s8 products without VNNI, at mean cosine 0.9977, and loses tokens that
calibration never saw. The attention products stay out of int8: the mask's large negative numbers
ruin their ranges.
"""

from pathlib import Path
from typing import Any, Final

import onnx_ir as ir
from minilm.optimize.calibration.gptq import QuantizedWeight, gptq
from minilm.optimize.calibration.hadamard import block_size
from minilm.optimize.calibrator import Calibrator
from minilm.optimize.exported import ExportedModel
from minilm.optimize.ir_utils import Linear, linears
from minilm.optimize.passes.base import run, tidy
from minilm.optimize.passes.embeddings import CastEmbeddingsToFp16
from minilm.optimize.passes.qdq import QuantizeWeights
from minilm.optimize.passes.smoothquant import SmoothLayerNorm, fit_smoothing
from minilm.optimize.passes.source_graph import simplified
from minilm.optimize.targets.describe import describe_ir, path_of
from minilm.optimize.targets.openvino_ir import normalize
from minilm.runtime.errors import BuildFailed
from minilm.runtime.manifest import Variant

__all__ = ["build", "precisions"]

precisions: Final = ("bf16", "int8")

ALPHA: Final = 0.7
"""Smoothing strength: of 0.5, 0.7 and 0.8 the best mean over the built-in corpus."""

_ATTENTION: Final = "ScaledDotProductAttention"
_RUNTIME_OPTIONS: Final = "runtime_options"
_INSTRUCTION_SETS: Final = {
    "bf16": ("amx_bf16", "avx512_bf16"),
    "int8": ("avx512_vnni", "avx_vnni"),
}


def build(
    exported: ExportedModel, precision: str, bundle: Path, calibration: Calibrator
) -> Variant:
    """See `Target.build`."""
    name = f"openvino/{precision}"
    # Pooling is no product here: what follows the last product OpenVINO computes in f32.
    model = simplified(exported, product_pooling=False)
    group_size = None
    if precision == "int8":
        model = _quantized(model, exported, calibration)
        group_size = _group_size(exported)
    _save(model, path_of(bundle, name), exported.config.layers, group_size)
    return describe_ir(
        bundle,
        name,
        backend_version="2025.0",
        instruction_sets=_INSTRUCTION_SETS[precision],
    )


def _quantized(model: ir.Model, exported: ExportedModel, calibration: Calibrator) -> ir.Model:
    seen = calibration.statistics
    smoothings = fit_smoothing(model.graph, seen, alpha=ALPHA, shift=False)

    def round_weight(linear: Linear) -> QuantizedWeight:
        smoothing = smoothings.get(linear.name)
        statistics = seen[linear.name]
        return gptq(linear.weight, smoothing.gram(statistics) if smoothing else statistics.gram)

    return run(
        model,
        [
            SmoothLayerNorm(smoothings=smoothings, norms=2 * exported.config.layers),
            QuantizeWeights(linears=len(list(linears(model.graph))), round_weight=round_weight),
            CastEmbeddingsToFp16(),
        ],
    )


def _group_size(exported: ExportedModel) -> int:
    """Elements of a token with one scale, for every layer: 128 for this model.

    64 is closer to the original and slower, 384 the reverse.
    """
    found = linears(simplified(exported).graph)
    return min(block_size(len(linear.weight)) for linear in found)


def _save(model: ir.Model, destination: Path, layers: int, group_size: int | None) -> None:
    import openvino as ov

    scratch = destination.with_suffix(".onnx")
    try:
        ir.save(tidy(model), scratch)
        converted = ov.convert_model(scratch)
        _expect_attention(converted, layers)
        if group_size is not None:
            option = [_RUNTIME_OPTIONS, "DYNAMIC_QUANTIZATION_GROUP_SIZE"]
            converted.set_rt_info(str(group_size), option)
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

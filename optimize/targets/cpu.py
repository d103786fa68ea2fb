"""ONNX Runtime on CPU: fp32, and int8 with a scale per token.

`SkipLayerNormalization` is left out on purpose: on CPU it takes ten times what the additions and
LayerNormalization take (774 against 75 microseconds at 512 x 384, ONNX Runtime 1.32, Zen 5).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import onnx_ir as ir
from minilm.optimize.calibration.gptq import QuantizedWeight, gptq
from minilm.optimize.calibration.statistics import ActivationStatistics
from minilm.optimize.calibrator import Calibrator
from minilm.optimize.exported import ExportedModel
from minilm.optimize.ir_utils import Linear
from minilm.optimize.passes.attention import UnfuseAttention
from minilm.optimize.passes.base import Pass, run, tidy
from minilm.optimize.passes.biases import FoldBiases, UnfuseBiasGelu
from minilm.optimize.passes.embeddings import QuantizeWordEmbeddings
from minilm.optimize.passes.flatten import FlattenBatch
from minilm.optimize.passes.fusion import FuseTransformer
from minilm.optimize.passes.per_token import QuantizeDynamicPerToken
from minilm.optimize.passes.smoothquant import SmoothLayerNorm, fit_smoothing
from minilm.optimize.passes.source_graph import simplified
from minilm.optimize.targets.describe import describe_onnx, path_of
from minilm.runtime.manifest import Variant

__all__ = ["build", "precisions"]

precisions: Final = ("fp32", "int8")

ALPHA: Final = 0.8
"""Smoothing strength: the best minimum of 0, 0.3, 0.5, 0.7 to 0.9 on 3,000 STS sentences."""

_BACKEND_VERSION: Final = {"fp32": "1.20", "int8": "1.24"}
"""int8 is a graph of opset 23, all of whose operators ONNX Runtime has on CPU since 1.24."""
_INSTRUCTION_SETS: Final = {"fp32": (), "int8": ("amx_int8", "avx512_vnni", "avx_vnni", "asimddp")}


def build(
    exported: ExportedModel, precision: str, bundle: Path, calibration: Calibrator
) -> Variant:
    """See `Target.build`."""
    name = f"cpu/{precision}"
    model = run(simplified(exported), _fused(exported))
    if precision == "int8":
        model = _quantized(model, exported, calibration)
    ir.save(tidy(model), path_of(bundle, name))
    return describe_onnx(
        bundle,
        name,
        backend="onnxruntime",
        backend_version=_BACKEND_VERSION[precision],
        instruction_sets=_INSTRUCTION_SETS[precision],
    )


def _fused(exported: ExportedModel) -> list[Pass]:
    config = exported.config
    return [
        FuseTransformer(layers=config.layers, heads=config.heads, dimension=config.dimension),
        FlattenBatch(layers=config.layers),
    ]


def _quantized(model: ir.Model, exported: ExportedModel, calibration: Calibrator) -> ir.Model:
    layers = exported.config.layers
    model = run(model, [UnfuseAttention(layers=layers)])
    seen = _by_fused_name(calibration.statistics, layers)
    smoothings = fit_smoothing(model.graph, seen, alpha=ALPHA)

    def round_weight(linear: Linear) -> QuantizedWeight:
        smoothing = smoothings.get(linear.name)
        statistics = seen[linear.name]
        gram = smoothing.gram(statistics) if smoothing else statistics.gram
        return gptq(linear.weight, gram, pairs=True)

    return run(
        model,
        [
            SmoothLayerNorm(smoothings=smoothings, norms=2 * layers),
            FoldBiases(layers=layers),
            UnfuseBiasGelu(layers=layers),
            QuantizeDynamicPerToken(layers=layers, round_weight=round_weight),
            QuantizeWordEmbeddings(),
        ],
    )


def _by_fused_name(
    seen: Mapping[str, ActivationStatistics], layers: int
) -> Mapping[str, ActivationStatistics]:
    """Add the joined product of Q, K and V, which reads what each of them read."""
    joined = {
        f"encoder.layer.{layer}.attention.qkv": seen[f"encoder.layer.{layer}.attention.self.query"]
        for layer in range(layers)
    }
    return {**seen, **joined}

"""NVIDIA GPUs: a fused fp16 graph for the CUDA provider, and an int8 Q/DQ graph for TensorRT too.

Their numbers are checked on the CPU provider where there is no GPU: it computes fp16 in fp32 and
dequantizes int8 the way the standard says. On an H200 (ONNX Runtime 1.31.1) fp16 gave the
original's vectors at 0.999999 over 3,000 STS sentences, 22,000 a second; int8, when it left six
layers out, at 0.9992, 18,000 a second. The CUDA provider has no int8 product for the Q/DQ graph: it
multiplies what it dequantized, so that int8 is smaller there and not faster, and sums in float,
whose order depends on the shape, move codes by one: a vector alone and in a batch agree to 0.999.
TensorRT was not run.

Weight-only int8 (`MatMulNBits`, fp16 activations) is not built. It would be closer to the original
(weights alone in GPTQ's int8: mean cosine 0.9998, minimum 0.9989 over 3,000 STS sentences), but its
products are fp16's: it saves reading weights, which a decoder waits for and an encoder of 21 MB,
fed hundreds of tokens at a time, does not. Who wants closeness has it in cuda/fp16.
"""

from dataclasses import replace
from pathlib import Path
from typing import Final

import onnx_ir as ir
from minilm.optimize.calibrator import Calibrator
from minilm.optimize.exported import ExportedModel
from minilm.optimize.passes.base import Pass, run, tidy
from minilm.optimize.passes.embeddings import CastEmbeddingsToFp16
from minilm.optimize.passes.fp16 import ConvertToFp16
from minilm.optimize.passes.fusion import FuseTransformer
from minilm.optimize.passes.skip_layer_norm import FuseSkipLayerNorm
from minilm.optimize.passes.source_graph import simplified
from minilm.optimize.search.mixed_precision import search_mixed_precision
from minilm.optimize.targets.describe import describe_onnx, path_of
from minilm.runtime.manifest import Variant

__all__ = ["build", "precisions"]

precisions: Final = ("fp16", "int8")

_INSTRUCTION_SETS: Final = {"fp16": ("sm_70",), "int8": ("sm_75",)}
"""Compute capability from which tensor cores take fp16 (Volta) and int8 (Turing)."""


def build(
    exported: ExportedModel, precision: str, bundle: Path, calibration: Calibrator
) -> Variant:
    """See `Target.build`."""
    name = f"cuda/{precision}"
    float_layers: frozenset[str] = frozenset()
    if precision == "fp16":
        model = _halved(exported)
    else:
        plan = search_mixed_precision(calibration)
        float_layers = plan.float_layers
        model = plan.recipe.apply(simplified(exported), float_layers)
        model = run(model, [CastEmbeddingsToFp16()])
    ir.save(tidy(model), path_of(bundle, name))
    variant = describe_onnx(
        bundle,
        name,
        backend="onnxruntime-gpu",
        backend_version="1.21",
        instruction_sets=_INSTRUCTION_SETS[precision],
    )
    return replace(variant, float_layers=tuple(sorted(float_layers)))


def _halved(exported: ExportedModel) -> ir.Model:
    fusion = FuseTransformer(
        layers=exported.config.layers,
        heads=exported.config.heads,
        dimension=exported.config.dimension,
        mask_lengths=True,
    )
    passes: list[Pass] = [fusion, FuseSkipLayerNorm(layers=exported.config.layers), ConvertToFp16()]
    return run(simplified(exported), passes)

"""NVIDIA GPUs: a fused fp16 graph for the CUDA provider, and an int8 Q/DQ graph for TensorRT too.

Neither was run on a GPU when it was written: their numbers are checked on the CPU provider, which
computes fp16 in fp32 and dequantizes int8 the way the standard says.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import onnx_ir as ir
from minilm.optimize.calibration import feeds, statistics
from minilm.optimize.describe import describe_onnx
from minilm.optimize.passes.fusion import FuseTransformer
from minilm.optimize.passes.graph import Linear, linears
from minilm.optimize.passes.half import HalvePrecision
from minilm.optimize.passes.infra import run, tidy
from minilm.optimize.passes.qdq import QuantizeStatic
from minilm.optimize.passes.residual import JoinResiduals
from minilm.optimize.passes.simplify import simplified
from minilm.optimize.passes.smoothing import Smooth
from minilm.optimize.rounding import Rounded, gptq
from minilm.optimize.spec import Exported, path_of
from minilm.runtime.manifest import Variant

__all__ = ["build", "precisions"]

precisions: Final = ("fp16", "int8")

ALPHA: Final = 0.6
"""Smoothing strength of the static graph, whose activations have one scale a layer."""

_LEFT_OUT: Final = ("encoder.layer.{}.output.dense",)
"""FFN2: after GELU a few tokens are a hundred times as large as the rest, which one scale loses."""
_INSTRUCTION_SETS: Final = {"fp16": ("sm_70",), "int8": ("sm_75",)}
"""Compute capability from which tensor cores take fp16 (Volta) and int8 (Turing)."""


def build(exported: Exported, precision: str, bundle: Path, corpus: Sequence[str]) -> Variant:
    """See `Target.build`."""
    name = f"cuda/{precision}"
    model = simplified(exported)
    whole = precision == "fp16"
    model = _halved(model, exported) if whole else _quantized(model, exported, corpus)
    ir.save(tidy(model), path_of(bundle, name))
    return describe_onnx(
        bundle,
        name,
        backend="onnxruntime-gpu",
        backend_version="1.20",
        instruction_sets=_INSTRUCTION_SETS[precision],
    )


def _halved(model: ir.Model, exported: Exported) -> ir.Model:
    fusion = FuseTransformer(
        layers=exported.layers,
        heads=exported.heads,
        dimension=exported.dimension,
        mask_lengths=True,
    )
    return run(model, [fusion, JoinResiduals(layers=exported.layers), HalvePrecision()])


def _quantized(model: ir.Model, exported: Exported, corpus: Sequence[str]) -> ir.Model:
    inputs = feeds(exported.tokenizer, corpus, exported.max_tokens)
    layers = exported.layers
    before = statistics(model, _inputs(model), inputs, products=False)
    model = run(model, [Smooth(statistics=before, norms=2 * layers, alpha=ALPHA)])
    smoothed = statistics(model, _inputs(model), inputs)

    def round_weight(linear: Linear) -> Rounded:
        return gptq(linear.weight, smoothed[linear.input.name or ""].gram)

    quantize = QuantizeStatic(
        linears=6 * layers,
        peaks={name: seen.peak for name, seen in smoothed.items()},
        round_weight=round_weight,
        left_out=frozenset(name.format(n) for n in range(layers) for name in _LEFT_OUT),
    )
    return run(model, [quantize])


def _inputs(model: ir.Model) -> list[ir.Value]:
    return [linear.input for linear in linears(model.graph)]

"""ONNX Runtime on CPU: fp32, and int8 with a scale per token.

`SkipLayerNormalization` is left out on purpose: on CPU it takes ten times what the additions and
LayerNormalization take (774 against 75 microseconds at 512 x 384, ONNX Runtime 1.32, Zen 5).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import onnx_ir as ir
from minilm.optimize.calibration import feeds, statistics
from minilm.optimize.describe import describe_onnx
from minilm.optimize.passes.attention import SplitAttention
from minilm.optimize.passes.biases import FoldBiases, SplitGelu
from minilm.optimize.passes.embeddings import QuantizeWordEmbeddings
from minilm.optimize.passes.fusion import FuseTransformer
from minilm.optimize.passes.graph import Linear, linear_inputs
from minilm.optimize.passes.infra import Pass, run, tidy
from minilm.optimize.passes.per_token import QuantizePerToken
from minilm.optimize.passes.simplify import simplified
from minilm.optimize.passes.smoothing import Smooth
from minilm.optimize.passes.tokens import FlattenTokens
from minilm.optimize.rounding import Rounded, gptq
from minilm.optimize.spec import Exported, path_of
from minilm.runtime.manifest import Variant

__all__ = ["build", "precisions"]

precisions: Final = ("fp32", "int8")

ALPHA: Final = 0.8
"""Smoothing strength: the best minimum of 0, 0.3, 0.5, 0.7 to 0.9 on 3,000 STS sentences."""

_BACKEND_VERSION: Final = {"fp32": "1.20", "int8": "1.23"}
"""int8 uses the standard's `Attention`, which ONNX Runtime has on CPU since 1.23."""
_INSTRUCTION_SETS: Final = {"fp32": (), "int8": ("amx_int8", "avx512_vnni", "avx_vnni", "dotprod")}


def build(exported: Exported, precision: str, bundle: Path, corpus: Sequence[str]) -> Variant:
    """See `Target.build`."""
    name = f"cpu/{precision}"
    model = run(simplified(exported), _fused(exported))
    if precision == "int8":
        model = _quantized(model, exported, corpus)
    ir.save(tidy(model), path_of(bundle, name))
    return describe_onnx(
        bundle,
        name,
        backend="onnxruntime",
        backend_version=_BACKEND_VERSION[precision],
        instruction_sets=_INSTRUCTION_SETS[precision],
    )


def _fused(exported: Exported) -> list[Pass]:
    return [
        FuseTransformer(layers=exported.layers, heads=exported.heads, dimension=exported.dimension),
        FlattenTokens(layers=exported.layers),
    ]


def _quantized(model: ir.Model, exported: Exported, corpus: Sequence[str]) -> ir.Model:
    inputs = feeds(exported.tokenizer, corpus, exported.max_tokens)
    layers = exported.layers
    model = run(model, [SplitAttention(layers=layers)])
    before = statistics(model, linear_inputs(model.graph), inputs, products=False)
    smooth = Smooth(statistics=before, norms=2 * layers, alpha=ALPHA)
    model = run(model, [smooth, FoldBiases(layers=layers), SplitGelu(layers=layers)])
    smoothed = statistics(model, linear_inputs(model.graph), inputs)

    def round_weight(linear: Linear) -> Rounded:
        return gptq(linear.weight, smoothed[linear.input.name or ""].gram, pairs=True)

    return run(
        model,
        [QuantizePerToken(layers=layers, round_weight=round_weight), QuantizeWordEmbeddings()],
    )

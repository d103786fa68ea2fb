"""The fusions of `onnxruntime.transformers`, each asked for by name and counted."""

import contextlib
import io
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import onnx_ir as ir
from minilm.optimize.ir_utils import MICROSOFT
from minilm.optimize.passes.base import Changes
from onnxruntime.transformers.fusion_options import AttentionMaskFormat, FusionOptions
from onnxruntime.transformers.onnx_model_bert import BertOnnxModel

__all__ = ["FuseTransformer"]


@dataclass(frozen=True, kw_only=True)
class FuseTransformer:
    """Join the operators of each encoder layer into ONNX Runtime's own.

    Makes one `Attention` (Q, K and V in one product) and one `BiasGelu` a layer.

    Attributes:
        layers: of the encoder.
        heads: of each layer's attention.
        dimension: elements of a token's vector.
        mask_lengths: give `Attention` the number of tokens of each text in place of a raw mask,
            which keeps CUDA's fused kernels away. Right for right-padded batches alone.
    """

    layers: int
    heads: int
    dimension: int
    mask_lengths: bool = False

    @property
    def promises(self) -> Mapping[str, int]:
        return {"Attention": self.layers, "BiasGelu": self.layers}

    def __call__(self, model: ir.Model) -> Changes:
        options = FusionOptions("bert")
        options.enable_embed_layer_norm = False
        options.enable_skip_layer_norm = False  # see minilm.optimize.passes.skip_layer_norm
        options.enable_bias_skip_layer_norm = False
        options.attention_mask_format = (
            AttentionMaskFormat.MaskIndexEnd
            if self.mask_lengths
            else AttentionMaskFormat.AttentionMask
        )
        logger = logging.getLogger("onnxruntime.transformers")
        before = logger.level
        logger.setLevel(logging.ERROR)
        try:
            # Its symbolic shape inference prints to the screen where it gives up.
            with contextlib.redirect_stdout(io.StringIO()):
                bert = BertOnnxModel(ir.to_proto(model), self.heads, self.dimension)
                bert.optimize(options)
                bert.topological_sort()
        finally:
            logger.setLevel(before)
        fused = ir.from_proto(bert.model)
        fused.graph.opset_imports.setdefault(MICROSOFT, 1)  # it uses the domain unannounced
        counts = Counter(node.op_type for node in fused.graph if node.domain == MICROSOFT)
        return Changes(model=fused, counts=counts)

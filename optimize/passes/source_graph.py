"""What every target starts with: rewrites in standard operators that are faster everywhere."""

import onnx_ir as ir
from minilm.optimize.exported import ExportedModel
from minilm.optimize.passes.base import run
from minilm.optimize.passes.embeddings import FoldTokenTypeEmbeddings
from minilm.optimize.passes.pooling import SimplifyL2Norm, SimplifyMeanPooling

__all__ = ["simplified"]


def simplified(exported: ExportedModel, *, product_pooling: bool = True) -> ir.Model:
    """Load the portable graph and simplify embeddings, pooling and L2 norm (see the passes)."""
    return run(
        ir.load(exported.graph),
        [
            FoldTokenTypeEmbeddings(),
            SimplifyMeanPooling(pooling=exported.config.pooling, product=product_pooling),
            SimplifyL2Norm(normalized=exported.config.normalized),
        ],
    )

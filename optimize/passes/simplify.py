"""What every target starts with: rewrites in standard operators that are faster everywhere."""

import onnx_ir as ir
from minilm.optimize.passes.embeddings import FoldTokenTypes
from minilm.optimize.passes.infra import run
from minilm.optimize.passes.pooling import DivideByNorm, PoolMean
from minilm.optimize.spec import Exported

__all__ = ["simplified"]


def simplified(exported: Exported, *, product_pooling: bool = True) -> ir.Model:
    """Load the portable graph and simplify embeddings, pooling (see `PoolMean`) and norm."""
    return run(
        ir.load(exported.graph),
        [
            FoldTokenTypes(),
            PoolMean(pooling=exported.pooling, product=product_pooling),
            DivideByNorm(normalized=exported.normalized),
        ],
    )

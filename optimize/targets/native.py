"""The project's own encoder: int8 weights in a rotated basis, independent of instruction sets.

Every product's input is rotated, so that symmetric codes with one scale a token do (see
`minilm.optimize.calibration.hadamard`). The encoder rotates what norms and GELU give; the rotation
of what attention gives lies within heads and is folded into the values' weights and bias, so
nothing of it is left to compute. `runtime/native/README.md` describes the file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from minilm.optimize.calibration.gptq import QuantizedWeight, gptq
from minilm.optimize.calibration.hadamard import (
    block_size,
    hadamard,
    rotate_gram,
    rotate_weight,
)
from minilm.optimize.calibration.statistics import ActivationStatistics
from minilm.optimize.calibrator import Calibrator
from minilm.optimize.exported import ExportedModel
from minilm.optimize.ir_utils import array_of, linears, nodes_of
from minilm.optimize.passes.source_graph import simplified
from minilm.optimize.targets.describe import path_of
from minilm.optimize.targets.weight_file import write_weight_file
from minilm.runtime.errors import BuildFailed
from minilm.runtime.manifest import VARIANTS, TensorInfo, Variant

__all__ = ["build", "precisions", "unsupported_reason"]

precisions: Final = ("int8",)

_NAME: Final = "native/int8"
_MULTIPLE: Final = 16
"""Elements that the encoder computes at a time."""

Floats = npt.NDArray[np.floating]
Tensors = dict[str, npt.NDArray[Any]]


def unsupported_reason(exported: ExportedModel) -> str | None:
    """Why the encoder cannot run a model; None if it can."""
    width = exported.config.dimension // exported.config.heads
    if width % _MULTIPLE == 0:
        return None
    return (
        f"its attention heads have {width} elements, and the native encoder computes multiples of "
        f"{_MULTIPLE}"
    )


def build(
    exported: ExportedModel, precision: str, bundle: Path, calibration: Calibrator
) -> Variant:
    """See `Target.build`."""
    assert precision in precisions
    graph = simplified(exported).graph
    tensors = {
        **_embeddings(graph),
        **_norms(graph),
        **_linears(graph, exported, calibration.statistics),
    }
    write_weight_file(path_of(bundle, _NAME), tensors, _architecture(graph, exported, tensors))
    return Variant(
        name=_NAME,
        files=VARIANTS[_NAME],
        opset=1,
        inputs=(
            TensorInfo(name="ids", dtype="int32", shape=("tokens",)),
            TensorInfo(name="offsets", dtype="int64", shape=("batch + 1",)),
        ),
        outputs=(
            TensorInfo(
                name="sentence_embedding",
                dtype="float32",
                shape=("batch", exported.config.dimension),
            ),
        ),
        operators=_operators(exported),
        backend="minilm-toolkit",
        backend_version="0.1.0",
        instruction_sets=(),  # every processor gives the same bytes
    )


def _operators(exported: ExportedModel) -> dict[str, int]:
    layers = exported.config.layers
    return {
        "Attention": layers,
        "Embedding": 1,
        "Gelu": layers,
        "LayerNormalization": 2 * layers + 1,
        "LinearInt8": 6 * layers,
    }


def _architecture(
    graph: ir.Graph, exported: ExportedModel, tensors: Mapping[str, npt.NDArray[Any]]
) -> dict[str, Any]:
    dimension = exported.config.dimension
    intermediate = len(tensors["encoder.layer.0.intermediate.dense.scale"])
    if intermediate % _MULTIPLE:
        raise BuildFailed(
            f"{_NAME}: the feed-forward layers have {intermediate} elements, and the native "
            f"encoder computes multiples of {_MULTIPLE}: build the other variants"
        )
    epsilons = {
        node.attributes.get_float("epsilon", 1e-5) for node in nodes_of(graph, "LayerNormalization")
    }
    assert len(epsilons) == 1, "a BERT model has one epsilon"
    return {
        "layers": exported.config.layers,
        "heads": exported.config.heads,
        "dimension": dimension,
        "intermediate": intermediate,
        "vocab_size": len(tensors["embeddings.word_embeddings.scale"]),
        "positions": len(tensors["embeddings.position_embeddings.weight"]),
        "max_tokens": exported.config.max_tokens,
        "pooling": exported.config.pooling,
        "normalized": exported.config.normalized,
        "layer_norm_eps": epsilons.pop(),
        "activation": "gelu",
        "rotation": {
            "query_key_value": block_size(dimension),
            "attention_output": block_size(dimension // exported.config.heads),
            "intermediate": block_size(dimension),
            "output": block_size(intermediate),
        },
    }


def _embeddings(graph: ir.Graph) -> Tensors:
    """Words as int8 with a scale for each row, symmetric; positions as they are."""
    table = array_of(graph.initializers["embeddings.word_embeddings.weight"])
    scale = (np.abs(table).max(axis=1) / np.float32(127)).astype(np.float32)
    scale = np.where(scale > 0, scale, np.float32(1))
    positions = "embeddings.position_embeddings.weight"
    return {
        "embeddings.word_embeddings.weight": np.rint(table / scale[:, None]).astype(np.int8),
        "embeddings.word_embeddings.scale": scale,
        positions: array_of(graph.initializers[positions]),
    }


def _norms(graph: ir.Graph) -> Tensors:
    """By the norms' own names: equal arrays of several norms are one initializer of the graph."""
    tensors: Tensors = {}
    for node in nodes_of(graph, "LayerNormalization"):
        name = (node.name or "").removesuffix(".LayerNormalization")
        tensors[f"{name}.weight"] = array_of(node.inputs[1])
        tensors[f"{name}.bias"] = array_of(node.inputs[2])
    return tensors


def _linears(
    graph: ir.Graph, exported: ExportedModel, seen: Mapping[str, ActivationStatistics]
) -> Tensors:
    head = block_size(exported.config.dimension // exported.config.heads)
    tensors: Tensors = {}
    for linear in linears(graph):
        name = linear.name
        assert linear.bias is not None, f"{name} has no bias"
        weight: Floats = linear.weight
        bias: Floats = linear.bias
        if name.endswith("attention.self.value"):
            weight, bias = _rotate_blocks(weight, head), _rotate_blocks(bias, head)
        if name.endswith("attention.output.dense"):
            rotated = _rotate_blocks(weight.T, head).T
            gram = _rotate_blocks(_rotate_blocks(seen[name].gram, head).T, head)
        else:
            rotated, gram = rotate_weight(weight), rotate_gram(seen[name].gram)
        quantized: QuantizedWeight = gptq(rotated.astype(np.float32), gram)
        tensors[f"{name}.weight"] = np.ascontiguousarray(quantized.codes.T)
        tensors[f"{name}.scale"] = quantized.scale
        tensors[f"{name}.bias"] = bias.astype(np.float32)
    return tensors


def _rotate_blocks(rows: Floats, block: int) -> npt.NDArray[np.float64]:
    """Each block of the last axis times the Hadamard matrix: float64, the same shape."""
    blocks = rows.astype(np.float64).reshape(-1, block)
    return np.asarray(blocks @ hadamard(block)).reshape(rows.shape)

"""The native encoder's arithmetic in plain NumPy: the oracle that every kernel is held against.

Additions stand in the encoder's order (16 lanes, then pairs of lanes 8, 4, 2 and 1 apart), and a
fused multiply-add is a float64 product and sum, rounded once more. That second rounding differs
from a true one in about one of 10^8 operations, so the bytes are the encoder's for almost any
model, and for every model that the tests fix.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Tensors = dict[str, npt.NDArray[Any]]

LANES: Final = 16


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The metadata `architecture` of a weight file."""

    layers: int = 2
    heads: int = 2
    dimension: int = 32
    intermediate: int = 64
    vocab_size: int = 50
    positions: int = 40
    max_tokens: int = 32
    pooling: str = "mean"
    normalized: bool = True
    layer_norm_eps: float = 1e-12
    activation: str = "gelu"
    rotation: Mapping[str, int] = field(default_factory=dict)


def with_rotation(architecture: Architecture) -> Architecture:
    """The architecture with the largest blocks up to 128 that divide each width."""
    width, middle = architecture.dimension, architecture.intermediate
    rotation = {
        "query_key_value": largest_block(width),
        "attention_output": largest_block(width // architecture.heads),
        "intermediate": largest_block(width),
        "output": largest_block(middle),
    }
    return Architecture(**{**asdict(architecture), "rotation": rotation})


def largest_block(width: int) -> int:
    return min(128, width & -width)


def tensor_shapes(a: Architecture) -> dict[str, tuple[type, tuple[int, ...]]]:
    """Name of every tensor of a weight file to its dtype and shape."""
    width = a.dimension
    shapes: dict[str, tuple[type, tuple[int, ...]]] = {
        "embeddings.word_embeddings.weight": (np.int8, (a.vocab_size, width)),
        "embeddings.word_embeddings.scale": (np.float32, (a.vocab_size,)),
        "embeddings.position_embeddings.weight": (np.float32, (a.positions, width)),
    }
    norms = ["embeddings.LayerNorm"]
    for index in range(a.layers):
        name = f"encoder.layer.{index}."
        norms += [f"{name}attention.output.LayerNorm", f"{name}output.LayerNorm"]
        for part, outputs, inputs in (
            ("attention.self.query", width, width),
            ("attention.self.key", width, width),
            ("attention.self.value", width, width),
            ("attention.output.dense", width, width),
            ("intermediate.dense", a.intermediate, width),
            ("output.dense", width, a.intermediate),
        ):
            shapes[f"{name}{part}.weight"] = (np.int8, (outputs, inputs))
            shapes[f"{name}{part}.scale"] = (np.float32, (outputs,))
            shapes[f"{name}{part}.bias"] = (np.float32, (outputs,))
    for name in norms:
        shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (np.float32, (width,))
    return shapes


def random_tensors(a: Architecture, seed: int = 0) -> Tensors:
    """Weights of about the spread that a trained model has."""
    random = np.random.default_rng(seed)
    tensors: Tensors = {}
    for name, (dtype, shape) in tensor_shapes(a).items():
        if dtype is np.int8:
            tensors[name] = random.integers(-127, 128, shape, dtype=np.int8)
        elif name.endswith(".scale"):
            inputs = a.intermediate if name.endswith("output.dense.scale") else a.dimension
            spread = random.uniform(0.5, 1.5, shape) / (73 * np.sqrt(inputs))
            tensors[name] = spread.astype(np.float32)
        elif name.endswith("LayerNorm.weight"):
            tensors[name] = random.uniform(0.5, 1.5, shape).astype(np.float32)
        else:
            tensors[name] = random.normal(0, 0.3, shape).astype(np.float32)
    return tensors


def metadata(a: Architecture) -> dict[str, str]:
    return {
        "format": "minilm-native",
        "format_version": "1",
        "architecture": json.dumps(asdict(a)),
    }


def weight_file(a: Architecture, tensors: Tensors) -> bytes:
    """Content of the weight file of a model."""
    from safetensors.numpy import save

    content: bytes = save(tensors, metadata(a))
    return content


def encode(a: Architecture, tensors: Tensors, texts: Sequence[Sequence[int]]) -> Floats:
    """Embed texts that are given as token ids: float32, (texts, dimension)."""
    return np.stack([_encode(a, tensors, np.array(text)) for text in texts])


def fma(a: Any, b: Any, c: Any) -> Floats:
    """a * b + c of float32 arrays."""
    return np.asarray(np.float64(a) * np.float64(b) + np.float64(c), np.float32)


def exp2_negative(x: Floats) -> Floats:
    """2^x for x <= 0, by the encoder's polynomial."""
    bias = np.float32(12582912)
    x = np.maximum(x, np.float32(-126))
    n = (x + bias) - bias
    f = x - n
    p: Any = np.float32(float.fromhex("0x1.5bf8b8p-10"))
    for coefficient in (
        *("0x1.3cee38p-7", "0x1.c6b636p-5", "0x1.ebf9b2p-3", "0x1.62e42cp-1", "0x1p0"),
    ):
        p = fma(p, f, np.float32(float.fromhex(coefficient)))
    result: Floats = np.ldexp(p, n.astype(np.int32))
    return result


def gelu(x: Floats) -> Floats:
    """GELU, by the encoder's polynomial."""
    coefficients = (
        *("0x1.cbf61ep-10", "-0x1.61ccap-8", "0x1.0498a4p-7", "-0x1.9b2d52p-7", "0x1.88274ep-6"),
        *("-0x1.47072p-5", "0x1.dfe92ep-5", "-0x1.4b118ap-4", "0x1.bb9feap-4", "-0x1.365768p-3"),
        "0x1.3a74eap-2",
    )
    bounded = np.clip(x, np.float32(-4.6), np.float32(4.6))
    u = fma(bounded * bounded, np.float32(float.fromhex("0x1.832544p-4")), np.float32(-1))
    p: Any = np.float32(float.fromhex(coefficients[0]))
    for coefficient in coefficients[1:]:
        p = fma(p, u, np.float32(float.fromhex(coefficient)))
    half = x * np.float32(0.5)
    return fma(half, p * bounded, half)


def hadamard(order: int) -> npt.NDArray[np.float64]:
    """Sylvester's matrix of that order, not normalized: it is symmetric."""
    matrix = np.ones((1, 1))
    while len(matrix) < order:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


def rotate(x: Floats, block: int) -> Floats:
    """Butterflies of strides 1, 2, 4, … over blocks of the last axis."""
    result = x.copy().reshape(*x.shape[:-1], -1, block)
    stride = 1
    while stride < block:
        pairs = result.reshape(*result.shape[:-1], -1, 2, stride)
        low, high = pairs[..., 0, :].copy(), pairs[..., 1, :].copy()
        pairs[..., 0, :], pairs[..., 1, :] = low + high, low - high
        stride *= 2
    return result.reshape(x.shape)


def quantize(x: Floats, block: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """Rotated rows of `x`, (rows, width): codes of the same shape, and a scale for each row."""
    rotated = rotate(x, block) if block > 1 else x
    limit = np.abs(rotated).max(axis=1)
    usable = limit >= np.float32(1e-30)
    inverse = np.where(usable, np.float32(127) / np.where(usable, limit, 1), np.float32(0))
    codes = np.rint(rotated * inverse[:, None].astype(np.float32)).astype(np.int64)
    return codes, limit * np.float32(1 / (127 * np.sqrt(block)))


def _lane_sum(x: Floats) -> Floats:
    """Sum over the last axis: by lanes, then over the lanes."""
    lanes = np.zeros((*x.shape[:-1], LANES), np.float32)
    for start in range(0, x.shape[-1], LANES):
        lanes = lanes + x[..., start : start + LANES]
    return _over_lanes(lanes)


def _over_lanes(lanes: Floats) -> Floats:
    for step in (8, 4, 2, 1):
        lanes = lanes[..., :step] + lanes[..., step : 2 * step]
    return lanes[..., 0]


def _lane_sum_of_squares(x: Floats) -> Floats:
    lanes = np.zeros((*x.shape[:-1], LANES), np.float32)
    for start in range(0, x.shape[-1], LANES):
        part = x[..., start : start + LANES]
        lanes = fma(part, part, lanes)
    return _over_lanes(lanes)


class _Model:
    """Access to the tensors of one model by the names of their layers."""

    def __init__(self, architecture: Architecture, tensors: Tensors) -> None:
        self.architecture = architecture
        self.tensors = tensors

    def linear(self, name: str, codes: npt.NDArray[np.int64], scale: Floats) -> Floats:
        weights = self.tensors[f"{name}.weight"].astype(np.int64)
        sums = (codes @ weights.T).astype(np.float32)
        scaled = sums * scale[:, None]
        return fma(scaled, self.tensors[f"{name}.scale"], self.tensors[f"{name}.bias"])

    def norm(self, name: str, x: Floats) -> Floats:
        width = np.float32(x.shape[1])
        mean = (_lane_sum(x) / width)[:, None]
        centered = x - mean
        variance = _lane_sum_of_squares(centered) / width
        inverse = np.float32(1) / np.sqrt(variance + np.float32(self.architecture.layer_norm_eps))
        scaled = centered * inverse[:, None]
        return fma(scaled, self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"])


def _encode(a: Architecture, tensors: Tensors, ids: npt.NDArray[np.int64]) -> Floats:
    model = _Model(a, tensors)
    words = tensors["embeddings.word_embeddings.weight"][ids].astype(np.float32)
    scales = tensors["embeddings.word_embeddings.scale"][ids]
    positions = tensors["embeddings.position_embeddings.weight"][: len(ids)]
    x = model.norm("embeddings.LayerNorm", fma(words, scales[:, None], positions))
    for index in range(a.layers):
        name = f"encoder.layer.{index}."
        codes, scale = quantize(x, a.rotation["query_key_value"])
        query, key, value = (
            model.linear(f"{name}attention.self.{part}", codes, scale)
            for part in ("query", "key", "value")
        )
        context = _attention(a.heads, query, key, value)
        codes, scale = quantize(context, 1)
        x = model.linear(f"{name}attention.output.dense", codes, scale) + x
        x = model.norm(f"{name}attention.output.LayerNorm", x)
        codes, scale = quantize(x, a.rotation["intermediate"])
        middle = gelu(model.linear(f"{name}intermediate.dense", codes, scale))
        codes, scale = quantize(middle, a.rotation["output"])
        x = model.linear(f"{name}output.dense", codes, scale) + x
        x = model.norm(f"{name}output.LayerNorm", x)
    return _pool(a, x)


def _attention(heads: int, query: Floats, key: Floats, value: Floats) -> Floats:
    tokens, dimension = query.shape
    width = dimension // heads
    padded = -(-tokens // LANES) * LANES
    out = np.empty_like(query)
    factor = np.float32(1.44269504088896341) / np.sqrt(np.float32(width))
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        scores = np.zeros((tokens, tokens), np.float32)
        for i in range(part.start, part.stop):
            scores = fma(query[:, i, None], key[None, :, i], scores)
        peak = scores.max(axis=1, keepdims=True)
        weights = np.zeros((tokens, padded), np.float32)
        weights[:, :tokens] = exp2_negative((scores - peak) * factor)
        inverse = np.float32(1) / _lane_sum(weights)
        sums = np.zeros((tokens, width), np.float32)
        for token in range(tokens):
            sums = fma(weights[:, token, None], value[token, part], sums)
        out[:, part] = sums * inverse[:, None]
    return out


def _pool(a: Architecture, x: Floats) -> Floats:
    rows = x if a.pooling == "mean" else x[:1]
    total = rows[0]
    for row in rows[1:]:
        total = total + row
    vector: Floats = total / np.float32(len(rows))
    if not a.normalized:
        return vector
    length = np.sqrt(_lane_sum_of_squares(vector[None])[0])
    unit: Floats = vector / np.maximum(length, np.float32(1e-12))
    return unit

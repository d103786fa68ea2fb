"""The native encoder's weight file as it stands on disk: its header, read without its loader."""

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from minilm.runtime.errors import InvalidArtifact
from minilm.runtime.manifest import TensorInfo

__all__ = ["WEIGHT_FILE_SUFFIX", "WeightFileInfo", "read_weight_file"]

WEIGHT_FILE_SUFFIX: Final = ".safetensors"

_DTYPES: Final = {
    "I8": "int8",
    "U8": "uint8",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
}
_LINEAR: Final = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)
_MAX_HEADER_BYTES: Final = 100 << 20


@dataclass(frozen=True, kw_only=True)
class WeightFileInfo:
    """Contents of a weight file.

    Attributes:
        format_version: Version of the format.
        products: Name and stored type of the weights of each linear layer.
        operators: Operator types to their counts, as the tensors imply them.
        inputs: Inputs of the encoder.
        outputs: Outputs of the encoder.
    """

    format_version: int
    products: tuple[tuple[str, str], ...]
    operators: dict[str, int]
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]


def read_weight_file(path: Path) -> WeightFileInfo:
    """Read the header of a weight file.

    Raises:
        InvalidArtifact: It is not a weight file, or its tensors have other shapes than its
            architecture says.
    """
    header = _header(path)
    try:
        metadata = header.pop("__metadata__")
        version = int(metadata["format_version"])
        architecture = json.loads(metadata["architecture"])
        tensors = {
            name: (_DTYPES.get(t["dtype"], "other"), t["shape"]) for name, t in header.items()
        }
        expected = _shapes(architecture)
        layers, dimension = architecture["layers"], architecture["dimension"]
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidArtifact(
            f"{path} is not a weight file of the native encoder: {error!r}"
        ) from error
    for name, shape in expected.items():
        if name not in tensors or tensors[name][1] != shape:
            found = tensors[name][1] if name in tensors else "missing"
            raise InvalidArtifact(f"{path}: tensor {name} is {found}, expected is {shape}")
    products = tuple(
        (name, tensors[f"{name}.weight"][0])
        for name in (f"encoder.layer.{layer}.{part}" for layer in range(layers) for part in _LINEAR)
    )
    norms = sum(name.endswith("LayerNorm.weight") for name in tensors)
    return WeightFileInfo(
        format_version=version,
        products=products,
        operators={
            "Attention": layers,
            "Embedding": 1,
            "Gelu": layers,
            "LayerNormalization": norms,
            "LinearInt8": sum(kind == "int8" for _, kind in products),
        },
        inputs=(
            TensorInfo(name="ids", dtype="int32", shape=("tokens",)),
            TensorInfo(name="offsets", dtype="int64", shape=("batch + 1",)),
        ),
        outputs=(
            TensorInfo(name="sentence_embedding", dtype="float32", shape=("batch", dimension)),
        ),
    )


def _header(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            if size > _MAX_HEADER_BYTES:
                raise InvalidArtifact(
                    f"{path} is not a weight file: its header claims {size} bytes"
                )
            header = json.loads(file.read(size))
    except (OSError, struct.error, ValueError) as error:
        raise InvalidArtifact(f"cannot read {path}: {error}") from error
    if not isinstance(header, dict):
        raise InvalidArtifact(f"{path} is not a weight file: its header is no JSON object")
    return header


def _shapes(architecture: dict[str, Any]) -> dict[str, list[int]]:
    """Shape of every weight that takes part in a product or a look-up."""
    width, middle = architecture["dimension"], architecture["intermediate"]
    sizes = dict.fromkeys(_LINEAR, (width, width))
    sizes |= {"intermediate.dense": (middle, width), "output.dense": (width, middle)}
    shapes = {
        "embeddings.word_embeddings.weight": [architecture["vocab_size"], width],
        "embeddings.position_embeddings.weight": [architecture["positions"], width],
    }
    for layer in range(architecture["layers"]):
        for part, (outputs, inputs) in sizes.items():
            name = f"encoder.layer.{layer}.{part}"
            shapes[f"{name}.weight"] = [outputs, inputs]
            shapes[f"{name}.scale"] = [outputs]
    return shapes

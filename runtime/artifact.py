"""The parts of a bundle as plain data: its model, files and variants."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

__all__ = [
    "VARIANTS",
    "EncoderConfig",
    "FileEntry",
    "ModelInfo",
    "Precision",
    "Target",
    "TensorInfo",
    "Variant",
    "VariantName",
]

Target = Literal["cpu", "openvino", "cuda", "native"]
Precision = Literal["fp32", "bf16", "fp16", "int8"]

VARIANTS: Final[Mapping[str, tuple[str, ...]]] = {
    "cpu/fp32": ("onnx/model.onnx",),
    "cpu/int8": ("onnx/model_int8.onnx",),
    "openvino/bf16": ("openvino/openvino_model.xml", "openvino/openvino_model.bin"),
    "openvino/int8": ("openvino/openvino_model_int8.xml", "openvino/openvino_model_int8.bin"),
    "cuda/fp16": ("onnx/model_fp16.onnx",),
    "cuda/int8": ("onnx/model_int8_qdq.onnx",),
    "native/int8": ("native/model_int8.safetensors",),
}
"""Name of each variant and where its files stand in a bundle; the first is the one to open."""


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Numbers of a BERT-family sentence encoder.

    Attributes:
        layers: Number of encoder layers.
        heads: Number of attention heads of each layer.
        dimension: Elements of a token's and of a sentence's vector.
        max_tokens: Tokens of the longest input, [CLS] and [SEP] included.
        pooling: Either "mean" or "cls".
        normalized: Whether sentence vectors are scaled to unit length.
    """

    layers: int
    heads: int
    dimension: int
    max_tokens: int
    pooling: str
    normalized: bool


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """The model that the bundle was made from.

    Attributes:
        id: Hub id or directory name of the source.
        revision: Hub revision that was required; None for the newest.
        weights_sha256: SHA-256 of the source's `model.safetensors`, hexadecimal.
        dimension: Elements of a sentence vector.
        max_tokens: Tokens of the longest input, [CLS] and [SEP] included.
        pooling: Either "mean" or "cls".
        normalized: Whether sentence vectors have unit length.
    """

    id: str
    revision: str | None
    weights_sha256: str
    dimension: int
    max_tokens: int
    pooling: str
    normalized: bool


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """One file of the bundle: POSIX path relative to it, size in bytes, SHA-256 in hexadecimal."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class TensorInfo:
    """One input or output of a graph: name, dtype ("int64", "float32"), shape with named axes."""

    name: str
    dtype: str
    shape: tuple[str | int, ...]


class VariantName(NamedTuple):
    """Name of a variant: `str` gives "target/precision".

    Attributes:
        target: Place where it runs: "cpu".
        precision: Precision of its products: "int8".
    """

    target: str
    precision: str

    @classmethod
    def parse(cls, name: str) -> "VariantName":
        """Take a name apart.

        Raises:
            ValueError: It has not exactly one slash.
        """
        target, precision = name.split("/")
        return cls(target, precision)

    def __str__(self) -> str:
        return f"{self.target}/{self.precision}"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One loadable graph.

    Attributes:
        name: "target/precision".
        files: Paths as in `FileEntry`; the first is the one to open.
        opset: Version of the default ONNX domain, or the highest opset of an OpenVINO IR.
        inputs: Inputs of the graph.
        outputs: Outputs of the graph.
        operators: Count of each operator type ("Gelu", "com.microsoft.FastGelu").
        backend: Name in `minilm.runtime.backends.BACKENDS` of the library that runs it.
        backend_version: Lowest release of the backend that runs the graph.
        instruction_sets: CPU or GPU features that it is meant for, best first; empty for any.
        float_layers: Linear layers of an int8 graph that stay in floating point, as the search on
            the calibration texts decided.
    """

    name: str
    files: tuple[str, ...]
    opset: int
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    operators: Mapping[str, int]
    backend: str
    backend_version: str
    instruction_sets: tuple[str, ...]
    float_layers: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        """The part of the name before the slash."""
        return VariantName.parse(self.name).target

    @property
    def precision(self) -> str:
        """The part of the name behind the slash."""
        return VariantName.parse(self.name).precision

"""`manifest.json`: what a bundle is, which files it has, which variants can be loaded from it.

The manifest is deterministic: no time, no host, no absolute path, keys in a fixed order. It covers
every file of the bundle but itself and `report/`, which holds measurements.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from minilm.runtime.errors import InvalidArtifact

__all__ = [
    "FORMAT",
    "MANIFEST_NAME",
    "REPORT_DIR",
    "VARIANTS",
    "EncoderConfig",
    "FileEntry",
    "Manifest",
    "ModelInfo",
    "Precision",
    "Target",
    "TensorInfo",
    "Variant",
    "read",
]

FORMAT: Final = 1
MANIFEST_NAME: Final = "manifest.json"
REPORT_DIR: Final = "report"

Target = Literal["cpu", "openvino", "cuda"]
Precision = Literal["fp32", "bf16", "fp16", "int8"]

VARIANTS: Final[Mapping[str, tuple[str, ...]]] = {
    "cpu/fp32": ("onnx/model.onnx",),
    "cpu/int8": ("onnx/model_int8.onnx",),
    "openvino/bf16": ("openvino/openvino_model.xml", "openvino/openvino_model.bin"),
    "openvino/int8": ("openvino/openvino_model_int8.xml", "openvino/openvino_model_int8.bin"),
    "cuda/fp16": ("onnx/model_fp16.onnx",),
    "cuda/int8": ("onnx/model_int8_qdq.onnx",),
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
    """Which model the bundle was made from.

    Attributes:
        id: Hub id or directory name of the source.
        revision: Hub revision that was asked for, or None.
        weights_sha256: SHA-256 of the source's `model.safetensors`, hexadecimal.
        dimension: elements of a sentence vector.
        max_tokens: tokens of the longest input, [CLS] and [SEP] included.
        pooling: "mean" or "cls".
        normalized: whether sentence vectors have unit length.
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


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One loadable graph.

    Attributes:
        name: "target/precision".
        files: paths as in `FileEntry`; the first is the one to open.
        opset: of the default ONNX domain, or of OpenVINO's IR ("opset": the highest it uses).
        inputs: of the graph.
        outputs: of the graph.
        operators: operator type ("Gelu", "com.microsoft.FastGelu") to its count.
        backend: distribution that runs it ("onnxruntime", "openvino", "onnxruntime-gpu").
        backend_version: lowest release of it that runs this graph.
        instruction_sets: CPU or GPU features it is meant for, best first; empty means any.
        float_layers: linear layers of an int8 graph that stay in floating point, as the search on
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
        return self.name.split("/")[0]

    @property
    def precision(self) -> str:
        """The part of the name behind the slash."""
        return self.name.split("/")[1]

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "Variant":
        """Make a variant of its JSON data.

        Raises:
            KeyError: a field is missing.
            TypeError: there is a field too many.
            ValueError: the name is not one of a known target and precision.
        """
        target, _, precision = data["name"].partition("/")
        if target not in get_args(Target) or precision not in get_args(Precision):
            raise ValueError(f"unknown variant name {data['name']!r}")
        tensors = {
            side: tuple(
                TensorInfo(name=t["name"], dtype=t["dtype"], shape=tuple(t["shape"]))
                for t in data[side]
            )
            for side in ("inputs", "outputs")
        }
        return cls(
            **{
                **data,
                **tensors,
                "files": tuple(data["files"]),
                "instruction_sets": tuple(data["instruction_sets"]),
                "float_layers": tuple(data["float_layers"]),
            }
        )


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The whole of `manifest.json`.

    Attributes:
        model: the source.
        files: every file of the bundle but the manifest and `report/`, by path.
        variants: in the order of `VARIANTS`.
        toolchain: distribution to version, for those that shaped the bytes.
        format: of the manifest; the loader refuses one that it does not know.
    """

    model: ModelInfo
    files: tuple[FileEntry, ...]
    variants: tuple[Variant, ...]
    toolchain: Mapping[str, str]
    format: int = FORMAT

    def variant(self, name: str) -> Variant:
        """The variant called `name`.

        Raises:
            InvalidArtifact: the bundle has none of that name; the message lists those it has.
        """
        for variant in self.variants:
            if variant.name == name:
                return variant
        has = ", ".join(variant.name for variant in self.variants) or "none"
        raise InvalidArtifact(f"the bundle has no variant {name!r}; it has: {has}")

    def to_json(self) -> str:
        """The text of `manifest.json`, the same for the same content."""
        return json.dumps(asdict(self), indent=2, sort_keys=True, ensure_ascii=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        """Parse the text of a manifest.

        Raises:
            InvalidArtifact: not JSON, of another format, or a field is missing or mistyped.
        """
        try:
            data = json.loads(text)
        except ValueError as error:
            raise InvalidArtifact(f"{MANIFEST_NAME} is not JSON: {error}") from error
        if not isinstance(data, dict) or "format" not in data:
            raise InvalidArtifact(f"{MANIFEST_NAME} has no field 'format': not a bundle's manifest")
        if data["format"] != FORMAT:
            raise InvalidArtifact(
                f"{MANIFEST_NAME} has format {data['format']!r}, this loader reads {FORMAT}: "
                "upgrade minilm-toolkit, or build the bundle again with this version"
            )
        try:
            return _parse(data)
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidArtifact(
                f"{MANIFEST_NAME} does not follow format {FORMAT}: {type(error).__name__}: {error}"
            ) from error


def read(bundle: Path) -> Manifest:
    """Read the manifest of the bundle at `bundle`.

    Raises:
        InvalidArtifact: no such directory, no manifest in it, or one that cannot be understood.
    """
    path = bundle / MANIFEST_NAME
    if not bundle.is_dir():
        found = "a file" if bundle.exists() else "nothing"
        raise InvalidArtifact(
            f"no bundle at {bundle}: expected a directory, found {found}; `toolkit build` makes one"
        )
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InvalidArtifact(
            f"{bundle} has no {MANIFEST_NAME}: it is not a bundle that `toolkit build` made"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArtifact(f"cannot read {path}: {error}") from error
    return Manifest.from_json(text)


def _parse(data: Mapping[str, Any]) -> Manifest:
    return Manifest(
        model=ModelInfo(**data["model"]),
        files=tuple(FileEntry(**entry) for entry in data["files"]),
        variants=tuple(Variant.from_data(entry) for entry in data["variants"]),
        toolchain=dict(data["toolchain"]),
    )

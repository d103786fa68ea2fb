"""`manifest.json`: what a bundle is, which files it has, which variants can be loaded from it.

The manifest is deterministic: no time, no host, no absolute path, keys in a fixed order. It covers
every file of the bundle but itself and `report/`, which holds measurements.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, get_args

from minilm.runtime.artifact import (
    VARIANTS,
    EncoderConfig,
    FileEntry,
    ModelInfo,
    Precision,
    Target,
    TensorInfo,
    Variant,
    VariantName,
)
from minilm.runtime.errors import InvalidArtifact
from minilm.runtime.reading import read_regular
from minilm.runtime.schema import (
    MisfitError,
    either,
    flag,
    list_of,
    map_of,
    matching,
    one_of,
    optional,
    parse_json,
    record,
    relative_path,
    shown,
    text,
    whole_number,
)

__all__ = [
    "CONFIG_NAME",
    "FORMAT",
    "MANIFEST_NAME",
    "REPORT_DIR",
    "TOKENIZER_NAME",
    "VARIANTS",
    "EncoderConfig",
    "FileEntry",
    "Manifest",
    "ModelInfo",
    "Precision",
    "Target",
    "TensorInfo",
    "Variant",
    "VariantName",
    "parse_variant",
    "read",
]

FORMAT: Final = 1
MANIFEST_NAME: Final = "manifest.json"
REPORT_DIR: Final = "report"
TOKENIZER_NAME: Final = "tokenizer.json"
CONFIG_NAME: Final = "config.json"

_MANIFEST_BYTES: Final = 1 << 24
_MOST_BYTES: Final = 1 << 40
_MOST_TOKENS: Final = 1 << 20
"""Bounds that no bundle comes near: beyond them stands a fault or an attack."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The whole of `manifest.json`.

    Attributes:
        model: Source of the bundle.
        files: Every file of the bundle but the manifest and `report/`, by path.
        variants: Variants in the order of `VARIANTS`.
        toolchain: Version of each distribution that shaped the bytes.
        originals: SHA-256 in the source, by path, of files that the bundle holds with changes.
        format: Version of the manifest's layout; the loader refuses one that it does not know.
    """

    model: ModelInfo
    files: tuple[FileEntry, ...]
    variants: tuple[Variant, ...]
    toolchain: Mapping[str, str]
    originals: Mapping[str, str] = field(default_factory=dict)
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

    def check_config(self, content: bytes) -> int | None:
        """Compare the model's numbers with those of `config.json`.

        Args:
            content: Content of `config.json`.

        Returns:
            Number of tokens that the model knows; None if `config.json` does not say.

        Raises:
            InvalidArtifact: It is no JSON object, or contradicts the manifest.
        """
        try:
            config = parse_json(content)
        except ValueError as error:
            raise InvalidArtifact(f"config.json is not JSON: {error}") from error
        if not isinstance(config, dict):
            raise InvalidArtifact("config.json is not a JSON object")
        dimension, longest = config.get("hidden_size"), config.get("max_position_embeddings")
        if isinstance(dimension, int) and dimension != self.model.dimension:
            raise InvalidArtifact(
                f"{MANIFEST_NAME} says that vectors have {self.model.dimension} elements, "
                f"config.json says {dimension}"
            )
        if isinstance(longest, int) and longest < self.model.max_tokens:
            raise InvalidArtifact(
                f"{MANIFEST_NAME} says that texts have up to {self.model.max_tokens} tokens, "
                f"config.json has positions for {longest}"
            )
        size = config.get("vocab_size")
        return size if isinstance(size, int) else None

    @classmethod
    def from_json(cls, content: str | bytes) -> "Manifest":
        """Parse the content of `manifest.json`.

        Raises:
            InvalidArtifact: Not JSON, of another format, or something in it does not follow the
                schema; the message names the field.
        """
        content = (
            content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
        )
        try:
            data = parse_json(content)
        except ValueError as error:
            raise InvalidArtifact(f"{MANIFEST_NAME} is not JSON: {error}") from error
        if not isinstance(data, dict) or "format" not in data:
            raise InvalidArtifact(f"{MANIFEST_NAME} has no field 'format': not a bundle's manifest")
        if type(data["format"]) is not int or data["format"] != FORMAT:
            raise InvalidArtifact(
                f"{MANIFEST_NAME} has format {shown(data['format'])}, this loader reads "
                f"{FORMAT}: upgrade minilm-toolkit, or build the bundle again with this version"
            )
        try:
            manifest = _MANIFEST(data, "")
            _check_references(manifest)
        except MisfitError as error:
            raise InvalidArtifact(
                f"{MANIFEST_NAME} does not follow format {FORMAT}: {error}"
            ) from error
        return manifest


def read(bundle: Path) -> Manifest:
    """Read the manifest of the bundle at `bundle`.

    Raises:
        InvalidArtifact: No such directory, no manifest in it, or one that cannot be understood.
    """
    path = bundle / MANIFEST_NAME
    if not bundle.is_dir():
        found = "a file" if bundle.exists() else "nothing"
        raise InvalidArtifact(
            f"no bundle at {bundle}: expected a directory, found {found}; `toolkit build` makes one"
        )
    try:
        return Manifest.from_json(read_regular(path, _MANIFEST_BYTES))
    except FileNotFoundError as error:
        raise InvalidArtifact(
            f"{bundle} has no {MANIFEST_NAME}: it is not a bundle that `toolkit build` made"
        ) from error
    except OSError as error:
        raise InvalidArtifact(f"cannot read {path}: {error}") from error


_WORD: Final = matching(r"[a-z][a-z0-9_]*", "a word of a-z, 0-9 and _")
_SHA256: Final = matching(r"[0-9a-f]{64}", "a SHA-256 in hexadecimal")

_VARIANT_NAME: Final = one_of(
    *(f"{target}/{precision}" for target in get_args(Target) for precision in get_args(Precision))
)
_TENSOR: Final = record(
    TensorInfo,
    {
        "name": text,
        "dtype": _WORD,
        "shape": list_of(either(text, whole_number(0, _MOST_TOKENS))),
    },
)
_VARIANT: Final = record(
    Variant,
    {
        "name": _VARIANT_NAME,
        "files": list_of(relative_path, least=1),
        "opset": whole_number(1, 1000),
        "inputs": list_of(_TENSOR, least=1),
        "outputs": list_of(_TENSOR, least=1),
        "operators": map_of(whole_number(1, 1_000_000)),
        "backend": matching(r"[a-z0-9][a-z0-9._-]*", "the name of a distribution"),
        "backend_version": matching(r"\d{1,9}(\.\d{1,9})*([a-z]+\d{1,9})?", "a version"),
        "instruction_sets": list_of(_WORD),
        "float_layers": list_of(text),
    },
)
_MANIFEST: Final = record(
    Manifest,
    {
        "format": whole_number(FORMAT, FORMAT),
        "model": record(
            ModelInfo,
            {
                "id": text,
                "revision": optional(text),
                "weights_sha256": _SHA256,
                "dimension": whole_number(1, _MOST_TOKENS),
                "max_tokens": whole_number(3, _MOST_TOKENS),
                "pooling": one_of("mean", "cls"),
                "normalized": flag,
            },
        ),
        "files": list_of(
            record(
                FileEntry,
                {"path": relative_path, "bytes": whole_number(0, _MOST_BYTES), "sha256": _SHA256},
            )
        ),
        "variants": list_of(_VARIANT),
        "toolchain": map_of(text),
        "originals": map_of(_SHA256),
    },
    absent={"originals": {}},
)


def parse_variant(data: object) -> Variant:
    """Make a variant of its JSON data.

    Raises:
        ValueError: The data does not follow the schema; the message names the field.
    """
    return _VARIANT(data, "variant")


def _check_references(manifest: Manifest) -> None:
    """Refuse what is there twice, and what does not fit together."""
    listed = _unique("path", [entry.path for entry in manifest.files])
    _unique("variant", [variant.name for variant in manifest.variants])
    if MANIFEST_NAME in listed:
        raise MisfitError("a path of `files`", MANIFEST_NAME, "another file than the manifest")
    for variant in manifest.variants:
        for path in variant.files:
            if path not in listed:
                raise MisfitError(f"a file of {variant.name}", path, "one that `files` lists")


def _unique(kind: str, names: list[str]) -> set[str]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise MisfitError(f"a second {kind}", name, "each once")
        seen.add(name)
    return seen

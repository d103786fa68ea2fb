"""What a bundle holds beside the graphs: the model's own files, the licence, the manifest."""

import importlib.metadata
import shutil
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Final

from minilm.convert import DEFAULT_MODEL, Source
from minilm.runtime.errors import SourceError
from minilm.runtime.manifest import (
    MANIFEST_NAME,
    FileEntry,
    Manifest,
    ModelInfo,
    Variant,
)

__all__ = ["copy_model_files", "toolchain", "write_manifest"]

_REQUIRED: Final = (
    "config.json",
    "modules.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
    "tokenizer.json",
)
_OPTIONAL: Final = (
    "config_sentence_transformers.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
)
_TOOLCHAIN: Final = (
    "minilm-toolkit",
    "numpy",
    "onnx",
    "onnx-ir",
    "onnxruntime",
    "openvino",
    "optimum",
    "optimum-onnx",
    "sentence-transformers",
    "tokenizers",
    "torch",
    "transformers",
)


def copy_model_files(source: Source, bundle: Path) -> list[str]:
    """Copy what makes `bundle` a sentence-transformers repository; gives the paths.

    Raises:
        SourceError: the source lacks a file that a bundle needs.
    """
    copied = []
    for path in (*_REQUIRED, *_OPTIONAL):
        origin = source.directory / path
        if origin.is_file():
            (bundle / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(origin, bundle / path)
            copied.append(path)
        elif path in _REQUIRED:
            raise SourceError(f"{source.id} has no {path} in {source.directory}: a bundle needs it")
    if source.architecture.normalized:
        (bundle / "2_Normalize").mkdir()
    licence = source.directory / "LICENSE"
    if source.id == DEFAULT_MODEL:
        text = files("minilm.pipeline").joinpath("apache-2.0.txt").read_text("utf-8")
        (bundle / "LICENSE").write_text(text, encoding="utf-8", newline="\n")
        copied.append("LICENSE")
    elif licence.is_file():
        shutil.copyfile(licence, bundle / "LICENSE")
        copied.append("LICENSE")
    return copied


def toolchain() -> dict[str, str]:
    """Versions of the distributions that shape the bytes of a bundle."""
    return {name: importlib.metadata.version(name) for name in _TOOLCHAIN}


def write_manifest(
    source: Source, variants: Iterable[Variant], files: Iterable[FileEntry], bundle: Path
) -> Manifest:
    """Write the manifest of a bundle that holds `files`.

    Args:
        source: Weights that the bundle is made from.
        variants: Variants of the bundle, in the order of `VARIANTS`.
        files: Entries of all files but the manifest and those of `report/`.
        bundle: Directory of the bundle.
    """
    shape = source.architecture
    manifest = Manifest(
        model=ModelInfo(
            id=source.id,
            revision=source.revision,
            weights_sha256=source.weights_sha256,
            dimension=shape.dimension,
            max_tokens=shape.max_tokens,
            pooling=shape.pooling,
            normalized=shape.normalized,
        ),
        files=tuple(sorted(files, key=lambda entry: entry.path)),
        variants=tuple(variants),
        toolchain=toolchain(),
    )
    (bundle / MANIFEST_NAME).write_text(manifest.to_json(), encoding="utf-8", newline="\n")
    return manifest

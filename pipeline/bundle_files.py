"""What a bundle holds beside the graphs: the model's own files, the licence, the manifest."""

import importlib.metadata
import json
import shutil
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Final

from minilm.convert import DEFAULT_MODEL, Source
from minilm.convert.settings import transformer_settings
from minilm.pipeline.tokenizer_files import tokenizer_files, tokenizer_originals
from minilm.runtime.manifest import (
    MANIFEST_NAME,
    FileEntry,
    Manifest,
    ModelInfo,
    Variant,
)

__all__ = ["copy_model_files", "toolchain", "write_manifest"]

_MODULES: Final = "modules.json"
_SETTINGS: Final = "sentence_bert_config.json"
_POOLING: Final = "1_Pooling"
_NORMALIZE: Final = "2_Normalize"
_OF_TRANSFORMER: Final = (
    "config.json",
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

    The bundle has one layout, whatever the source has: the transformer's files at the root,
    `1_Pooling/config.json`, and the limit in each file that another runtime may read it from.

    Raises:
        SourceError: The tokenizer has no token to pad with.
    """
    layout = source.layout
    origins = {name: layout.transformer / name for name in _OF_TRANSFORMER}
    origins[f"{_POOLING}/config.json"] = layout.pooling / "config.json"
    origins["config_sentence_transformers.json"] = (
        source.directory / "config_sentence_transformers.json"
    )
    if source.id != DEFAULT_MODEL:
        origins["LICENSE"] = source.directory / "LICENSE"
    copied = []
    for path, origin in origins.items():
        if origin.is_file():
            (bundle / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(origin, bundle / path)
            copied.append(path)
    texts = {
        _MODULES: _modules(source),
        _SETTINGS: _settings(source),
        **tokenizer_files(source),
    }
    if source.id == DEFAULT_MODEL:
        texts["LICENSE"] = files("minilm.pipeline").joinpath("apache-2.0.txt").read_bytes()
    for path, content in texts.items():
        (bundle / path).write_bytes(content)
    if layout.normalized:
        (bundle / _NORMALIZE).mkdir()
    return [*copied, *texts]


def _modules(source: Source) -> bytes:
    """`modules.json` with the paths of the bundle's layout; as it is where they are the same."""
    content = (source.directory / _MODULES).read_bytes()
    modules = json.loads(content)
    paths = ("", _POOLING, _NORMALIZE)[: len(modules)]
    if tuple(module.get("path") for module in modules) == paths:
        return content
    moved = [{**module, "path": path} for module, path in zip(modules, paths, strict=True)]
    return _json(moved)


def _settings(source: Source) -> bytes:
    """The transformer module's settings with the limit; as they are where it is in them."""
    path, settings = transformer_settings(source.layout.transformer)
    if path.name == _SETTINGS and settings.get("max_seq_length") == source.config.max_tokens:
        return path.read_bytes()
    return _json({**settings, "max_seq_length": source.config.max_tokens})


def _json(data: object) -> bytes:
    return (json.dumps(data, indent=2) + "\n").encode()


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
    shape = source.config
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
        originals=tokenizer_originals(source),
    )
    (bundle / MANIFEST_NAME).write_text(manifest.to_json(), encoding="utf-8", newline="\n")
    return manifest
